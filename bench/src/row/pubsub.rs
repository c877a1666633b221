//! P1: publish and subscribe on a topic of which nothing is kept, beside brokers.

use crate::process::Process;
use crate::pubsub::{Passed, window};
use crate::report::Row;
use crate::run::Stage;
use crate::server::{Mosquitto, Nats, Node, Redis, Zenoh};
use crate::settings::{PUBSUB_PAYLOADS, PUBSUB_SUBSCRIBERS, Size};
use crate::statistics::Spread;
use anyhow::Result;
use std::collections::BTreeMap;
use std::net::SocketAddr;

const OPENMESH: &str = "OpenMesh";
const NATS: &str = "nats-server";
const MOSQUITTO: &str = "mosquitto";
const REDIS: &str = "redis";
const ZENOH: &str = "zenoh";

const RATE: &str = "messages/s";
const SERVER: &str = "server CPU µs/message";
const GENERATOR: &str = "generator CPU µs/message";
const P50: &str = "p50 µs";
const P99: &str = "p99 µs";
const LOST: &str = "lost";

/// Messages a second and processor time of the server a message, beside nats-server: with one subscriber, and with eight.
const AIMS: [(usize, f64, f64); 2] = [(1, 1.0, 1.0), (8, 1.2, 0.8)];

struct Servers {
    node: Node,
    nats: Option<Nats>,
    mosquitto: Option<Mosquitto>,
    redis: Option<Redis>,
    zenoh: Option<Zenoh>,
}

/// A server, and how the load names it.
struct Place<'a> {
    system: &'static str,
    protocol: &'static str,
    process: &'a Process,
    address: SocketAddr,
}

pub(crate) fn play(stage: &Stage) -> Result<Row> {
    let mut row = Row::new(
        "P1",
        "publish and subscribe, nothing kept; each message counts once for each who receives it",
    );
    describe(&mut row);
    let servers = Servers::start(stage, &mut row)?;
    for (payload_bytes, size) in payloads(stage) {
        for subscribers in PUBSUB_SUBSCRIBERS {
            let mut played: BTreeMap<&str, Vec<Passed>> = BTreeMap::new();
            let setting = setting(subscribers, size);
            for round in 1..=stage.settings.rounds {
                for place in servers.places() {
                    stage.doing(&format!("P1 {setting}, round {round}, {}", place.system));
                    let passed = servers.load(stage, &place, (subscribers, payload_bytes))?;
                    played.entry(place.system).or_default().push(passed);
                }
            }
            for place in servers.places() {
                add(&mut row, &setting, place.system, played.get(place.system).map(Vec::as_slice));
            }
        }
    }
    judge(stage, &mut row);
    for place in servers.places() {
        let peak = Spread::of(&[place.process.peak_mib()?]);
        row.printed(format!("peak memory of {}, MiB", place.system), peak);
    }
    Ok(row)
}

fn describe(row: &mut Row) {
    row.how = vec![
        "one publisher; at most 2 MiB of payload and 4,096 messages that not every subscriber has seen, for each system alike; \
         up to 256 messages a write"
            .to_owned(),
        "OpenMesh: defaults; a topic that is not pinned; no proofs: the connection vouches for its agent; each message has an id \
         and a time of its own, is admitted, decided by policy, and answered with `passed`; no receipts"
            .to_owned(),
        "nats-server: without JetStream; mosquitto: MQTT 3.1.1, quality of service 0, no limit of what waits for a reader; redis: \
         PUBLISH with replies turned off. None of them answers what is published"
            .to_owned(),
        "zenoh: a router and a load in Python, Zenoh's own library, one process for each subscriber: not as thin as the others; it \
         packs messages together by itself"
            .to_owned(),
        "latencies are those under full load: what waits in the window is in them".to_owned(),
    ];
}

impl Servers {
    fn start(stage: &Stage, row: &mut Row) -> Result<Self> {
        let servers = Self {
            node: Node::start(&stage.openmesh, &stage.folder("p1-openmesh")?, &[])?,
            nats: stage.core_nats("p1-nats", row)?,
            mosquitto: Mosquitto::start(&stage.folder("p1-mosquitto")?)?,
            redis: Redis::start(&stage.folder("p1-redis")?)?,
            zenoh: stage.zenoh("p1-zenoh", row)?,
        };
        for (system, is_there) in [(MOSQUITTO, servers.mosquitto.is_some()), (REDIS, servers.redis.is_some())]
        {
            if !is_there {
                row.not_run.push(format!("{system}: it is not installed"));
            }
        }
        Ok(servers)
    }

    fn places(&self) -> Vec<Place<'_>> {
        let place = |system, protocol, process, address| Place { system, protocol, process, address };
        let mut places = vec![place(OPENMESH, "openmesh", &self.node.process, self.node.address)];
        places.extend(self.nats.iter().map(|server| place(NATS, "nats", &server.process, server.address)));
        let mosquitto = self.mosquitto.iter();
        places.extend(mosquitto.map(|server| place(MOSQUITTO, "mqtt", &server.process, server.address)));
        places.extend(self.redis.iter().map(|server| place(REDIS, "redis", &server.process, server.address)));
        places.extend(self.zenoh.iter().map(|server| place(ZENOH, "", &server.process, server.address)));
        places
    }

    fn load(
        &self,
        stage: &Stage,
        place: &Place<'_>,
        (subscribers, payload_bytes): (usize, usize),
    ) -> Result<Passed> {
        let settings = &stage.settings;
        let load = [
            format!("--subscribers={subscribers}"),
            format!("--payload-bytes={payload_bytes}"),
            format!("--window={}", window(payload_bytes)),
            format!("--warm-up-ms={}", settings.warm_up_ms),
            format!("--load-ms={}", settings.pubsub_ms),
        ];
        if let Some(zenoh) = self.zenoh.as_ref().filter(|_| place.system == ZENOH) {
            return stage.load_by(zenoh.load().args(&load));
        }
        let mut words = vec![
            "pubsub".to_owned(),
            format!("--system={}", place.protocol),
            format!("--address={}", place.address),
            format!("--domain={}", self.node.domain),
            format!("--server={}", place.process.id()),
        ];
        words.extend(load);
        stage.load(&words)
    }
}

fn add(row: &mut Row, setting: &str, system: &str, rounds: Option<&[Passed]>) {
    let Some(rounds) = rounds else { return };
    let each = |value: fn(&Passed) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
    let values = vec![
        (RATE, each(|one| one.per_second)),
        (SERVER, each(|one| one.server_us.unwrap_or(f64::NAN))),
        (GENERATOR, each(|one| one.generator_us)),
        (P50, each(|one| one.p50_us)),
        (P99, each(|one| one.p99_us)),
        (LOST, each(|one| one.lost as f64)),
    ];
    row.add(setting, system, values);
}

/// The payloads of this run: a quick one has the first alone.
fn payloads(stage: &Stage) -> impl Iterator<Item = (usize, &'static str)> {
    let payloads = if stage.settings.size == Size::Quick { 1 } else { PUBSUB_PAYLOADS.len() };
    PUBSUB_PAYLOADS.into_iter().take(payloads)
}

fn setting(subscribers: usize, size: &str) -> String {
    format!("1→{subscribers}, {size}")
}

/// The aims of performance row P1.
fn judge(stage: &Stage, row: &mut Row) {
    for (_, size) in payloads(stage) {
        for (subscribers, rate, server) in AIMS {
            let setting = setting(subscribers, size);
            let ratio = |row: &Row, value: &str| {
                Spread::of_ratios(row.rounds(&setting, OPENMESH, value), row.rounds(&setting, NATS, value))
            };
            let reached = ratio(row, RATE);
            row.at_least(format!("{setting}: messages/s ÷ {NATS}"), rate, " ×", reached);
            let reached = ratio(row, SERVER);
            row.at_most(format!("{setting}: server CPU a message ÷ {NATS}"), server, " ×", reached);
        }
    }
}
