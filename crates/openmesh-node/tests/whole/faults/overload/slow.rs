//! Hundreds of readers of one byte a second: others are served as before, what waits for the slow takes little memory, and
//! when they read at last each hears of every message, as it was or as missed.
//!
//! What is compared is the p99 of the time from a send until a reader that is not slow has the message, in rounds that take
//! turns: in one, a feed goes to all slow readers; in the other the same feed goes to a topic that nobody reads. Both times
//! all connections are there, and what waits for the slow waits.

use super::meters::Samples;
use super::{memory_bytes, resident_bytes};
use crate::node::Node;
use crate::raw_agent::RawAgent;
use openmesh_message::frame::{Delivery, FrameDecoder, ServerFrame, body_length};
use openmesh_sdk::{Mesh, Performative, Sent, Start, Subscription};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How many there are, and by how much they may raise the others' p99, in percent.
const READERS: &str = "OPENMESH_SLOW_READERS";
const READERS_SHORT: u64 = 100;
const LIMIT_PERCENT: &str = "OPENMESH_SLOW_READERS_PERCENT";
/// Generous, since debug builds and busy machines run this too; the campaign sets the limit that is promised.
const LIMIT_SHORT: u64 = 150;
const MEMORY_MIB: &str = "OPENMESH_SLOW_READERS_MIB";
const MEMORY_MIB_SHORT: u64 = 192;
/// What is sent to each: more than its socket and its outbox hold, in all more than a node may hold for them together.
const EACH_MESSAGES: u64 = 128;
const EACH_BYTES: usize = 64 * 1024;
const ROUNDS: &str = "OPENMESH_SLOW_READERS_ROUNDS";
const ROUNDS_SHORT: u64 = 7;
const MESSAGES_PER_ROUND: usize = 1_000;
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
/// Between two messages to all of the slow readers.
const FEED_EVERY: Duration = Duration::from_millis(5);

fn told(variable: &str, short: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(short)
}

/// Readers of a byte a second, until they are told how much the feed was and read all there is.
struct Slow {
    hurry: watch::Sender<Option<u64>>,
    readers: Vec<JoinHandle<u64>>,
}

impl Slow {
    /// Each reads a topic of its own and the feed.
    async fn connect(node: &Node, count: u64) -> Self {
        let key = crate::node::new_key();
        let mesh = node.connect(&key).await;
        mesh.register("slow", Some(&node.admin_token())).await.unwrap();
        let (hurry, told) = watch::channel(None);
        let mut readers = Vec::new();
        for number in 0..count {
            let mut agent = RawAgent::connect_as(node, Arc::clone(&key)).await;
            agent.subscribe_as(1, &format!("own/{number}")).await;
            agent.subscribe_as(2, "feed/*").await;
            let (stream, _, decoder) = agent.into_parts();
            readers.push(tokio::spawn(read_slowly(stream, decoder, told.clone())));
        }
        Self { hurry, readers }
    }

    /// Has all of them read to the end; how much they missed.
    async fn hurry(self, fed: u64) -> u64 {
        self.hurry.send_replace(Some(fed));
        let mut missed = 0;
        for reader in self.readers {
            missed += reader.await.unwrap();
        }
        missed
    }
}

async fn read_slowly(
    mut stream: TcpStream,
    decoder: FrameDecoder,
    mut told: watch::Receiver<Option<u64>>,
) -> u64 {
    let mut early = Vec::new();
    let fed = loop {
        tokio::select! {
            fed = async { *told.wait_for(Option::is_some).await.unwrap() } => break fed.unwrap(),
            byte = stream.read_u8() => early.push(byte.expect("the node does not end the connection")),
        }
        sleep(Duration::from_secs(1)).await;
    };
    hear_all(early.as_slice().chain(stream), decoder, [EACH_MESSAGES, fed]).await
}

/// Reads until every number of both subscriptions has come once; how many were missed.
async fn hear_all(mut stream: impl AsyncRead + Unpin, mut decoder: FrameDecoder, all: [u64; 2]) -> u64 {
    let (mut heard, mut missed, mut body) = ([BTreeSet::new(), BTreeSet::new()], 0, Vec::new());
    while heard.each_ref().map(|heard| heard.len() as u64) != all {
        let mut header = [0; 4];
        let came = timeout(ARRIVES_WITHIN, stream.read_exact(&mut header)).await;
        came.unwrap_or_else(|_| panic!("not all of {all:?} came")).unwrap();
        body.resize(body_length(header).unwrap(), 0);
        stream.read_exact(&mut body).await.unwrap();
        let ServerFrame::Deliver(deliveries) = decoder.decode_server(&body).unwrap() else { continue };
        for delivery in deliveries {
            let (subscription, first, last) = match delivery {
                Delivery::Message { subscription, number, .. } => (subscription, number, number),
                Delivery::Gap { subscription, first, last } => {
                    missed += last - first + 1;
                    (subscription, first, last)
                }
            };
            for number in first..=last {
                assert!(heard[subscription as usize - 1].insert(number), "{number} came twice");
            }
        }
    }
    missed
}

/// Sends each slow reader more than its outbox holds.
async fn fill(writer: &Mesh, readers: u64) {
    for number in 0..readers {
        let mut pending = Vec::new();
        for _ in 0..EACH_MESSAGES {
            let draft = writer.draft(&format!("topic:own/{number}"), &Performative::Inform).unwrap();
            let payload = vec![(number % 251) as u8; EACH_BYTES];
            let envelope = writer.unsigned(draft.payload("application/octet-stream", payload)).unwrap();
            pending.push(writer.submit(envelope).await.unwrap());
        }
        for sent in pending {
            let sent = sent.await;
            assert!(matches!(sent, Sent::Passed), "{sent:?}");
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
async fn feed(writer: Mesh, to_slow: Arc<AtomicBool>, stop: Arc<AtomicBool>, fed: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let is_to_slow = to_slow.load(Ordering::Relaxed);
        let topic = if is_to_slow { "topic:feed/all" } else { "topic:nobody/reads" };
        let draft = writer.draft(topic, &Performative::Inform).unwrap();
        let envelope = writer.unsigned(draft.payload("application/octet-stream", vec![7; 512])).unwrap();
        let sent = writer.submit(envelope).await.unwrap().await;
        assert!(matches!(sent, Sent::Passed), "{sent:?}");
        fed.fetch_add(u64::from(is_to_slow), Ordering::Relaxed);
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
    let memory_mib = told(MEMORY_MIB, MEMORY_MIB_SHORT);
    let node = Node::start(&["--memory-max", &format!("{memory_mib}MiB")]);
    let (_, writer) = node.agent("writer").await;
    let (_, feeder) = node.agent("feeder").await;
    let (_, reader) = node.agent("reader").await;
    let mut calm = reader.subscribe("topic:calm/*", Start::Next).await.unwrap();
    let slow = Slow::connect(&node, readers).await;
    let before = resident_bytes(&node);
    fill(&feeder, readers).await;

    let (to_slow, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let fed = Arc::new(AtomicU64::new(0));
    let feeding = tokio::spawn(feed(feeder, Arc::clone(&to_slow), Arc::clone(&stop), Arc::clone(&fed)));
    time_calm(&writer, &mut calm).await;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..told(ROUNDS, ROUNDS_SHORT) {
        for (times, is_to_slow) in [(&mut without, false), (&mut with, true)] {
            to_slow.store(is_to_slow, Ordering::Relaxed);
            times.push(time_calm(&writer, &mut calm).await);
        }
    }
    stop.store(true, Ordering::Relaxed);
    feeding.await.unwrap();
    let (http, fed) = (node.http(), fed.load(Ordering::Relaxed));
    let shed = tokio::task::spawn_blocking(move || Samples::of(http).shed()).await.unwrap();
    let most = memory_bytes(&node, "VmHWM:");
    let missed = slow.hurry(fed).await;
    let (without, with) = (median(&mut without), median(&mut with));
    println!(
        "slow readers: {readers} of one byte a second, {} MiB sent to them and {fed} messages to all of them, {missed} missed \
         and told; RSS {} MiB, then at most {} of {memory_mib}; p99 of others {with:?}, {without:?} without: {:+.1} %; shed {shed:?}",
        (readers * EACH_MESSAGES * EACH_BYTES as u64) >> 20,
        before >> 20,
        most >> 20,
        (with.as_secs_f64() / without.as_secs_f64() - 1.0) * 100.0,
    );
    assert!(missed > 0, "the outboxes must have overflowed, or nothing was tested");
    assert!(most <= memory_mib << 20, "{} MiB", most >> 20);
    assert_eq!(shed, [0.0; 4], "nobody is shed for those who do not read");
    assert!(
        with.as_secs_f64() <= without.as_secs_f64() * (1.0 + limit as f64 / 100.0),
        "{with:?}, {without:?}"
    );
}
