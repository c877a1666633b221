//! Twice as much as a node can do, of every class as much: what it sheds, in which order, and what it never does.
//!
//! What it can do is measured of the same mix, when each connection waits until it is answered. The node has a part of one core,
//! so that what floods it, on the others, can do more.

use super::cores::Cores;
use super::flow::{FRAME, Flow, Mix, Sends};
use super::meters::{CLASSES, Samples};
use super::{OPEN_TO_STRANGERS, memory_bytes, seconds};
use crate::faults::machine::not_run;
use crate::node::{Node, Way, new_key};
use crate::raw_agent::RawAgent;
use openmesh_adapter::quota::cost_of;
use openmesh_message::Scope;
use openmesh_sdk::{Item, Mesh, Performative, TokenTerms};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// For how long there is too much; a campaign says longer.
const FLOOD_SECONDS: &str = "OPENMESH_FLOOD_SECONDS";
const FLOOD_SHORT: u64 = 4;
/// Connections of each class.
const CONNECTIONS: usize = 40;
const MEMORY_MIB: u64 = 256;
/// So much of what the node can do is offered. Not all of it comes to the node: it reads more slowly, and then nothing more can be
/// written. That it is the node's doing shows in what the offering program does with its time: so much of it at most it may need.
const OFFERED: f64 = 2.0;
const BUSY_MAX: f64 = 0.95;
/// Of what it can do, by cost, so much at least still comes through.
const GOOD_MIN: f64 = 0.25;
/// For so long what it can do is measured.
const CAPACITY_TIME: Duration = Duration::from_secs(4);
/// Mail that waits to be worked off meanwhile.
const MAIL: usize = 4_096;
const RECOVERS_WITHIN: Duration = Duration::from_secs(30);
const RECOVERED: f64 = 0.95;
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// Nothing more comes when nothing came for so long.
const QUIET: Duration = Duration::from_secs(5);

/// All that sends, by class.
struct Flood {
    mix: Arc<Mix>,
    flows: Vec<JoinHandle<()>>,
    /// What a message of each class costs.
    costs: [i64; 4],
}

/// How many messages of each class came through, and how many were answered.
#[derive(Clone, Copy)]
struct Stand {
    at: Instant,
    good: [u64; 4],
    answered: [u64; 4],
}

impl Flood {
    async fn connect(node: &Node) -> Self {
        let (mix, mut flows, mut costs) = (Arc::new(Mix::default()), Vec::new(), [0; 4]);
        for (place, class) in CLASSES.into_iter().enumerate() {
            let key = new_key();
            let mesh = Arc::new(node.connect(&key).await);
            if class.ends_with("registered") {
                mesh.register(&class.replace('_', "-"), Some(&node.admin_token())).await.unwrap();
            }
            let is_kept = class.starts_with("kept");
            let sends = if is_kept {
                Sends::Kept(Arc::clone(&mesh), format!("topic:kept/{place}"))
            } else {
                Sends::Passing(Arc::clone(&mesh), format!("topic:passing/{place}"))
            };
            costs[place] = cost_of(&sends.messages(0)[0], is_kept);
            for _ in 0..CONNECTIONS {
                let flow = Flow { sends: sends.clone(), place, mix: Arc::clone(&mix) };
                flows.push(flow.run(node, Arc::clone(&key)).await);
            }
        }
        Self { mix, flows, costs }
    }

    fn stand(&self) -> Stand {
        let counts = self.mix.counts.each_ref();
        let (good, answered) = (counts.map(|counts| counts.good()), counts.map(|counts| counts.answered()));
        Stand { at: Instant::now(), good, answered }
    }

    /// What comes through in a second.
    async fn rate(&self, time: Duration) -> f64 {
        let before = self.stand();
        sleep(time).await;
        a_second(before, |stand| stand.good.iter().sum::<u64>() as f64, self.stand())
    }

    /// What comes through in a second where everybody waits until it is answered.
    async fn capacity(&self) -> f64 {
        self.mix.in_turn();
        self.rate(Duration::from_secs(1)).await;
        self.rate(CAPACITY_TIME).await
    }

    fn cost_of(&self, messages: [u64; 4]) -> f64 {
        messages.iter().zip(self.costs).map(|(messages, cost)| *messages as f64 * cost as f64).sum()
    }

    async fn stop(&mut self) {
        self.mix.stop();
        for flow in self.flows.drain(..) {
            flow.await.unwrap();
        }
    }
}

/// By how much something grew in a second.
fn a_second(from: Stand, of: impl Fn(Stand) -> f64, to: Stand) -> f64 {
    (of(to) - of(from)) / (to.at - from.at).as_secs_f64()
}

/// What was seen while there was too much.
#[derive(Default)]
struct Seen {
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
    flood.mix.in_turn();
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

/// How much of each class was shed.
fn shares(flood: &Flood) -> [f64; 4] {
    flood.mix.counts.each_ref().map(|counts| counts.busy() as f64 / counts.sent().max(1) as f64)
}

/// What is less worth is shed more, and first, as far as two looks can tell.
fn check_order(flood: &Flood, seen: &Seen, shares: [f64; 4]) {
    for (counts, shed) in flood.mix.counts.iter().zip(seen.shed) {
        assert_eq!(counts.other.load(Ordering::Relaxed), 0, "{:?}", counts.odd.lock().unwrap());
        assert_eq!(counts.busy(), shed as u64, "what is refused is counted");
    }
    assert!(seen.pressure_max > 0.0 && shares[0] > 0.0, "there was too much: {shares:?}");
    for pair in shares.windows(2) {
        assert!(pair[0] >= pair[1] - 0.02, "in the order of the classes: {shares:?}");
    }
    for pair in seen.first.windows(2) {
        let first = |first: Option<Duration>| first.unwrap_or(Duration::MAX);
        assert!(
            first(pair[0]) <= first(pair[1]).saturating_add(2 * SAMPLE_EVERY),
            "in the order of the classes: {:?}",
            seen.first
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_shed_in_order_and_nothing_that_was_accepted_is_lost() {
    let (_home, node) = start();
    let cores = match Cores::apart(node.endpoint.pid) {
        Ok(cores) => cores,
        Err(lacks) => return not_run("a flood of more than a node can do", &lacks),
    };
    let worker = fill_inbox(&node).await;
    let mut flood = Flood::connect(&node).await;
    let (_, admin) = node.agent("admin").await;
    let mut node = Arc::new(node);

    let capacity = flood.capacity().await;
    let shed_before = Samples::of(node.http()).shed();
    let frames = OFFERED * capacity / FRAME as f64 / (4 * CONNECTIONS) as f64;
    flood.mix.every(Duration::from_secs_f64(1.0 / frames));
    let stop = Arc::new(AtomicBool::new(false));
    let working = tokio::spawn(work(worker, Arc::clone(&stop)));
    let administering = tokio::spawn(administer(Arc::clone(&node), admin, Arc::clone(&stop)));
    let (mut seen, before, used) = (Seen::default(), flood.stand(), cores.used());
    seen.watch(&node, seconds(FLOOD_SECONDS, FLOOD_SHORT)).await;
    let after = flood.stand();
    let busy = (cores.used() - used).as_secs_f64() / (after.at - before.at).as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let (acknowledged, longest_ack) = working.await.unwrap();
    let administered = administering.await.unwrap();
    let recovered = recover(&flood, capacity).await;
    flood.stop().await;
    drop(cores);
    seen.shed = Samples::of(node.http()).shed();
    let resident_max = memory_bytes(&node, "VmHWM:");
    let shares = shares(&flood);

    let node = Arc::get_mut(&mut node).unwrap();
    node.kill_and_restart();
    let accepted: BTreeSet<u64> =
        flood.mix.counts.iter().flat_map(|counts| counts.tags.lock().unwrap().clone()).collect();
    let readable = readable(node, &accepted).await;
    let lost = accepted.difference(&readable).count();
    let came = a_second(before, |stand| stand.answered.iter().sum::<u64>() as f64, after) / capacity;
    let good = a_second(before, |stand| flood.cost_of(stand.good), after);
    let good = good / (capacity * flood.costs.iter().sum::<i64>() as f64 / 4.0);
    println!(
        "flood: of {CLASSES:?} as much each; the node, on a part of a core, can do {capacity:.0} msg/s of them; \
         {OFFERED} x that was offered for {:.1?}, {came:.2} x was read, {good:.2} x came through by cost; the generator \
         needed {busy:.2} of its cores; shed {:.3?}, first after {:.1?}; RSS at most {} MiB of {MEMORY_MIB}; {acknowledged} acknowledged, the slowest in {longest_ack:.1?}, {administered} registered and revoked; {RECOVERED} x \
         again after {recovered:.1?}; {} accepted, {lost} lost",
        after.at - before.at,
        shares,
        seen.first,
        resident_max >> 20,
        accepted.len(),
    );
    check_order(&flood, &seen, shares);
    let unasked = readable.difference(&accepted).count();
    assert_eq!((lost, unasked), (0, 0), "what was accepted is kept, and nothing else");
    assert_eq!(shed_before, [0.0; 4], "what it can do is not too much");
    assert!(
        came >= OFFERED || busy <= BUSY_MAX,
        "too little was sent: {came:.2} x, with {busy:.2} of the cores"
    );
    assert!(good >= GOOD_MIN, "{good:.2} x came through");
    assert!(resident_max <= MEMORY_MIB << 20, "{} MiB", resident_max >> 20);
    assert!(acknowledged > 0 && administered > 0);
    assert!(recovered.is_some(), "not within {RECOVERS_WITHIN:?}");
}
