//! P9: first pages of questions about a long log, beside PostgreSQL with the same rows.

use super::{history, wait_indexed};
use crate::fill::{CONVERSATION_EVERY, Corpus, TOPICS, topic_path};
use crate::generate::native::Line;
use crate::report::Row;
use crate::run::Stage;
use crate::server::{Node, Postgres, Rows};
use crate::statistics::{Spread, percentile};
use anyhow::{Context, Result, ensure};
use history::History;
use openmesh_message::KeyPair;
use openmesh_message::frame::LogFilter;
use std::time::Instant;

const OPENMESH: &str = "OpenMesh";
const POSTGRES: &str = "PostgreSQL";
const P50: &str = "p50 µs";
const P99: &str = "p99 µs";
/// Records of a page.
const PAGE_RECORDS: u32 = 100;
/// Every so many conversations are begun by the same agent as the first one.
const SAME_SENDER: u64 = 8;
/// Spreads questions over the log.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Id,
    Agent,
    Topic,
    Conversation,
    Time,
}

const KINDS: [(Kind, &str); 5] = [
    (Kind::Id, "by id"),
    (Kind::Agent, "by agent"),
    (Kind::Topic, "by topic"),
    (Kind::Conversation, "by conversation"),
    (Kind::Time, "by time"),
];

/// What is asked with.
struct Asking<'a> {
    corpus: &'a Corpus,
    messages: u64,
}

pub(crate) fn play(stage: &Stage) -> Result<Row> {
    let mut row = Row::new("P9", "questions about a long log: the first page of 100 records");
    let history = history::of(stage, &mut row)?;
    row.how.push(
        "OpenMesh: asked by an agent; policy decides each record, and each is shown as JSON".to_owned(),
    );
    row.how.push(
        "PostgreSQL: prepared statements, whole rows; b-tree indexes on seq, id, (sender, seq), (topic, seq), \
         (conversation, seq), at; a quarter of the memory as shared buffers, analysed after the load"
            .to_owned(),
    );
    let corpus = history.corpus()?;
    let node = Node::start(&stage.openmesh, &history.folder, &[])?;
    let mut ours = asking_line(&node, &corpus)?;
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

/// Asks as the agent that began the first conversation: others may not read it.
fn asking_line(node: &Node, corpus: &Corpus) -> Result<Line> {
    let seed = corpus.sender(0).context("an agent")?.seed();
    Line::connect_as(node.address, &node.domain, KeyPair::from_seed(&seed)?)
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

impl Asking<'_> {
    /// How long each of so many questions took, in nanoseconds, sorted.
    fn time(&self, questions: u64, mut ask: impl FnMut(u64) -> Result<usize>) -> Result<Vec<u64>> {
        let mut times = Vec::new();
        for question in 0..questions {
            let index = (question.wrapping_mul(STRIDE) >> 16) % self.messages;
            let begun = Instant::now();
            let records = ask(index)?;
            times.push(begun.elapsed().as_nanos() as u64);
            ensure!(records > 0, "question {question} about message {index} found nothing");
        }
        times.sort_unstable();
        Ok(times)
    }

    /// The message that begins a conversation which the asking agent may read.
    fn begins(&self, index: u64) -> u64 {
        let every = CONVERSATION_EVERY * SAME_SENDER;
        index / every * every
    }

    /// A message with a topic.
    fn told(index: u64) -> u64 {
        if index.is_multiple_of(CONVERSATION_EVERY) { index + 1 } else { index }
    }
}

fn ask_node(line: &mut Line, asking: &Asking<'_>, kind: Kind, index: u64) -> Result<usize> {
    let none = LogFilter::default;
    let filter = match kind {
        Kind::Id => LogFilter { id: Some(Corpus::id(Asking::told(index))), ..none() },
        Kind::Agent => LogFilter { agent: asking.corpus.sender(index).map(KeyPair::id), ..none() },
        Kind::Topic => LogFilter { topic: Some(topic_path(index % TOPICS)), ..none() },
        Kind::Conversation => {
            let conversation = asking.corpus.conversation(asking.begins(index));
            LogFilter { conversation: conversation.map(|id| id.to_string()), ..none() }
        }
        Kind::Time => LogFilter { since: Some(asking.corpus.at(index)), ..none() },
    };
    let page = line.ask(filter, PAGE_RECORDS)?;
    ensure!(page.index_building.is_none(), "the index is not built");
    Ok(page.records.len())
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
