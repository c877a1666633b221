//! Questions about the log: filters, order, pages, waiting.

mod load;

use crate::node::Node;
use openmesh_sdk::{LogFilter, Mesh, Performative, Verdict};
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);

async fn publish(mesh: &Mesh, topic: &str, text: &str) -> u64 {
    let draft = mesh.draft(topic, &Performative::Inform).unwrap().payload("text/plain", text.to_owned());
    let sent = mesh.send(mesh.sign(draft).unwrap()).await.unwrap();
    sent.accepted().unwrap().receipt.position.unwrap().seq
}

fn seqs(records: &[Value]) -> Vec<u64> {
    records.iter().map(|record| record["seq"].as_u64().unwrap()).collect()
}

fn topic(pattern: &str) -> LogFilter {
    LogFilter { topic: Some(pattern.to_owned()), ..LogFilter::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_finds_its_records_in_both_orders_page_by_page() {
    let node = Node::start(&["--pin", "market/**"]);
    let (_, alice) = node.agent("alice").await;
    let (_, bob) = node.agent("bob").await;
    let mut of_alice = Vec::new();
    for n in 0..25 {
        of_alice.push(publish(&alice, "topic:market/a", &n.to_string()).await);
        publish(&bob, "topic:market/b/c", &n.to_string()).await;
    }
    let agent = |mesh: &Mesh| LogFilter {
        agent: Some(mesh.id()),
        verdict: Some(Verdict::Accepted),
        ..LogFilter::default()
    };
    let mut all = of_alice.clone();
    for (filter, count) in [
        (topic("market/a"), 25),
        (topic("topic:market/*"), 25),
        (topic("market/**"), 50),
        (agent(&alice), 25),
        (LogFilter { performative: Some("inform".to_owned()), ..topic("market/**") }, 50),
        (LogFilter { performative: Some("cfp".to_owned()), ..topic("market/**") }, 0),
        (LogFilter { message_type: Some("message".to_owned()), ..agent(&alice) }, 0),
        (LogFilter { agent: Some(bob.id()), ..topic("market/a") }, 0),
    ] {
        let up = alice.query_log(filter.clone()).page_records_max(7).collect(1_000).await.unwrap();
        assert_eq!(up.len(), count, "{filter:?}");
        let down = alice.query_log(filter.clone()).newest_first().page_records_max(7);
        let mut down = seqs(&down.collect(1_000).await.unwrap());
        down.reverse();
        assert_eq!(seqs(&up), down, "{filter:?}");
    }
    all.truncate(1);
    let first = alice.query_log(topic("market/a")).page_records_max(1).next_page().await.unwrap().unwrap();
    assert_eq!(seqs(&first), all);
    let at: openmesh_sdk::Timestamp = first[0]["at"].as_str().unwrap().parse().unwrap();
    let before = LogFilter { until: Some(at), ..topic("market/**") };
    assert!(alice.query_log(before).collect(10).await.unwrap().is_empty());
    let since = LogFilter { since: Some(at), ..topic("market/**") };
    assert_eq!(alice.query_log(since).collect(100).await.unwrap().len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_hands_over_what_comes_and_goes_on_after_a_break() {
    let mut node = Node::start(&["--pin", "market/**"]);
    let (key, writer) = node.agent("writer").await;
    publish(&writer, "topic:market/a", "before").await;
    let mut tail = writer.tail(topic("market/a")).await.unwrap();
    let waiting = timeout(SECOND / 2, tail.next()).await;
    assert!(waiting.is_err(), "nothing comes from before the tail");
    let mut expected = vec![publish(&writer, "topic:market/a", "first").await];
    publish(&writer, "topic:market/other", "other").await;
    let first = timeout(10 * SECOND, tail.next()).await.unwrap().unwrap();
    assert_eq!(seqs(&[first]), expected);
    let resume = tail.resume_after();
    expected = vec![publish(&writer, "topic:market/a", "missed").await];
    node.stop();
    node.restart();
    let again = node.connect(&key).await;
    let mut tail = again.tail_after(topic("market/a"), resume);
    expected.push(publish(&again, "topic:market/a", "live").await);
    for seq in expected {
        let record = timeout(10 * SECOND, tail.next()).await.unwrap().unwrap();
        assert_eq!(seqs(&[record]), [seq]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_wait_are_bounded_and_end_with_their_time() {
    const WAITING_OF_CONNECTION_MAX: usize = 64;
    let node = Node::start(&["--pin", "market/**"]);
    let (_, reader) = node.agent("reader").await;
    let mut tails = tokio::task::JoinSet::new();
    for _ in 0..WAITING_OF_CONNECTION_MAX {
        let mut tail = reader.tail_after(topic("market/never"), 0);
        tails.spawn(async move { tail.next().await });
    }
    tokio::time::sleep(SECOND).await;
    let refused = timeout(10 * SECOND, reader.tail(topic("market/never"))).await.unwrap();
    assert!(refused.err().unwrap().to_string().contains("query.too_many_waiting"));
    assert!(tails.try_join_next().is_none(), "those that wait go on waiting");
    assert!(reader.query_log(topic("market/**")).collect(1).await.unwrap().is_empty(), "others are answered");
}
