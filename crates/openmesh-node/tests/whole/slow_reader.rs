//! A subscriber that never reads: others are served as before, and it is told exactly what it missed.

use crate::node::Node;
use openmesh_sdk::{Item, Mesh, Performative, Start};
use std::time::{Duration, Instant};

const MESSAGES: usize = 6_000;
const PAYLOAD_BYTES: usize = 4_096;

/// Publishes to the topic and returns, for each message, the time until the listening agent has it.
async fn publish_and_time(
    writer: &Mesh,
    reader: &mut openmesh_sdk::Subscription,
    count: usize,
) -> Vec<Duration> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let draft = writer.draft("topic:feed/ticks", &Performative::Inform).unwrap();
        let envelope =
            writer.unsigned(draft.payload("application/octet-stream", vec![7; PAYLOAD_BYTES])).unwrap();
        let start = Instant::now();
        let pending = writer.submit(envelope).await.unwrap();
        reader.next_message().await.unwrap();
        times.push(start.elapsed());
        assert!(matches!(pending.await, openmesh_sdk::Sent::Passed));
    }
    times.sort();
    times
}

fn p99(times: &[Duration]) -> Duration {
    times[times.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_reads_slows_nobody_and_its_gaps_add_up() {
    let node = Node::start(&[]);
    let (_, writer) = node.agent("writer").await;
    let (_, reader) = node.agent("reader").await;
    let mut listening = reader.subscribe("topic:feed/*", Start::Next).await.unwrap();
    publish_and_time(&writer, &mut listening, 500).await;
    let without = p99(&publish_and_time(&writer, &mut listening, 3_000).await);

    let mut stalled = crate::raw_agent::RawAgent::connect(&node, "stalled").await;
    stalled.subscribe("feed/*").await;
    let with = p99(&publish_and_time(&writer, &mut listening, MESSAGES).await);

    let (mut delivered, mut missed, mut gaps, mut last) = (0, 0, 0, 0);
    while (last as usize) < MESSAGES {
        for item in stalled.read_items().await {
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
    assert!(
        with <= without * 2 + Duration::from_millis(2),
        "{with:?} with a stalled reader, {without:?} without"
    );
}
