//! P4: request and reply, beside nats-server.

use crate::exchange::Exchanged;
use crate::report::Row;
use crate::run::Stage;
use crate::server::{Nats, Node};
use crate::statistics::{Spread, whole};
use anyhow::Result;
use std::collections::BTreeMap;

const OPENMESH: &str = "OpenMesh";
const SIGNED: &str = "OpenMesh, signed";
const NATS: &str = "nats-server";
const SYSTEMS: [&str; 3] = [OPENMESH, NATS, SIGNED];
const SETTING: &str = "request and reply, 128 B";
const P50: &str = "p50 µs";
const P99: &str = "p99 µs";
const SERVER: &str = "server CPU µs/request";
const GENERATOR: &str = "generator CPU µs/request";
/// Of nats-server's time.
const TIME_MAX: f64 = 1.1;

pub(crate) fn play(stage: &Stage) -> Result<Row> {
    let mut row = Row::new("P4", "request and reply, 128 B each way, one at a time");
    row.how = vec![
        format!(
            "{} requests a round; asker and answerer are two threads of one process, each on a connection of its own",
            whole(stage.settings.requests as u64)
        ),
        "OpenMesh: a `request` with `replyby` to an agent, its reply with `inreplyto`; nothing kept; the connection vouches for its \
         agent, or each message is signed for itself, before the clock starts"
            .to_owned(),
        "nats-server: without JetStream; each request has an inbox of its own to reply to".to_owned(),
    ];
    let node = Node::start(&stage.openmesh, &stage.folder("p4-openmesh")?, &[])?;
    let nats = stage.core_nats("p4-nats", &mut row)?;
    let mut played: BTreeMap<&str, Vec<Exchanged>> = BTreeMap::new();
    for round in 1..=stage.settings.rounds {
        for system in SYSTEMS {
            stage.doing(&format!("P4 round {round}, {system}"));
            let Some(words) = words(stage, system, &node, nats.as_ref()) else { continue };
            played.entry(system).or_default().push(stage.load(&words)?);
        }
    }
    for system in SYSTEMS {
        let Some(rounds) = played.get(system) else { continue };
        let each = |value: fn(&Exchanged) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
        let values = vec![
            (P50, each(|one| one.p50_us)),
            (P99, each(|one| one.p99_us)),
            (SERVER, each(|one| one.server_us.unwrap_or(f64::NAN))),
            (GENERATOR, each(|one| one.generator_us)),
        ];
        row.add(SETTING, system, values);
    }
    judge(&mut row);
    Ok(row)
}

fn words(stage: &Stage, system: &str, node: &Node, nats: Option<&Nats>) -> Option<Vec<String>> {
    let mut words = vec!["exchange".to_owned(), format!("--requests={}", stage.settings.requests)];
    if system == NATS {
        let nats = nats?;
        words.extend([format!("--address={}", nats.address), format!("--server={}", nats.process.id())]);
        return Some(words);
    }
    words.extend([format!("--address={}", node.address), format!("--server={}", node.process.id())]);
    words.push(format!("--domain={}", node.domain));
    words.extend((system == SIGNED).then(|| "--signed".to_owned()));
    Some(words)
}

/// The aims of performance row P4.
fn judge(row: &mut Row) {
    let ratio = |row: &Row, system: &str, value: &str| {
        Spread::of_ratios(row.rounds(SETTING, system, value), row.rounds(SETTING, NATS, value))
    };
    for value in [P50, P99] {
        let reached = ratio(row, OPENMESH, value);
        row.at_most(format!("{value} ÷ {NATS}"), TIME_MAX, " ×", reached);
    }
    for value in [P50, P99] {
        let reached = ratio(row, SIGNED, value);
        row.printed(format!("signed: {value} ÷ {NATS}"), reached);
    }
}
