//! A subscriber that never reads: others are served as before, and it is told exactly what it missed.

use crate::node::Node;
use openmesh_sdk::{Item, Mesh, Performative, Sent, Start, Subscription};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Rounds with and without the stalled reader, one after the other, so that noise strikes both alike.
const ROUNDS: usize = 7;
const MESSAGES_PER_ROUND: usize = 1_000;
const MESSAGES: usize = ROUNDS * MESSAGES_PER_ROUND;
const PAYLOAD_BYTES: usize = 4_096;
/// What is to come comes within this time.
const SOON: Duration = Duration::from_secs(20);

/// Publishes to the topic and returns the 99th percentile of the times until the listening agent has a message.
async fn publish_and_time(writer: &Mesh, topic: &str, reader: &mut Subscription, count: usize) -> Duration {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let draft = writer.draft(topic, &Performative::Inform).unwrap();
        let envelope =
            writer.unsigned(draft.payload("application/octet-stream", vec![7; PAYLOAD_BYTES])).unwrap();
        let start = Instant::now();
        let pending = writer.submit(envelope).await.unwrap();
        reader.next_message().await.unwrap();
        times.push(start.elapsed());
        assert!(matches!(pending.await, Sent::Passed));
    }
    times.sort();
    times[count * 99 / 100]
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_reads_slows_nobody_and_its_gaps_add_up() {
    let node = Node::start(&[]);
    let (_, writer) = node.agent("writer").await;
    let (_, reader) = node.agent("reader").await;
    let mut calm = reader.subscribe("topic:calm/*", Start::Next).await.unwrap();
    let mut shared = reader.subscribe("topic:feed/*", Start::Next).await.unwrap();
    publish_and_time(&writer, "topic:calm/ticks", &mut calm, MESSAGES_PER_ROUND).await;
    let mut stalled = crate::raw_agent::RawAgent::connect(&node, "stalled").await;
    stalled.subscribe("feed/*").await;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(publish_and_time(&writer, "topic:calm/ticks", &mut calm, MESSAGES_PER_ROUND).await);
        with.push(publish_and_time(&writer, "topic:feed/ticks", &mut shared, MESSAGES_PER_ROUND).await);
    }
    let (without, with) = (median(without), median(with));

    let (mut delivered, mut missed, mut gaps, mut last) = (0, 0, 0, 0);
    while (last as usize) < MESSAGES {
        let items =
            timeout(SOON, stalled.read_items()).await.expect("each number comes, as a message or as missed");
        for item in items {
            match item {
                Item::Message { number, .. } => {
                    assert_eq!(number, last + 1, "in order, nothing skipped unsaid");
                    delivered += 1;
                    last = number;
                }
                Item::Gap { first, last: end } => {
                    assert_eq!(first, last + 1);
                    missed += end - first + 1;
                    gaps += 1;
                    last = end;
                }
                Item::Invalid { why, .. } => panic!("{why}"),
            }
        }
    }
    println!(
        "stalled reader: {delivered} delivered + {missed} missed in {gaps} gaps = {MESSAGES} published; p99 of others {with:?}, without it {without:?}"
    );
    assert_eq!(delivered + missed, MESSAGES as u64);
    assert!(missed > 0, "the outbox must have overflowed, or nothing was tested");
    assert!(with <= without * 2, "{with:?} with a stalled reader, {without:?} without");
}

/// Each subscription that reads the log must not hold a thread while its agent does not read.
#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_stalled_readers_of_the_log_leave_others_their_inbox_and_catch_up_when_they_read() {
    const STALLED: u64 = 600;
    const KEPT: usize = 3_000;
    let node = Node::start(&["--pin", "market/**"]);
    let (_, writer) = node.agent("writer").await;
    let drafts = (0..KEPT).map(|_| {
        let draft = writer.draft("topic:market/feed", &Performative::Inform).unwrap();
        draft.payload("application/octet-stream", vec![7; PAYLOAD_BYTES])
    });
    let envelopes = writer.sign_batch(drafts.collect()).unwrap();
    assert!(writer.send_batch(envelopes).await.unwrap().iter().all(Sent::is_accepted));
    let mut stalled = crate::raw_agent::RawAgent::connect(&node, "stalled").await;
    stalled.subscribe_from_the_beginning("market/*", STALLED).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, other) = node.agent("other").await;
    let draft = writer.draft("inbox:other", &Performative::Inform).unwrap().payload("text/plain", "hello");
    assert!(writer.send(writer.sign(draft).unwrap()).await.unwrap().is_accepted());
    let start = Instant::now();
    let leased = other.inbox().lease(1, Duration::from_secs(9), Duration::from_secs(1)).await.unwrap();
    println!("{STALLED} stalled readers of the log; another agent's lease took {:?}", start.elapsed());
    assert_eq!(leased.len(), 1);
    assert!(start.elapsed() < Duration::from_secs(5));
    let mut read = 0;
    while read < KEPT * 2 {
        read += stalled.read_items().await.len();
    }
}
