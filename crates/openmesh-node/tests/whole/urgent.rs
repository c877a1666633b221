//! Under a full backlog of bulk, critical mail arrives as before: an inbox of bulk, bulk senders with full windows, and a
//! subscriber's way out full of bulk.

use crate::node::Node;
use openmesh_sdk::{Envelope, Mesh, Performative, Priority, Sent, Start};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Rounds with and without the load, one after the other, so that noise strikes both alike.
const ROUNDS: usize = 7;
const MESSAGES_PER_ROUND: usize = 200;
/// Bulk mail that waits in the worker's inbox.
const BACKLOG: usize = 100_000;
const BATCH: usize = 250;
const FLOODS: usize = 2;
const SECOND: Duration = Duration::from_secs(1);

fn bulk(mesh: &Mesh, to: &str, count: usize) -> Vec<Envelope> {
    let draft = || {
        let draft = mesh.draft(to, &Performative::Inform).unwrap().priority(Priority::Bulk);
        draft.payload("application/octet-stream", vec![7; 200])
    };
    mesh.sign_batch((0..count).map(|_| draft()).collect()).unwrap()
}

async fn fill(mesh: &Mesh, count: usize) {
    for _ in 0..count / BATCH {
        let sent = mesh.send_batch(bulk(mesh, "inbox:worker", BATCH)).await.unwrap();
        assert!(sent.iter().all(Sent::is_accepted), "{:?}", sent.iter().find(|sent| !sent.is_accepted()));
    }
}

/// What goes on besides: started and stopped each round.
struct Load {
    goes_on: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<u64>>,
}

impl Load {
    async fn stop(self) -> u64 {
        self.goes_on.store(false, Ordering::Relaxed);
        let mut done = 0;
        for task in self.tasks {
            done += task.await.unwrap();
        }
        done
    }
}

/// Agents that take part in the measurement and in the load.
struct Stage {
    sender: Mesh,
    worker: Mesh,
    slow_worker: Mesh,
    floods: Vec<Mesh>,
    publisher: Mesh,
}

impl Stage {
    fn load(&self, runtime: &Runtime) -> Load {
        let goes_on = Arc::new(AtomicBool::new(true));
        let mut tasks = Vec::new();
        for flood in &self.floods {
            tasks.push(runtime.spawn(flood_inbox(flood.clone(), Arc::clone(&goes_on))));
        }
        tasks.push(runtime.spawn(flood_topic(self.publisher.clone(), Arc::clone(&goes_on))));
        tasks.push(runtime.spawn(work_slowly(self.slow_worker.clone(), Arc::clone(&goes_on))));
        Load { goes_on, tasks }
    }

    /// The 99th percentile of the times until the worker has critical mail out of its inbox.
    async fn time_mail(&self) -> Duration {
        let inbox = self.worker.inbox();
        let mut times = Vec::with_capacity(MESSAGES_PER_ROUND);
        for _ in 0..MESSAGES_PER_ROUND {
            let draft = self.sender.draft("inbox:worker", &Performative::Inform).unwrap();
            let draft = draft.priority(Priority::Critical).payload("text/plain", "now");
            let envelope = self.sender.sign(draft).unwrap();
            let waiting = inbox.lease_from(Priority::Critical, 1, 60 * SECOND, 30 * SECOND);
            let sending = async {
                // The lease waits before the mail is sent.
                tokio::time::sleep(Duration::from_millis(2)).await;
                let start = Instant::now();
                let pending = self.sender.submit(envelope).await.unwrap();
                (start, pending)
            };
            let (leased, (start, pending)) =
                tokio::join!(async { (waiting.await.unwrap(), Instant::now()) }, sending);
            let (leased, arrived) = leased;
            times.push(arrived.duration_since(start));
            assert!(pending.await.is_accepted());
            assert_eq!(leased.len(), 1);
            inbox.ack(leased[0].token, &[]).await.unwrap();
        }
        percentile(times)
    }

    /// The same until a critical message to an agent that also listens to the flooded topic has arrived.
    async fn time_live(&self, incoming: &mut openmesh_sdk::Subscription) -> Duration {
        let mut times = Vec::with_capacity(MESSAGES_PER_ROUND);
        for _ in 0..MESSAGES_PER_ROUND {
            let draft = self.sender.draft("agent:worker", &Performative::Inform).unwrap();
            let draft = draft.priority(Priority::Critical).payload("text/plain", "now");
            let envelope = self.sender.unsigned(draft).unwrap();
            let start = Instant::now();
            let pending = self.sender.submit(envelope).await.unwrap();
            incoming.next_message().await.unwrap();
            times.push(start.elapsed());
            assert!(matches!(pending.await, Sent::Passed));
        }
        percentile(times)
    }
}

/// Sends bulk to the worker's inbox with as much under way as the node lets it.
async fn flood_inbox(mesh: Mesh, goes_on: Arc<AtomicBool>) -> u64 {
    let mut sent = 0;
    let mut pending = std::collections::VecDeque::new();
    while goes_on.load(Ordering::Relaxed) {
        for envelope in bulk(&mesh, "inbox:worker", BATCH) {
            pending.push_back(mesh.submit(envelope).await.unwrap());
            sent += 1;
        }
        while pending.len() > 8_000 {
            let _ = pending.pop_front().unwrap().await;
        }
    }
    sent
}

/// Publishes bulk to the topic that the worker listens to, faster than it reads.
async fn flood_topic(mesh: Mesh, goes_on: Arc<AtomicBool>) -> u64 {
    let mut sent = 0;
    let mut pending = std::collections::VecDeque::new();
    while goes_on.load(Ordering::Relaxed) {
        let draft = mesh.draft("topic:noise/a", &Performative::Inform).unwrap().priority(Priority::Bulk);
        let envelope = mesh.unsigned(draft.payload("application/octet-stream", vec![7; 1_000])).unwrap();
        pending.push_back(mesh.submit(envelope).await.unwrap());
        sent += 1;
        if pending.len() > 4_000 {
            let _ = pending.pop_front().unwrap().await;
        }
    }
    sent
}

/// Leases much, works long, gives back half.
async fn work_slowly(mesh: Mesh, goes_on: Arc<AtomicBool>) -> u64 {
    let (inbox, mut done) = (mesh.inbox(), 0);
    while goes_on.load(Ordering::Relaxed) {
        let leased = inbox.lease(64, 60 * SECOND, SECOND).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (back, acked): (Vec<_>, Vec<_>) = leased.iter().map(|held| held.number).partition(|n| n % 2 == 0);
        if let Some(first) = leased.first() {
            for (numbers, is_back) in [(back, true), (acked, false)] {
                match is_back {
                    _ if numbers.is_empty() => {}
                    true => inbox.nack(first.token, &numbers, Duration::ZERO).await.unwrap(),
                    false => inbox.ack(first.token, &numbers).await.unwrap(),
                }
            }
            done += leased.len() as u64;
        }
    }
    done
}

fn percentile(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 99 / 100]
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The load runs on threads of its own, so that what is measured is the node, not who measures.
#[test]
fn critical_mail_arrives_as_before_under_a_full_backlog_of_bulk() {
    let loading = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let measuring = Builder::new_current_thread().enable_all().build().unwrap();
    let node = Node::start(&["--inbox-max", "3000000", "--inbox-sender-max", "3000000"]);
    let (key, worker) = measuring.block_on(node.agent("worker"));
    let (_, sender) = measuring.block_on(node.agent("sender"));
    let slow_worker = loading.block_on(node.connect(&key));
    let (_, publisher) = loading.block_on(node.agent("publisher"));
    let floods = (0..FLOODS).map(|n| loading.block_on(node.agent(&format!("flood-{n}"))).1).collect();
    let stage = Stage { sender, worker, slow_worker, floods, publisher };
    loading.block_on(fill(&stage.floods[0], BACKLOG));
    measuring.block_on(measure(&stage, &loading));
}

async fn measure(stage: &Stage, loading: &Runtime) {
    let mut incoming = stage.worker.incoming().unwrap();
    let _noise = stage.worker.subscribe("topic:noise/*", Start::Next).await.unwrap();
    let (mut idle, mut loaded) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    stage.time_mail().await;
    let mut done = 0;
    for _ in 0..ROUNDS {
        idle.0.push(stage.time_mail().await);
        idle.1.push(stage.time_live(&mut incoming).await);
        let load = stage.load(loading);
        tokio::time::sleep(SECOND / 2).await;
        loaded.0.push(stage.time_mail().await);
        loaded.1.push(stage.time_live(&mut incoming).await);
        done += load.stop().await;
    }
    let counts = stage.worker.inbox().counts().await.unwrap();
    println!("{counts:?}; the load did {done} things; rounds: idle {idle:?}, loaded {loaded:?}");
    assert!(counts.is_conserved() && counts.pending as usize >= BACKLOG / 2, "{counts:?}");
    let (idle, loaded) = ((median(idle.0), median(idle.1)), (median(loaded.0), median(loaded.1)));
    println!("p99 of critical mail: idle {:?}, under a backlog of bulk {:?}", idle.0, loaded.0);
    println!("p99 of critical live messages: idle {:?}, under a backlog of bulk {:?}", idle.1, loaded.1);
    assert!(loaded.0 <= idle.0 * 2, "mail: idle {:?}, loaded {:?}", idle.0, loaded.0);
    assert!(loaded.1 <= idle.1 * 2, "live: idle {:?}, loaded {:?}", idle.1, loaded.1);
}
