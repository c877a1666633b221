//! Hundreds of readers of one byte a second: others are served as before, and what waits for the slow takes little memory.

use super::resident_bytes;
use crate::node::Node;
use crate::raw_agent::RawAgent;
use openmesh_sdk::{Mesh, Performative, Sent, Start, Subscription};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};

/// How many there are, and by how much they may raise the others' p99, in percent.
const READERS: &str = "OPENMESH_SLOW_READERS";
const READERS_SHORT: usize = 100;
const LIMIT_PERCENT: &str = "OPENMESH_SLOW_READERS_PERCENT";
/// Generous, since debug builds and busy machines run this too; the campaign sets the limit that is promised.
const LIMIT_SHORT: usize = 150;
/// Each that stalls takes some 0.3 MiB for what it is being written.
const MEMORY_MIB: &str = "OPENMESH_SLOW_READERS_MIB";
const MEMORY_MIB_SHORT: usize = 192;
/// What is sent to each: more than its socket and its outbox hold, in all more than a node may hold for them together.
const EACH_MESSAGES: usize = 128;
const EACH_BYTES: usize = 64 * 1024;
/// Rounds with and without messages for the slow readers, one after the other, so that noise strikes both alike.
const ROUNDS: &str = "OPENMESH_SLOW_READERS_ROUNDS";
const ROUNDS_SHORT: usize = 7;
const MESSAGES_PER_ROUND: usize = 1_000;
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
/// Between two messages to all of the slow readers.
const FEED_EVERY: Duration = Duration::from_millis(5);

fn told(variable: &str, short: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(short)
}

/// Readers that read a byte a second, each of a topic of its own and of one for all.
async fn connect_slow(node: &Node, count: usize) {
    let key = crate::node::new_key();
    let mesh = node.connect(&key).await;
    mesh.register("slow", Some(&node.admin_token())).await.unwrap();
    for number in 0..count {
        let mut agent = RawAgent::connect_as(node, Arc::clone(&key)).await;
        agent.subscribe_as(1, &format!("own/{number}")).await;
        agent.subscribe_as(2, "feed/*").await;
        let (mut stream, ..) = agent.into_parts();
        tokio::spawn(async move {
            let mut byte = [0];
            while stream.read_exact(&mut byte).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
    }
}

/// Sends each slow reader more than its outbox holds.
async fn fill(writer: &Mesh, readers: usize) {
    for number in 0..readers {
        let mut pending = Vec::new();
        for _ in 0..EACH_MESSAGES {
            let draft = writer.draft(&format!("topic:own/{number}"), &Performative::Inform).unwrap();
            let payload = vec![(number % 251) as u8; EACH_BYTES];
            let envelope = writer.unsigned(draft.payload("application/octet-stream", payload)).unwrap();
            pending.push(writer.submit(envelope).await.unwrap());
        }
        for sent in pending {
            let _ = sent.await;
        }
    }
}

/// The 99th percentile of the times until a reader that is not slow has a message.
async fn time_calm(writer: &Mesh, reader: &mut Subscription) -> Duration {
    let mut times = Vec::with_capacity(MESSAGES_PER_ROUND);
    for _ in 0..MESSAGES_PER_ROUND {
        let draft = writer.draft("topic:calm/ticks", &Performative::Inform).unwrap();
        let envelope = writer.unsigned(draft.payload("application/octet-stream", vec![7; 128])).unwrap();
        let begun = Instant::now();
        let pending = writer.submit(envelope).await.unwrap();
        let arrives = async { reader.next_message().await.map(|_| begun.elapsed()) };
        let (sent, arrived) = tokio::join!(pending, timeout(ARRIVES_WITHIN, arrives));
        assert!(matches!(sent, Sent::Passed), "{sent:?}");
        times.push(arrived.expect("it arrives").unwrap());
    }
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// Sends all the time, to a topic of the slow readers or to one that nobody reads.
async fn feed(writer: Mesh, to_slow: Arc<AtomicBool>, stop: Arc<AtomicBool>, sent: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        let topic = if to_slow.load(Ordering::Relaxed) { "topic:feed/all" } else { "topic:nobody/reads" };
        let draft = writer.draft(topic, &Performative::Inform).unwrap();
        let envelope = writer.unsigned(draft.payload("application/octet-stream", vec![7; 512])).unwrap();
        let _ = writer.submit(envelope).await.unwrap().await;
        sent.fetch_add(1, Ordering::Relaxed);
        sleep(FEED_EVERY).await;
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_one_byte_a_second_slow_nobody_and_take_little_memory() {
    let (readers, limit) = (told(READERS, READERS_SHORT), told(LIMIT_PERCENT, LIMIT_SHORT));
    let memory_mib = told(MEMORY_MIB, MEMORY_MIB_SHORT) as u64;
    let node = Node::start(&["--memory-max", &format!("{memory_mib}MiB")]);
    let (_, writer) = node.agent("writer").await;
    let (_, feeder) = node.agent("feeder").await;
    let (_, reader) = node.agent("reader").await;
    let mut calm = reader.subscribe("topic:calm/*", Start::Next).await.unwrap();
    connect_slow(&node, readers).await;
    let before = resident_bytes(&node);
    fill(&feeder, readers).await;
    let filled = resident_bytes(&node);

    let (to_slow, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let sent = Arc::new(AtomicUsize::new(0));
    let feeding = tokio::spawn(feed(feeder, Arc::clone(&to_slow), Arc::clone(&stop), Arc::clone(&sent)));
    time_calm(&writer, &mut calm).await;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..told(ROUNDS, ROUNDS_SHORT) {
        for (times, slow) in [(&mut without, false), (&mut with, true)] {
            to_slow.store(slow, Ordering::Relaxed);
            times.push(time_calm(&writer, &mut calm).await);
        }
    }
    stop.store(true, Ordering::Relaxed);
    feeding.await.unwrap();
    let (without, with) = (median(&mut without), median(&mut with));
    let most = resident_bytes(&node).max(filled);
    println!(
        "slow readers: {readers} of one byte a second, {} MiB sent to them; RSS {} MiB, then {} of {memory_mib}; p99 of others \
         {with:?}, {without:?} without: {:+.1} % ({} messages to all of them)",
        (readers * EACH_MESSAGES * EACH_BYTES) >> 20,
        before >> 20,
        most >> 20,
        (with.as_secs_f64() / without.as_secs_f64() - 1.0) * 100.0,
        sent.load(Ordering::Relaxed),
    );
    assert!(most <= memory_mib << 20, "{} MiB", most >> 20);
    assert!(
        with.as_secs_f64() <= without.as_secs_f64() * (1.0 + limit as f64 / 100.0),
        "{with:?}, {without:?}"
    );
}
