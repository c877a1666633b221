//! P9: first pages of questions about a long log, beside PostgreSQL with the same rows.

use super::{history, wait_indexed};
use crate::ask::{self, Asking, KINDS, Kind, ask_node};
use crate::fill::{Corpus, TOPICS, topic_path};
use crate::report::Row;
use crate::run::Stage;
use crate::server::{Node, Postgres, Rows};
use crate::statistics::{Spread, percentile};
use anyhow::{Context, Result};
use history::History;

const OPENMESH: &str = "OpenMesh";
const POSTGRES: &str = "PostgreSQL";
const P50: &str = "p50 µs";
const P99: &str = "p99 µs";

pub(crate) fn play(stage: &Stage) -> Result<Row> {
    let mut row = Row::new("P9", "questions about a long log: the first page of 100 records");
    let history = history::of(stage, &mut row)?;
    row.how.push(
        "OpenMesh: asked by an agent; policy decides each record, and each is shown as JSON".to_owned(),
    );
    row.how.push(
        "PostgreSQL: prepared statements, whole rows; b-tree indexes on seq, id, (sender, seq), (topic, seq), \
         (conversation, seq), at; a quarter of the memory as shared buffers, fsync off, analysed after the load"
            .to_owned(),
    );
    let corpus = history.corpus()?;
    let node = Node::start(&stage.openmesh, &history.folder, &[])?;
    let mut ours = ask::connect(node.address, node.domain, &corpus)?;
    let mut theirs = postgres(stage, history, &corpus, &mut row)?;
    stage.doing("P9 waiting for the index");
    wait_indexed(&node)?;
    node.process.settle()?;
    let asking = Asking { corpus: &corpus, messages: history.messages };
    for (kind, name) in KINDS {
        let (mut own, mut peer) = (Vec::new(), Vec::new());
        for round in 1..=stage.settings.rounds {
            stage.doing(&format!("P9 {name}, round {round}"));
            let questions = stage.settings.questions;
            own.push(asking.time(questions, |index| ask_node(&mut ours, &asking, kind, index))?);
            if let Some((_, rows)) = &mut theirs {
                peer.push(asking.time(questions, |index| ask_peer(rows, &asking, kind, index))?);
            }
        }
        add(&mut row, name, OPENMESH, &own);
        add(&mut row, name, POSTGRES, &peer);
        let ratio = Spread::of_ratios(row.rounds(name, OPENMESH, P50), row.rounds(name, POSTGRES, P50));
        row.at_most(format!("{name}: p50 ÷ {POSTGRES}"), 1.0, " ×", ratio);
    }
    row.printed("peak memory of the node, MiB", Spread::of(&[node.process.peak_mib()?]));
    Ok(row)
}

fn postgres(
    stage: &Stage,
    history: &History,
    corpus: &Corpus,
    row: &mut Row,
) -> Result<Option<(Postgres, Rows)>> {
    let started = stage.folder("p9-postgres").and_then(|folder| Postgres::start(&folder));
    let (server, version) = match started {
        Ok(started) => started,
        Err(error) => {
            row.not_run.push(format!("{POSTGRES}: {error:#}"));
            return Ok(None);
        }
    };
    row.how.push(version);
    let mut rows = Rows::open(&server)?;
    stage.doing(&format!("P9 {POSTGRES}: loading {} rows", history.messages));
    rows.load(corpus, history.messages)?;
    Ok(Some((server, rows)))
}

fn ask_peer(rows: &mut Rows, asking: &Asking<'_>, kind: Kind, index: u64) -> Result<usize> {
    match kind {
        Kind::Id => rows.ask("id", &Corpus::id(Asking::told(index))),
        Kind::Agent => {
            let sender = asking.corpus.sender(index).context("an agent")?.id();
            rows.ask("sender", &sender.to_string())
        }
        Kind::Topic => rows.ask("topic", &topic_path(index % TOPICS)),
        Kind::Conversation => {
            let conversation = asking.corpus.conversation(asking.begins(index));
            rows.ask("conversation", &conversation.context("a conversation")?.to_string())
        }
        Kind::Time => rows.ask("at", &asking.corpus.at(index).millis().to_string()),
    }
}

fn add(row: &mut Row, name: &str, system: &str, rounds: &[Vec<u64>]) {
    if rounds.is_empty() {
        return;
    }
    let micros = |share: f64| rounds.iter().map(|times| percentile(times, share) as f64 / 1e3).collect();
    row.add(name, system, vec![(P50, micros(0.5)), (P99, micros(0.99))]);
}
