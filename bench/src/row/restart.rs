//! P8: how long a node with a long log takes until it serves again, beside JetStream.

use super::{history, wait_indexed};
use crate::fill::PAYLOAD_BYTES;
use crate::generate::native::{Line, probe};
use crate::generate::{Measured, nats};
use crate::process::folder_bytes;
use crate::report::Row;
use crate::run::Stage;
use crate::server::{Nats, Node, SyncInterval};
use crate::statistics::Spread;
use anyhow::Result;
use history::History;
use std::time::Instant;

const OPENMESH: &str = "OpenMesh";
const JETSTREAM: &str = "JetStream default";
const CLEAN: &str = "after a clean stop";
const CRASH: &str = "after a crash";
const READY: &str = "ms until it listens";
const SERVES: &str = "ms until it accepted and delivered";
const ACCEPTS: &str = "ms until it acknowledged";
/// Messages published to JetStream at a time, and in flight.
const PUBLISHED_AT_ONCE: u64 = 500_000;
const IN_FLIGHT: usize = 1_000;

/// How long a start took.
#[derive(Clone, Copy)]
struct Started {
    ready_ms: f64,
    serves_ms: f64,
}

pub(crate) fn play(stage: &Stage) -> Result<Row> {
    let mut row = Row::new("P8", "recovery: restart with a long log");
    let history = history::of(stage, &mut row)?;
    row.printed("records of the log in bytes each, on disk", per_record(history)?);
    index(stage, history, &mut row)?;
    let clean = clean_starts(stage, history)?;
    let ready = add(&mut row, CLEAN, &clean);
    let served: Vec<f64> = clean.iter().map(|one| one.serves_ms).collect();
    row.at_most("accepting and delivering after a clean stop", 2_000.0, " ms", Spread::of(&served));
    let crashed = crashed_starts(stage, history)?;
    let crashed_ready = add(&mut row, CRASH, &crashed);
    let tail = stage.settings.tail as f64;
    row.how.push(format!("crash: {tail} records after the last snapshot, and no closed log"));
    let clean_ms = Spread::of(&ready).map_or(0.0, |spread| spread.median);
    let rates: Vec<f64> = crashed_ready.iter().map(|ms| tail * 1e3 / (ms - clean_ms).max(1.0)).collect();
    row.at_least("records of the tail a second, beyond a clean start", 500_000.0, "", Spread::of(&rates));
    jetstream(stage, history.messages, &mut row)?;
    Ok(row)
}

fn per_record(history: &History) -> Result<Option<Spread>> {
    let bytes = folder_bytes(&history.folder.join("log"))? as f64;
    Ok(Spread::of(&[bytes / history.messages as f64]))
}

/// The first start finds no index of the log.
fn index(stage: &Stage, history: &History, row: &mut Row) -> Result<()> {
    stage.doing("P8 the index is built");
    let mut node = Node::start(&stage.openmesh, &history.folder, &[])?;
    let indexed = wait_indexed(&node)?;
    let rate = history.messages as f64 / indexed.took.as_secs_f64();
    row.at_least("rows of the index a second, in the background", 50_000.0, "", Spread::of(&[rate]));
    let said = if indexed.said_so { "yes" } else { "no" };
    row.how.push(format!("questions were answered with index_building while it was built: {said}"));
    node.process.settle()?;
    row.printed("peak memory of the node, MiB", Spread::of(&[node.process.peak_mib()?]));
    node.process.stop()
}

fn clean_starts(stage: &Stage, history: &History) -> Result<Vec<Started>> {
    let mut starts = Vec::new();
    for round in 1..=stage.settings.rounds {
        stage.doing(&format!("P8 {CLEAN}, round {round}"));
        starts.push(start(stage, history)?);
    }
    Ok(starts)
}

fn crashed_starts(stage: &Stage, history: &History) -> Result<Vec<Started>> {
    let mut starts = Vec::new();
    for round in 0..stage.settings.crashes {
        stage.doing(&format!("P8 {CRASH}, round {}", round + 1));
        let tail = stage.settings.tail;
        history.fill(stage, history.messages + round * tail, tail, true)?;
        starts.push(start(stage, history)?);
    }
    Ok(starts)
}

/// Starts the node, waits until it accepts and delivers, and stops it.
fn start(stage: &Stage, history: &History) -> Result<Started> {
    let begun = Instant::now();
    let mut node = Node::start(&stage.openmesh, &history.folder, &[])?;
    let ready_ms = begun.elapsed().as_secs_f64() * 1e3;
    probe(Line::connect(node.address, &node.domain)?, node.domain)?;
    let serves_ms = begun.elapsed().as_secs_f64() * 1e3;
    node.process.settle()?;
    node.process.stop()?;
    Ok(Started { ready_ms, serves_ms })
}

/// Adds starts; tells how long each took until the node listened.
fn add(row: &mut Row, setting: &str, starts: &[Started]) -> Vec<f64> {
    let ready: Vec<f64> = starts.iter().map(|one| one.ready_ms).collect();
    let serves = starts.iter().map(|one| one.serves_ms).collect();
    row.add(setting, OPENMESH, vec![(READY, ready.clone()), (SERVES, serves)]);
    ready
}

fn jetstream(stage: &Stage, messages: u64, row: &mut Row) -> Result<()> {
    let Some(mut nats) = stage.nats("p8-stream", SyncInterval::Default, row)? else {
        return Ok(());
    };
    let mut published = 0;
    while published < messages {
        stage.doing(&format!("P8 {JETSTREAM}: {published} of {messages} messages"));
        let some = PUBLISHED_AT_ONCE.min(messages - published);
        publish(stage, &nats, some, PAYLOAD_BYTES, IN_FLIGHT)?;
        published += some;
    }
    for (setting, crash) in [(CLEAN, false), (CRASH, true)] {
        let mut rounds = Vec::new();
        for _ in 0..stage.settings.crashes {
            if crash {
                nats.process.kill()?
            } else {
                nats.process.stop()?
            }
            let begun = Instant::now();
            let Some(again) = stage.nats("p8-stream", SyncInterval::Default, row)? else {
                return Ok(());
            };
            nats = again;
            nats::Publisher::connect(nats.address, PAYLOAD_BYTES)?.publish_one()?;
            rounds.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        row.add(setting, JETSTREAM, vec![(ACCEPTS, rounds)]);
    }
    drop(nats);
    stage.remove("p8-stream");
    Ok(())
}

fn publish(stage: &Stage, nats: &Nats, messages: u64, payload_bytes: usize, in_flight: usize) -> Result<()> {
    let mut words = ["generate", "--system", "nats"].map(str::to_owned).to_vec();
    words.extend([format!("--address={}", nats.address), format!("--messages={messages}")]);
    words.extend([format!("--payload-bytes={payload_bytes}"), format!("--in-flight={in_flight}")]);
    stage.load::<Measured>(&words).map(drop)
}
