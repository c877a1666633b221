//! Under a full backlog of bulk, critical mail arrives as before: inboxes full of bulk that are worked off and filled
//! again; and so do critical live messages to an agent whose way out is full of bulk.
//!
//! Medians are compared on any machine. `OPENMESH_URGENT_PERCENTILE` compares another percentile: `cargo xtask campaign
//! urgent` the 99th, of a release build with the machine to itself.

use crate::node::Node;
use openmesh_sdk::{ConnectOptions, DomainId, Envelope, KeyPair, Mesh, Performative, Priority, Sent, Start};
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rounds with and without the load, one after the other, so that noise strikes both alike.
const ROUNDS: usize = 5;
const MESSAGES_PER_ROUND: usize = 200;
/// The percentile that is compared.
const PERCENTILE: usize = 50;
/// Bulk mail that waits in the worker's inbox: as much as one sender may leave.
const BACKLOG: usize = 100_000;
const BATCH: usize = 250;
const SECOND: Duration = Duration::from_secs(1);
/// How many it then offers: as much as the second worker works off.
const OFFERED: usize = 32;
/// How long a sender waits before it offers again what there was no room for.
const AGAIN: Duration = Duration::from_millis(25);
/// How long the second worker has each lease.
const WORK: Duration = Duration::from_millis(50);
/// Bulk that is published at once, and how often.
const PUBLISHED: usize = 50;
const PUBLISHING: Duration = Duration::from_millis(20);
/// What the load is told: the node's address and domain, and what it is to do.
const TOLD: &str = "OPENMESH_TEST_LOAD";
const MAIL: &str = "mail";
const LIVE: &str = "live";
const WORKER: u8 = 1;
const SENDER: u8 = 2;
const BULK_SENDER: u8 = 3;
const PUBLISHER: u8 = 4;
const BULK_WORKER: u8 = 5;

fn key(seed: u8) -> Arc<KeyPair> {
    Arc::new(KeyPair::from_seed(&[seed; 32]).unwrap())
}

fn bulk(mesh: &Mesh, to: &str, count: usize) -> Vec<Envelope> {
    let draft = || {
        let draft = mesh.draft(to, &Performative::Inform).unwrap().priority(Priority::Bulk);
        draft.payload("application/octet-stream", vec![7; 200])
    };
    mesh.sign_batch((0..count).map(|_| draft()).collect()).unwrap()
}

async fn fill(mesh: &Mesh, to: &str) {
    for _ in 0..BACKLOG / BATCH {
        let sent = mesh.send_batch(bulk(mesh, to, BATCH)).await.unwrap();
        assert!(sent.iter().all(Sent::is_accepted), "{:?}", sent.iter().find(|sent| !sent.is_accepted()));
    }
}

/// The load: a process of its own that gives way to others, so that the node is measured and not the machine.
#[test]
#[ignore = "started by the test of this file"]
fn load() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let told: Vec<_> = told.split(' ').collect();
    let (address, domain): (SocketAddr, DomainId) = (told[0].parse().unwrap(), told[1].parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connect =
            async |seed| Mesh::connect(&ConnectOptions::new(address, domain, key(seed))).await.unwrap();
        match told[2] {
            MAIL => {
                let (first, second) = (connect(BULK_SENDER).await, connect(BULK_SENDER).await);
                let worker = connect(BULK_WORKER).await;
                tokio::join!(
                    keep_full(first, "inbox:worker"),
                    keep_full(second, "inbox:bulk-worker"),
                    work_off(worker)
                );
            }
            _ => publish(connect(PUBLISHER).await).await,
        }
    });
}

fn start_load(node: &Node, kind: &str) -> Child {
    let told = format!("{} {} {kind}", node.endpoint.address, node.endpoint.domain);
    let mut command = Command::new("nice");
    command.args(["-n", "19"]).arg(std::env::current_exe().unwrap());
    command.args(["mail::urgent::load", "--exact", "--ignored"]).env(TOLD, told);
    command.stdout(std::process::Stdio::null()).spawn().unwrap()
}

/// Offers bulk as long as there is room, and again a little later when there is none.
async fn keep_full(mesh: Mesh, to: &str) {
    loop {
        let sent = mesh.send_batch(bulk(&mesh, to, OFFERED)).await.unwrap();
        if sent.iter().any(|sent| !sent.is_accepted()) {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Publishes bulk to a topic that the worker listens to, and does not read.
async fn publish(mesh: Mesh) {
    loop {
        for _ in 0..PUBLISHED {
            let draft = mesh.draft("topic:noise/a", &Performative::Inform).unwrap().priority(Priority::Bulk);
            let envelope = mesh.unsigned(draft.payload("application/octet-stream", vec![7; 1_000])).unwrap();
            drop(mesh.submit(envelope).await.unwrap());
        }
        tokio::time::sleep(PUBLISHING).await;
    }
}

/// Leases much and works long.
async fn work_off(mesh: Mesh) {
    let inbox = mesh.inbox();
    loop {
        let leased = inbox.lease(64, 60 * SECOND, SECOND).await.unwrap();
        tokio::time::sleep(WORK).await;
        if let Some(first) = leased.first() {
            inbox.ack(first.token, &[]).await.unwrap();
        }
    }
}

/// How long it takes until the worker has critical mail out of its inbox.
async fn time_mail(sender: &Mesh, worker: &Mesh) -> Vec<Duration> {
    let inbox = worker.inbox();
    let mut times = Vec::with_capacity(MESSAGES_PER_ROUND);
    for _ in 0..MESSAGES_PER_ROUND {
        let draft = sender.draft("inbox:worker", &Performative::Inform).unwrap();
        let draft = draft.priority(Priority::Critical).payload("text/plain", "now");
        let envelope = sender.sign(draft).unwrap();
        let waiting = async {
            let leased = inbox.lease_from(Priority::Critical, 1, 60 * SECOND, 30 * SECOND).await.unwrap();
            (leased, Instant::now())
        };
        let sending = async {
            // The lease waits before the mail is sent.
            tokio::time::sleep(Duration::from_millis(10)).await;
            let start = Instant::now();
            (start, sender.submit(envelope).await.unwrap())
        };
        let ((leased, arrived), (start, pending)) = tokio::join!(waiting, sending);
        times.push(arrived.duration_since(start));
        pending.await.accepted().unwrap();
        inbox.ack(leased[0].token, &[]).await.unwrap();
    }
    times
}

/// The same until a critical message to an agent that also listens to the flooded topic has arrived.
async fn time_live(sender: &Mesh, incoming: &mut openmesh_sdk::Subscription) -> Vec<Duration> {
    let mut times = Vec::with_capacity(MESSAGES_PER_ROUND);
    for _ in 0..MESSAGES_PER_ROUND {
        let draft = sender.draft("agent:worker", &Performative::Inform).unwrap();
        let draft = draft.priority(Priority::Critical).payload("text/plain", "now");
        let envelope = sender.unsigned(draft).unwrap();
        let start = Instant::now();
        let pending = sender.submit(envelope).await.unwrap();
        incoming.next_message().await.unwrap();
        times.push(start.elapsed());
        assert!(matches!(pending.await, Sent::Passed));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[times.len() * percent / 100]
}

/// Times without the load and under it.
#[derive(Default)]
struct Times {
    idle: Vec<Duration>,
    loaded: Vec<Duration>,
}

impl Times {
    /// Prints them, and holds the percentile that is compared to twice that without the load.
    fn compare(mut self, what: &str) {
        for percent in [50, 90, 99] {
            let (idle, loaded) = (percentile(&mut self.idle, percent), percentile(&mut self.loaded, percent));
            let ratio = loaded.as_secs_f64() / idle.as_secs_f64();
            println!(
                "p{percent} of {what}: idle {idle:?}, under a backlog of bulk {loaded:?}, {ratio:.2} times"
            );
        }
        let percent = std::env::var("OPENMESH_URGENT_PERCENTILE").ok().and_then(|text| text.parse().ok());
        let percent = percent.unwrap_or(PERCENTILE);
        let (idle, loaded) = (percentile(&mut self.idle, percent), percentile(&mut self.loaded, percent));
        assert!(loaded <= idle * 2, "p{percent} of {what}: idle {idle:?}, loaded {loaded:?}");
    }
}

/// A node with the agents of this test.
async fn stage() -> (Node, Vec<Mesh>) {
    let node = Node::start(&[]);
    let mut agents = Vec::new();
    for (seed, name) in [
        (WORKER, "worker"),
        (SENDER, "sender"),
        (BULK_SENDER, "bulk-sender"),
        (PUBLISHER, "publisher"),
        (BULK_WORKER, "bulk-worker"),
    ] {
        let mesh = node.connect(&key(seed)).await;
        mesh.register(name, Some(&node.admin_token())).await.unwrap();
        agents.push(mesh);
    }
    (node, agents)
}

fn end(mut load: Child) {
    load.kill().unwrap();
    load.wait().unwrap();
}

#[tokio::test]
async fn critical_mail_arrives_as_before_under_a_full_backlog_of_bulk() {
    let (node, agents) = stage().await;
    fill(&agents[2], "inbox:worker").await;
    fill(&agents[2], "inbox:bulk-worker").await;
    let (worker, sender) = (&agents[0], &agents[1]);
    let mut times = Times::default();
    for _ in 0..ROUNDS {
        times.idle.extend(time_mail(sender, worker).await);
        let load = start_load(&node, MAIL);
        tokio::time::sleep(SECOND).await;
        times.loaded.extend(time_mail(sender, worker).await);
        end(load);
        tokio::time::sleep(SECOND).await;
    }
    let counts = worker.inbox().counts().await.unwrap();
    assert!(counts.is_conserved() && counts.pending as usize >= BACKLOG, "{counts:?}");
    times.compare("critical mail");
}

#[tokio::test]
async fn critical_live_messages_arrive_past_bulk() {
    let (node, agents) = stage().await;
    let (worker, sender) = (&agents[0], &agents[1]);
    let mut incoming = worker.incoming().unwrap();
    let _noise = worker.subscribe("topic:noise/*", Start::Next).await.unwrap();
    let mut times = Times::default();
    for _ in 0..ROUNDS {
        times.idle.extend(time_live(sender, &mut incoming).await);
        let load = start_load(&node, LIVE);
        tokio::time::sleep(SECOND).await;
        times.loaded.extend(time_live(sender, &mut incoming).await);
        end(load);
        tokio::time::sleep(SECOND).await;
    }
    times.compare("critical live messages");
}
