//! P5: inboxes, beside durable pull consumers of JetStream.

use crate::generate::Measured;
use crate::mail::{Drained, Woken};
use crate::process::Process;
use crate::report::Row;
use crate::run::Stage;
use crate::server::{Nats, Node, SyncInterval};
use crate::statistics::{Spread, whole};
use anyhow::Result;

const OPENMESH: &str = "OpenMesh";
const ALWAYS: &str = "JetStream sync always";
const DEFAULT: &str = "JetStream default";
const RAW: &str = "raw append + fdatasync";
const WAKE: &str = "put → wake";
const DRAIN: &str = "drain";
const P50: &str = "p50 µs";
const P99: &str = "p99 µs";
const FIRST: &str = "first message ms";
const RATE: &str = "messages/s";
const MEMORY: [&str; 3] = ["MiB before", "MiB with the backlog", "MiB after"];
/// Messages to a topic before the backlog: what a server keeps room for that works, it keeps with or without mail.
const WORKED_MESSAGES: usize = 20_000;
/// Messages in flight while an inbox is filled.
const FILL_IN_FLIGHT: usize = 1_000;
/// Messages of one sender, whose quota is as many.
const SENDER_MESSAGES: usize = 100_000;

/// A server with one inbox.
struct Place<'a> {
    system: &'static str,
    process: &'a Process,
    /// Which server, for the load.
    arguments: Vec<String>,
}

pub(crate) fn play(stage: &Stage) -> Result<Row> {
    let mut row = Row::new("P5", "inbox: put → wake of a waiting agent, and a backlog worked off");
    row.how = vec![
        format!(
            "512 B; {} messages put one at a time for an agent that waits; the raw loop writes and syncs as many bytes",
            whole(stage.settings.wakes as u64)
        ),
        format!(
            "backlog of {} messages, taken in batches of up to 256, four at a time; OpenMesh: each lease and its acknowledgement synced",
            whole(stage.settings.backlog as u64)
        ),
        "JetStream: durable pull consumer, explicit acknowledgements; the backlog at its default, unsynced"
            .to_owned(),
        "memory: resident, of the server at rest: it does nothing, and has done nothing for seven seconds"
            .to_owned(),
    ];
    wake(stage, &mut row)?;
    drain(stage, &mut row)?;
    Ok(row)
}

fn wake(stage: &Stage, row: &mut Row) -> Result<()> {
    let node = Node::start(&stage.openmesh, &stage.folder("p5-wake")?, &[])?;
    let nats = stage.nats("p5-always", SyncInterval::Always, row)?;
    let mut rounds: [Vec<Woken>; 3] = Default::default();
    let [raw, ours, theirs] = &mut rounds;
    let messages = stage.settings.wakes;
    for round in 1..=stage.settings.rounds {
        stage.doing(&format!("P5 {WAKE}, round {round}"));
        raw.push(raw_wake(stage, messages)?);
        ours.push(stage.load(&node_place(&node).words("wake", messages))?);
        node.process.settle()?;
        if let Some(nats) = &nats {
            theirs.push(stage.load(&nats_place(nats, ALWAYS).words("wake", messages))?);
        }
    }
    for (system, rounds) in [RAW, OPENMESH, ALWAYS].into_iter().zip(&rounds) {
        let each = |value: fn(&Woken) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
        row.add(WAKE, system, vec![(P50, each(|one| one.p50_us)), (P99, each(|one| one.p99_us))]);
    }
    let ratio =
        |row: &Row, peer| Spread::of_ratios(row.rounds(WAKE, OPENMESH, P99), row.rounds(WAKE, peer, P99));
    let to_peer = ratio(row, ALWAYS);
    row.at_most(format!("{WAKE}: p99 ÷ {ALWAYS}"), 1.0, " ×", to_peer);
    let to_raw = ratio(row, RAW);
    row.at_most(format!("{WAKE}: p99 ÷ raw fdatasync"), 1.5, " ×", to_raw);
    Ok(())
}

/// As many appends and syncs, one at a time.
fn raw_wake(stage: &Stage, messages: usize) -> Result<Woken> {
    let file = stage.folder("p5-raw")?.join("records").display().to_string();
    let mut words: Vec<String> =
        ["generate", "--system", "raw", "--in-flight", "1", "--file"].map(str::to_owned).to_vec();
    words.extend([file, "--messages".to_owned(), messages.to_string()]);
    let Measured { p50_us, p99_us, .. } = stage.load(&words)?;
    Ok(Woken { p50_us, p99_us })
}

fn drain(stage: &Stage, row: &mut Row) -> Result<()> {
    let mut rounds: [Vec<(Drained, [f64; 3])>; 2] = Default::default();
    let [ours, theirs] = &mut rounds;
    let mut worked = Vec::new();
    for round in 1..=stage.settings.backlog_rounds {
        let name = format!("p5-backlog-{round}");
        let node = Node::start(&stage.openmesh, &stage.folder(&name)?, &[])?;
        worked.push(worked_mib(stage, &node_place(&node))?);
        drop(node);
        stage.remove(&name);
        let node = Node::start(&stage.openmesh, &stage.folder(&name)?, &[])?;
        ours.push(one_backlog(stage, &node_place(&node))?);
        drop(node);
        stage.remove(&name);
        let name = format!("p5-stream-{round}");
        if let Some(nats) = stage.nats(&name, SyncInterval::Default, row)? {
            theirs.push(one_backlog(stage, &nats_place(&nats, DEFAULT))?);
        }
        stage.remove(&name);
    }
    for (system, rounds) in [OPENMESH, DEFAULT].into_iter().zip(&rounds) {
        let drained = |value: fn(&Drained) -> f64| rounds.iter().map(|(one, _)| value(one)).collect();
        let mut values = vec![(RATE, drained(|one| one.per_second)), (FIRST, drained(|one| one.first_ms))];
        for (place, name) in MEMORY.into_iter().enumerate() {
            let memory = rounds.iter().filter_map(|(_, memory)| memory.get(place).copied());
            values.push((name, memory.collect()));
        }
        row.add(DRAIN, system, values);
    }
    judge_drain(row, &worked);
    Ok(())
}

fn judge_drain(row: &mut Row, worked: &[f64]) {
    let [before, with, _] = MEMORY;
    let rate = Spread::of_ratios(row.rounds(DRAIN, OPENMESH, RATE), row.rounds(DRAIN, DEFAULT, RATE));
    row.at_least(format!("{DRAIN}: messages/s ÷ {DEFAULT}"), 1.0, " ×", rate);
    let grown =
        Spread::of_differences(row.rounds(DRAIN, OPENMESH, with), row.rounds(DRAIN, OPENMESH, before));
    row.at_most("memory of the backlog", 64.0, " MiB", grown);
    let mail = Spread::of_differences(row.rounds(DRAIN, OPENMESH, with), worked);
    row.printed("of it beyond what as many messages in flight leave that are no mail, MiB", mail);
    let first = Spread::of(row.rounds(DRAIN, OPENMESH, FIRST));
    row.at_most("first message of the backlog", 50.0, " ms", first);
}

/// A node's memory after messages to a topic, as many in flight as when an inbox is filled.
fn worked_mib(stage: &Stage, place: &Place<'_>) -> Result<f64> {
    stage.load::<Measured>(&place.loaded(&[], WORKED_MESSAGES))?;
    place.process.rest()?;
    place.process.memory_mib()
}

/// Fills an inbox and works it off; with the server's memory before, between and after.
fn one_backlog(stage: &Stage, place: &Place<'_>) -> Result<(Drained, [f64; 3])> {
    let messages = stage.settings.backlog;
    stage.load::<Option<()>>(&place.words("open", 0))?;
    place.process.settle()?;
    let before = place.process.memory_mib()?;
    let mut filled = 0;
    while filled < messages {
        stage.doing(&format!("P5 {}: filling, {filled} of {messages}", place.system));
        let some = SENDER_MESSAGES.min(messages - filled);
        stage.load::<Measured>(&place.loaded(&["--mail"], some))?;
        filled += some;
    }
    place.process.rest()?;
    let with = place.process.memory_mib()?;
    stage.doing(&format!("P5 {}: draining", place.system));
    let drained = stage.load(&place.words("drain", messages))?;
    place.process.rest()?;
    Ok((drained, [before, with, place.process.memory_mib()?]))
}

fn node_place(node: &Node) -> Place<'_> {
    let arguments =
        ["--address".to_owned(), node.address.to_string(), "--domain".to_owned(), node.domain.to_string()];
    Place { system: OPENMESH, process: &node.process, arguments: arguments.to_vec() }
}

fn nats_place<'a>(nats: &'a Nats, system: &'static str) -> Place<'a> {
    let arguments = vec!["--address".to_owned(), nats.address.to_string()];
    Place { system, process: &nats.process, arguments }
}

impl Place<'_> {
    fn words(&self, work: &str, messages: usize) -> Vec<String> {
        let mut words = vec!["mail".to_owned(), work.to_owned()];
        words.extend(["--messages".to_owned(), messages.to_string()]);
        words.extend(self.arguments.iter().cloned());
        words
    }

    fn loaded(&self, with: &[&str], messages: usize) -> Vec<String> {
        let system = if self.system == OPENMESH { "openmesh" } else { "nats" };
        let words = ["generate", "--system", system].into_iter().chain(with.iter().copied());
        let mut words: Vec<String> = words.map(str::to_owned).collect();
        words.extend(["--messages".to_owned(), messages.to_string()]);
        words.extend(["--in-flight".to_owned(), FILL_IN_FLIGHT.to_string()]);
        words.extend(self.arguments.iter().cloned());
        words
    }
}
