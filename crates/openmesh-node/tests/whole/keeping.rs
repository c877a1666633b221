//! Pinned topics: how much of them is handed out, from when on, and who changes that; end to end.

mod upkeep;

use crate::node::Node;
use openmesh_sdk::{Item, LogFilter, Mesh, Performative, Retention, SdkError, Start, Timestamp};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const LAST: &str = "last";

async fn publish(writer: &Mesh, topic: &str, texts: impl Iterator<Item = String>) {
    let drafts =
        texts.map(|text| writer.draft(topic, &Performative::Inform).unwrap().payload("text/plain", text));
    let envelopes = writer.sign_batch(drafts.collect()).unwrap();
    assert!(writer.send_batch(envelopes).await.unwrap().iter().all(openmesh_sdk::Sent::is_accepted));
}

/// What a subscription is handed up to the message `last`.
async fn read(reader: &Mesh, pattern: &str, start: Start) -> Vec<String> {
    let mut subscription = reader.subscribe(pattern, start).await.unwrap();
    let mut texts = Vec::new();
    loop {
        let item = tokio::time::timeout(20 * SECOND, subscription.next()).await.unwrap().unwrap();
        let Item::Message { envelope, number } = item else { panic!("{item:?}") };
        texts.push(String::from_utf8(envelope.payload.to_vec()).unwrap());
        assert_eq!(number, texts.len() as u64, "nothing is missing that was to be handed out");
        if texts.last().is_some_and(|text| text == LAST) {
            return texts;
        }
    }
}

async fn found(reader: &Mesh, topic: &str) -> usize {
    let kind = Some("message".to_owned());
    let filter = LogFilter { topic: Some(topic.to_owned()), kind, ..LogFilter::default() };
    reader.query_log(filter).collect(10_000).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_its_retention_is_handed_out_by_nothing_also_after_a_restart() {
    let mut node = Node::start(&["--pin", "feed/**"]);
    let (key, reader) = node.agent("reader").await;
    let (writer_key, writer) = node.agent("writer").await;
    let token = node.admin_token();
    let numbers = |count: u32| (1..count).map(|n| n.to_string()).chain([LAST.to_owned()]);
    publish(&writer, "topic:feed/all", numbers(40)).await;
    publish(&writer, "topic:feed/few", numbers(40)).await;
    let small = Retention { bytes: Some(20_000), ..Retention::UNLIMITED };
    writer.set_topic("topic:feed/small", (true, small), None, Some(&token)).await.unwrap();
    publish(&writer, "topic:feed/small", (1..400).map(|n| format!("{n:0100}")).chain([LAST.to_owned()]))
        .await;
    let few = Retention { messages: Some(5), ..Retention::UNLIMITED };
    writer.set_topic("topic:feed/few", (true, few), Some(0), Some(&token)).await.unwrap();
    for round in 0..2 {
        assert_eq!(read(&reader_of(&node, &key).await, "topic:feed/all", Start::At(1)).await.len(), 40);
        let reader = reader_of(&node, &key).await;
        assert_eq!(read(&reader, "topic:feed/few", Start::At(1)).await, ["36", "37", "38", "39", LAST]);
        assert_eq!((found(&reader, "feed/few").await, found(&reader, "feed/all").await), (5, 40));
        let kept = read(&reader, "topic:feed/small", Start::At(1)).await.len();
        assert_eq!(found(&reader, "feed/small").await, kept, "round {round}");
        let rows = reader.show_topics("topic:feed/small", None).await.unwrap();
        let (messages, bytes) = (rows[1]["messages"].as_u64().unwrap(), rows[1]["bytes"].as_u64().unwrap());
        assert_eq!(messages, kept as u64);
        assert!((20_000..=20_000 + 20_000 / 32 + 1_024).contains(&bytes), "{bytes}");
        assert_eq!(rows[1]["last"], 400);
        if round == 0 {
            node.stop();
            node.restart();
        }
    }
    // A live subscriber is handed everything; the next reader only what is left.
    let reader_two = reader_of(&node, &key).await;
    let mut live = reader_two.subscribe("topic:feed/few", Start::Next).await.unwrap();
    let writer = node.connect(&writer_key).await;
    publish(&writer, "topic:feed/few", ["more".to_owned(), LAST.to_owned()].into_iter()).await;
    for text in ["more", LAST] {
        let envelope = tokio::time::timeout(20 * SECOND, live.next_message()).await.unwrap().unwrap();
        assert_eq!(&envelope.payload[..], text.as_bytes());
    }
    assert_eq!(found(&reader_two, "feed/few").await, 5);
    drop(reader);
}

async fn reader_of(node: &Node, key: &std::sync::Arc<openmesh_sdk::KeyPair>) -> Mesh {
    node.connect(key).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_handed_out_until_it_is_too_old() {
    let node = Node::start(&[]);
    let (_, reader) = node.agent("reader").await;
    let (_, writer) = node.agent("writer").await;
    let short = Retention { age_ms: Some(2_000), ..Retention::UNLIMITED };
    writer.set_topic("topic:feed/*", (true, short), None, Some(&node.admin_token())).await.unwrap();
    publish(&writer, "topic:feed/a", ["old".to_owned()].into_iter()).await;
    assert_eq!(found(&reader, "feed/a").await, 1);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(found(&reader, "feed/a").await, 0);
    publish(&writer, "topic:feed/a", ["new".to_owned(), LAST.to_owned()].into_iter()).await;
    assert_eq!(read(&reader, "topic:feed/a", Start::At(1)).await, ["new", LAST]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_replayed_from_a_time() {
    let mut node = Node::start(&["--pin", "feed/**"]);
    let (key, reader) = node.agent("reader").await;
    let (_, writer) = node.agent("writer").await;
    let mut times: Vec<Timestamp> = Vec::new();
    for n in 0..12 {
        let draft = writer.draft("topic:feed/a", &Performative::Inform).unwrap();
        let text = if n == 11 { LAST.to_owned() } else { n.to_string() };
        let envelope = writer.sign(draft.payload("text/plain", text)).unwrap();
        times.push(writer.send(envelope).await.unwrap().accepted().unwrap().receipt.at);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.kill_and_restart();
    let reader_two = node.connect(&key).await;
    for (from, time) in times.iter().enumerate() {
        let read = read(&reader_two, "topic:feed/*", Start::Since(*time)).await;
        assert_eq!(read.len(), times.len() - from, "since {time}: {read:?}");
    }
    let all = read(&reader_two, "topic:feed/*", Start::Since(Timestamp::from_millis(0))).await;
    assert_eq!(all.len(), times.len());
    let late = openmesh_sdk::now().plus_ms(600_000);
    assert!(reader_two.subscribe("topic:feed/*", Start::Since(late)).await.is_err(), "a time to come");
    drop(reader);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_administrators_cannot_undo_each_other_unseen() {
    let node = Node::start(&[]);
    let (_, alice) = node.agent("alice").await;
    let (_, bob) = node.agent("bob").await;
    let token = node.admin_token();
    let keep = |messages| (true, Retention { messages: Some(messages), ..Retention::UNLIMITED });
    let denied = alice.set_topic("topic:feed/*", keep(9), None, None).await.unwrap_err();
    assert!(denied.to_string().contains("policy.denied"), "{denied}");
    let set = alice.set_topic("topic:feed/*", keep(9), Some(0), Some(&token)).await.unwrap();
    let seen = bob.show_topics("topic:feed/*", None).await.unwrap().remove(0);
    assert_eq!((&set, set["retention"]["messages"].as_u64()), (&seen, Some(9)));
    let version = seen["version"].as_u64();
    alice.set_topic("topic:feed/*", keep(10), version, Some(&token)).await.unwrap();
    let SdkError::Refused(problem) =
        bob.set_topic("topic:feed/*", keep(3), version, Some(&token)).await.unwrap_err()
    else {
        panic!("another error");
    };
    assert_eq!(problem.code, "version.mismatch");
    assert_eq!(bob.topics().await.unwrap()[0]["retention"]["messages"], 10);
}
