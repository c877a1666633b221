//! Twice as much as a node can do, of every class at a time: what it sheds, in which order, and what it never does.

use super::flow::{Counts, FRAME, Flow, Pace, Sends};
use super::meters::{CLASSES, Samples};
use super::{OPEN_TO_STRANGERS, resident_bytes, seconds};
use crate::node::{Node, Way, new_key};
use crate::raw_agent::RawAgent;
use openmesh_message::Scope;
use openmesh_sdk::{Item, Mesh, Performative, TokenTerms};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// For how long there is too much; a campaign says longer.
const FLOOD_SECONDS: &str = "OPENMESH_FLOOD_SECONDS";
const FLOOD_SHORT: u64 = 4;
/// Connections of each class.
const CONNECTIONS: usize = 40;
const MEMORY_MIB: u64 = 192;
const PAYLOAD_BYTES: usize = 512;
/// Mail that waits to be worked off meanwhile.
const MAIL: usize = 4_096;
const RECOVERS_WITHIN: Duration = Duration::from_secs(30);
const RECOVERED: f64 = 0.95;
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// Nothing more comes when nothing came for so long.
const QUIET: Duration = Duration::from_secs(5);

/// All that sends, by class.
struct Flood {
    counts: [Arc<Counts>; 4],
    pace: Arc<Pace>,
    flows: Vec<JoinHandle<()>>,
    /// Kept alive: they draft.
    _agents: Vec<Arc<Mesh>>,
}

impl Flood {
    async fn connect(node: &Node) -> Self {
        let (pace, tags) = (Pace::resting(), Arc::new(AtomicU64::new(1)));
        let counts: [Arc<Counts>; 4] = Default::default();
        let (mut flows, mut agents) = (Vec::new(), Vec::new());
        for (place, class) in CLASSES.into_iter().enumerate() {
            let key = new_key();
            let mesh = Arc::new(node.connect(&key).await);
            if class.ends_with("registered") {
                mesh.register(&class.replace('_', "-"), Some(&node.admin_token())).await.unwrap();
            }
            agents.push(Arc::clone(&mesh));
            for _ in 0..CONNECTIONS {
                let sends = if class.starts_with("kept") {
                    Sends::Kept(Arc::clone(&mesh), format!("topic:kept/{place}"), Arc::clone(&tags))
                } else {
                    Sends::Passing(Arc::clone(&mesh), format!("topic:passing/{place}"))
                };
                let (counts, pace) = (Arc::clone(&counts[place]), Arc::clone(&pace));
                let flow = Flow { sends, counts, pace, payload_bytes: PAYLOAD_BYTES };
                flows.push(flow.run(node, Arc::clone(&key)).await);
            }
        }
        Self { counts, pace, flows, _agents: agents }
    }

    fn good(&self) -> u64 {
        self.counts.iter().map(|counts| counts.good()).sum()
    }

    fn sent(&self) -> u64 {
        self.counts.iter().map(|counts| counts.sent()).sum()
    }

    /// What comes through in a second.
    async fn rate(&self, time: Duration) -> f64 {
        let (before, begun) = (self.good(), Instant::now());
        sleep(time).await;
        (self.good() - before) as f64 / begun.elapsed().as_secs_f64()
    }

    async fn stop(&mut self) {
        self.pace.stop.store(true, Ordering::Relaxed);
        for flow in self.flows.drain(..) {
            flow.await.unwrap();
        }
    }
}

/// What was seen while there was too much.
#[derive(Default)]
struct Seen {
    resident_max: u64,
    pressure_max: f64,
    /// When each class was shed first.
    first: [Option<Duration>; 4],
    shed: [f64; 4],
}

impl Seen {
    async fn watch(&mut self, node: &Node, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            let http = node.http();
            let samples = tokio::task::spawn_blocking(move || Samples::of(http)).await.unwrap();
            self.resident_max = self.resident_max.max(resident_bytes(node));
            self.pressure_max = self.pressure_max.max(samples.pressure("all"));
            self.shed = samples.shed();
            for (first, shed) in self.first.iter_mut().zip(self.shed) {
                if shed > 0.0 {
                    first.get_or_insert(begun.elapsed());
                }
            }
            sleep(SAMPLE_EVERY).await;
        }
    }
}

/// An agent that works off its mail; how much it acknowledged, and the longest that took.
async fn work(worker: Mesh, stop: Arc<AtomicBool>) -> (usize, Duration) {
    let (inbox, mut acknowledged, mut longest) = (worker.inbox(), 0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let leased = inbox.lease(8, Duration::from_secs(60), Duration::ZERO).await.unwrap();
        let Some(first) = leased.first() else { break };
        let numbers: Vec<u64> = leased.iter().map(|leased| leased.number).collect();
        let begun = Instant::now();
        inbox.ack(first.token, &numbers).await.expect("acknowledgements are never shed");
        longest = longest.max(begun.elapsed());
        acknowledged += numbers.len();
        sleep(Duration::from_millis(10)).await;
    }
    (acknowledged, longest)
}

/// An administrator that registers agents and takes rights away.
async fn administer(node: Arc<Node>, admin: Mesh, stop: Arc<AtomicBool>) -> usize {
    let (token, mut done) = (node.admin_token(), 0);
    while !stop.load(Ordering::Relaxed) {
        let expires = openmesh_sdk::now().plus_ms(60_000);
        let scopes = [Scope::Read].into_iter().collect();
        let terms = TokenTerms { scopes, expires, label: String::new(), custodial: false };
        let name = format!("clerk-{done}");
        let issued =
            admin.register_keyless(&name, terms, Some(&token)).await.expect("administration is never shed");
        admin
            .revoke_token(&issued.token.digest(), Some(&token))
            .await
            .expect("nothing is in a revocation's way");
        done += 1;
        sleep(Duration::from_millis(50)).await;
    }
    done
}

/// Mail for an agent, put while there is little else to do.
async fn fill_inbox(node: &Node) -> Mesh {
    let (_, writer) = node.agent("writer").await;
    let (_, worker) = node.agent("worker").await;
    for _ in 0..MAIL / 256 {
        let draft = || {
            let draft = writer.draft("inbox:worker", &Performative::Inform).unwrap();
            draft.payload("application/octet-stream", vec![7; 64])
        };
        let envelopes = writer.sign_batch((0..256).map(|_| draft()).collect()).unwrap();
        assert!(writer.send_batch(envelopes).await.unwrap().iter().all(openmesh_sdk::Sent::is_accepted));
    }
    worker
}

/// How long it takes until as much comes through as before.
async fn recover(flood: &Flood, capacity: f64) -> Option<Duration> {
    flood.pace.answered();
    let begun = Instant::now();
    while begun.elapsed() < RECOVERS_WITHIN {
        if flood.rate(Duration::from_millis(500)).await >= capacity * RECOVERED {
            return Some(begun.elapsed());
        }
    }
    None
}

/// The tags of all that can be read of what is kept.
async fn readable(node: &Node, accepted: &BTreeSet<u64>) -> BTreeSet<u64> {
    let mut reader = RawAgent::connect(node, "reader").await;
    reader.subscribe_from_the_beginning("kept/*", 1).await;
    let (mut tags, mut missing) = (BTreeSet::new(), accepted.len());
    while missing > 0
        && let Ok(items) = timeout(QUIET, reader.read_items()).await
    {
        for item in items {
            if let Item::Message { envelope, .. } = item
                && let Some(tag) = envelope.payload.first_chunk().map(|tag| u64::from_be_bytes(*tag))
                && tags.insert(tag)
            {
                missing -= usize::from(accepted.contains(&tag));
            }
        }
    }
    tags
}

fn start() -> (tempfile::TempDir, Node) {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("node")).unwrap();
    std::fs::write(home.path().join("node/policy.toml"), OPEN_TO_STRANGERS).unwrap();
    let memory = format!("{MEMORY_MIB}MiB");
    let way = Way::with(&["--pin", "kept/**", "--memory-max", &memory, "--stranger-rate", "0"]);
    let node = Node::start_in(home.path(), way);
    (home, node)
}

/// What is less worth is shed more, and first.
fn check_order(flood: &Flood, seen: &Seen) -> [f64; 4] {
    let mut shares = [0.0; 4];
    for ((share, counts), shed) in shares.iter_mut().zip(&flood.counts).zip(seen.shed) {
        assert_eq!(counts.other.load(Ordering::Relaxed), 0, "{:?}", counts.odd.lock().unwrap());
        assert_eq!(counts.busy(), shed as u64, "what is refused is counted");
        *share = counts.busy() as f64 / counts.sent().max(1) as f64;
    }
    assert!(seen.pressure_max > 0.0 && shares[0] > 0.0, "there was too much: {shares:?}");
    for pair in shares.windows(2) {
        assert!(pair[0] >= pair[1] - 0.02, "in the order of the classes: {shares:?}");
    }
    for pair in seen.first.windows(2) {
        let first = |first: Option<Duration>| first.unwrap_or(Duration::MAX);
        assert!(first(pair[0]) <= first(pair[1]), "in the order of the classes: {:?}", seen.first);
    }
    shares
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_shed_in_order_and_nothing_that_was_accepted_is_lost() {
    let (_home, node) = start();
    let worker = fill_inbox(&node).await;
    let mut flood = Flood::connect(&node).await;
    let (_, admin) = node.agent("admin").await;
    let mut node = Arc::new(node);

    flood.pace.answered();
    flood.rate(Duration::from_secs(1)).await;
    let capacity = flood.rate(Duration::from_secs(2)).await;
    let sent_before = flood.sent();
    let frames = 2.0 * capacity / FRAME as f64 / (4 * CONNECTIONS) as f64;
    flood.pace.every(Duration::from_secs_f64(1.0 / frames));
    let stop = Arc::new(AtomicBool::new(false));
    let working = tokio::spawn(work(worker, Arc::clone(&stop)));
    let administering = tokio::spawn(administer(Arc::clone(&node), admin, Arc::clone(&stop)));
    let (mut seen, time) = (Seen::default(), seconds(FLOOD_SECONDS, FLOOD_SHORT));
    let good_before = flood.good();
    seen.watch(&node, time).await;
    let offered = (flood.sent() - sent_before) as f64 / time.as_secs_f64();
    let meanwhile = (flood.good() - good_before) as f64 / time.as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let (acknowledged, longest_ack) = working.await.unwrap();
    let administered = administering.await.unwrap();
    let recovered = recover(&flood, capacity).await;
    flood.stop().await;
    seen.shed = Samples::of(node.http()).shed();
    let shares = check_order(&flood, &seen);

    let node = Arc::get_mut(&mut node).unwrap();
    node.kill_and_restart();
    let accepted: BTreeSet<u64> =
        flood.counts.iter().flat_map(|counts| counts.tags.lock().unwrap().clone()).collect();
    let readable = readable(node, &accepted).await;
    let lost = accepted.difference(&readable).count();
    println!(
        "flood: {time:?} at {offered:.0} msg/s, {:.1} x the {capacity:.0} of before; {meanwhile:.0} came through; \
         shed of {CLASSES:?}: {:.3?}, first after {:?}; RSS at most {} MiB of {MEMORY_MIB}; {acknowledged} \
         acknowledged, the slowest in {longest_ack:?}, {administered} registered and revoked; as before after \
         {recovered:?}; {} accepted, {lost} lost",
        offered / capacity,
        shares,
        seen.first,
        seen.resident_max >> 20,
        accepted.len(),
    );
    let unasked = readable.difference(&accepted).count();
    assert_eq!((lost, unasked), (0, 0), "what was accepted is kept, and nothing else");
    assert!(seen.resident_max <= MEMORY_MIB << 20, "{} MiB", seen.resident_max >> 20);
    assert!(acknowledged > 0 && administered > 0);
    assert!(recovered.is_some(), "not within {RECOVERS_WITHIN:?}");
}
