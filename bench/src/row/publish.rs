//! P2: durable publish, beside a raw loop and JetStream.

use crate::generate::Measured;
use crate::report::Row;
use crate::run::Stage;
use crate::server::{Nats, Node, SyncInterval};
use crate::settings::IN_FLIGHT;
use crate::statistics::{Spread, whole};
use anyhow::Result;
use std::collections::BTreeMap;

const RAW: &str = "raw append + fdatasync";
const OPENMESH: &str = "OpenMesh";
const DEFAULT: &str = "JetStream default";
const ALWAYS: &str = "JetStream sync always";
const SYSTEMS: [&str; 4] = [RAW, OPENMESH, DEFAULT, ALWAYS];

const P50: &str = "p50 µs";
const P99: &str = "p99 µs";
const RATE: &str = "messages/s";
const SERVER: &str = "server CPU µs/message";
const BEHIND: &str = "with what it does afterwards";
const GENERATOR: &str = "generator CPU µs/message";

struct Servers {
    node: Node,
    default: Option<Nats>,
    always: Option<Nats>,
}

/// One run of one system, with the server's processor time until it was quiet again.
struct Played {
    measured: Measured,
    behind_us: Option<f64>,
}

pub(crate) fn play(stage: &Stage) -> Result<Row> {
    let mut row = Row::new("P2", "durable publish, 512 B, acknowledged after fdatasync");
    describe(&mut row);
    let servers = Servers {
        node: Node::start(&stage.openmesh, &stage.folder("p2-openmesh")?, &[])?,
        default: stage.nats("p2-default", SyncInterval::Default, &mut row)?,
        always: stage.nats("p2-always", SyncInterval::Always, &mut row)?,
    };
    for in_flight in IN_FLIGHT {
        let mut played: BTreeMap<&str, Vec<Played>> = BTreeMap::new();
        for round in 1..=stage.settings.rounds {
            for system in SYSTEMS {
                stage.doing(&format!("P2 {in_flight} in flight, round {round}, {system}"));
                if let Some(one) = load(stage, &servers, system, in_flight)? {
                    played.entry(system).or_default().push(one);
                }
            }
        }
        add(&mut row, in_flight, &played);
    }
    judge(&mut row);
    let memory = servers.node.process.peak_mib()?;
    row.printed("peak memory of the node, MiB", Spread::of(&[memory]));
    if let Some(nats) = &servers.default {
        row.printed("peak memory of nats-server, MiB", Spread::of(&[nats.process.peak_mib()?]));
    }
    Ok(row)
}

fn describe(row: &mut Row) {
    row.how = vec![
        "OpenMesh: defaults; a pinned untyped topic; signatures in batches of 256, made before the clock starts; \
         all checks run: proof, time, policy, repeats; receipts signed, and accepted ones counted"
            .to_owned(),
        "JetStream: file store, one replica, PubAck for each; default: acknowledged before it is synced; always: synced first".to_owned(),
        "raw: the same payload bytes appended to a reserved file, one fdatasync for all that wait".to_owned(),
    ];
}

fn load(stage: &Stage, servers: &Servers, system: &str, in_flight: usize) -> Result<Option<Played>> {
    let mut arguments = vec!["generate".to_owned()];
    let process = match system {
        RAW => {
            arguments.extend(["--system".to_owned(), "raw".to_owned(), "--file".to_owned()]);
            arguments.push(stage.folder("p2-raw")?.join("records").display().to_string());
            None
        }
        OPENMESH => {
            let (address, domain) = (servers.node.address.to_string(), servers.node.domain.to_string());
            arguments.extend(["--system".to_owned(), "openmesh".to_owned(), "--address".to_owned(), address]);
            arguments.extend(["--domain".to_owned(), domain]);
            Some(&servers.node.process)
        }
        _ => {
            let nats = if system == DEFAULT { &servers.default } else { &servers.always };
            let Some(nats) = nats else {
                return Ok(None);
            };
            arguments.extend(["--system".to_owned(), "nats".to_owned()]);
            arguments.extend(["--address".to_owned(), nats.address.to_string()]);
            Some(&nats.process)
        }
    };
    let settings = &stage.settings;
    arguments.extend(["--in-flight".to_owned(), in_flight.to_string()]);
    arguments.extend(["--warm-up-ms".to_owned(), settings.warm_up_ms.to_string()]);
    arguments.extend(["--load-ms".to_owned(), settings.publish_ms.to_string()]);
    if let Some(process) = process {
        arguments.extend(["--server".to_owned(), process.id().to_string()]);
    }
    let measured: Measured = stage.load(&arguments)?;
    let behind_us = process.map(|process| process.settle()).transpose()?;
    let behind_us = behind_us.map(|us| us / measured.messages as f64);
    Ok(Some(Played { measured, behind_us }))
}

fn add(row: &mut Row, in_flight: usize, played: &BTreeMap<&str, Vec<Played>>) {
    for system in SYSTEMS {
        let Some(rounds) = played.get(system) else {
            continue;
        };
        let each = |value: fn(&Played) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
        let server = |value: &Played| value.measured.server_us.unwrap_or(f64::NAN);
        let values = vec![
            (RATE, each(|one| one.measured.per_second)),
            (P50, each(|one| one.measured.p50_us)),
            (P99, each(|one| one.measured.p99_us)),
            (SERVER, rounds.iter().map(server).collect()),
            (BEHIND, rounds.iter().map(|one| server(one) + one.behind_us.unwrap_or(0.0)).collect()),
            (GENERATOR, each(|one| one.measured.generator_us)),
        ];
        row.add(&setting(in_flight), system, values);
    }
}

fn setting(in_flight: usize) -> String {
    format!("{} in flight", whole(in_flight as u64))
}

/// The aims of performance row P2.
fn judge(row: &mut Row) {
    for (in_flight, beyond_us) in [(1, 150.0), (64, 400.0)] {
        let setting = setting(in_flight);
        let beyond =
            Spread::of_differences(row.rounds(&setting, OPENMESH, P50), row.rounds(&setting, RAW, P50));
        row.at_most(format!("{setting}: p50 beyond raw"), beyond_us, " µs", beyond);
    }
    let ratio = |row: &Row, in_flight: usize, peer: &str| {
        let setting = setting(in_flight);
        Spread::of_ratios(row.rounds(&setting, OPENMESH, RATE), row.rounds(&setting, peer, RATE))
    };
    let to_raw = ratio(row, 1_000, RAW);
    row.printed("1,000 in flight: messages/s ÷ raw", to_raw);
    for (in_flight, least) in [(1, 1.0), (64, 5.0), (1_000, 25.0)] {
        let reached = ratio(row, in_flight, ALWAYS);
        row.at_least(format!("{}: messages/s ÷ {ALWAYS}", setting(in_flight)), least, " ×", reached);
    }
    let reached = ratio(row, 1_000, DEFAULT);
    row.at_least(format!("1,000 in flight: messages/s ÷ {DEFAULT}, unsynced"), 0.7, " ×", reached);
}
