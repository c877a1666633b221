//! Streams between real agents over a real node: credit, both ends, connections cut at random, readers that stall.

mod away;
mod cuts;
mod cutting;
mod stalled;

use crate::node::Node;
use openmesh_message::Envelope;
use openmesh_sdk::{Mesh, Performative, SdkError, StreamOptions, StreamReader, StreamWriter};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);

/// Offers a stream to an agent, which reads it.
async fn open(
    writer: &Mesh,
    reader: &Mesh,
    name: &str,
    options: StreamOptions,
) -> (StreamWriter, StreamReader) {
    let mut incoming = reader.incoming().unwrap();
    let draft = writer.draft(&format!("agent:{name}"), &Performative::Inform).unwrap();
    let offer = writer.sign(draft.stream("text/plain")).unwrap();
    let written = writer.open_stream(offer).await.unwrap();
    let offer = offered(&mut incoming).await;
    (written, reader.read_stream(&offer, options).unwrap())
}

async fn offered(incoming: &mut openmesh_sdk::Subscription) -> Arc<Envelope> {
    timeout(10 * SECOND, incoming.next_message()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_brings_its_items_in_order_and_ends_once() {
    let node = Node::start(&[]);
    let ((_, writer), (_, reader)) = (node.agent("writer").await, node.agent("reader").await);
    let (written, mut read) = open(&writer, &reader, "reader", StreamOptions::default()).await;
    let items: Vec<Vec<u8>> = (0..500_usize).map(|number| vec![number as u8; number * 7 % 3_000]).collect();
    let sent = items.clone();
    let writing = tokio::spawn(async move {
        for item in sent {
            written.send(item).await.unwrap();
        }
        written.finish().await
    });
    for item in &items {
        let next = timeout(10 * SECOND, read.next()).await.unwrap().unwrap();
        assert_eq!(next.as_deref(), Some(&item[..]));
    }
    assert_eq!(timeout(10 * SECOND, read.next()).await.unwrap(), Ok(None));
    assert_eq!(read.next().await, Ok(None), "the end stays the end");
    assert_eq!(writing.await.unwrap(), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_waits_for_credit_and_a_reset_reaches_the_other_end() {
    let node = Node::start(&[]);
    let ((_, writer), (_, reader)) = (node.agent("writer").await, node.agent("reader").await);
    let options = StreamOptions { window: 64 * 1024, from: None };
    let (written, mut read) = open(&writer, &reader, "reader", options).await;
    let mut taken = 0;
    while timeout(SECOND / 4, written.send(vec![1; 1_536])).await.is_ok() {
        taken += 1;
    }
    assert!((32..=34).contains(&taken), "{taken} items of 2 KiB in a window of 64 KiB, and two in hand");
    assert!(read.next().await.unwrap().is_some());
    for _ in 0..10 {
        assert!(timeout(SECOND, read.next()).await.unwrap().unwrap().is_some());
    }
    timeout(SECOND, written.send(vec![2])).await.expect("there is credit again").unwrap();
    written.reset("enough").await;
    let why = loop {
        match timeout(10 * SECOND, read.next()).await.unwrap() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was not finished"),
            Err(why) => break why,
        }
    };
    assert!(
        matches!(&why, SdkError::StreamReset(problem) if problem.code == "stream.reset" && problem.detail == "enough"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_breaks_the_stream_off() {
    let node = Node::start(&[]);
    let ((_, writer), (_, reader)) = (node.agent("writer").await, node.agent("reader").await);
    let (written, read) = open(&writer, &reader, "reader", StreamOptions::default()).await;
    written.send("hello").await.unwrap();
    drop(read);
    let why = timeout(10 * SECOND, written.finish()).await.unwrap().unwrap_err();
    assert!(matches!(&why, SdkError::StreamReset(problem) if problem.code == "stream.reset"), "{why}");
}

/// An offer is a message: it can be kept, and it waits in an inbox for its reader.
#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_is_kept_is_taken_up_from_the_inbox() {
    let node = Node::start(&[]);
    let ((_, writer), (key, reader)) = (node.agent("writer").await, node.agent("reader").await);
    reader.close().await;
    let draft = writer.draft("agent:reader", &Performative::Inform).unwrap();
    let away = writer.open_stream(writer.sign(draft.stream("text/plain")).unwrap()).await.map(|_| ());
    assert!(matches!(&away, Err(SdkError::Rejected(problem)) if problem.code == "agent.away"), "{away:?}");
    let draft = writer.draft("agent:reader", &Performative::Inform).unwrap();
    let offer = writer.sign(draft.stream("text/plain").ack_level("durable")).unwrap();
    let written = writer.open_stream(offer).await.unwrap();
    let reader = node.connect(&key).await;
    let leased = reader.inbox().lease(1, 10 * SECOND, SECOND).await.unwrap();
    let mut read = reader.read_stream(&leased[0].envelope, StreamOptions::default()).unwrap();
    written.send("hello").await.unwrap();
    assert_eq!(read.next().await.unwrap().as_deref(), Some(&b"hello"[..]));
    let (finished, end) = tokio::join!(written.finish(), read.next());
    assert_eq!((finished, end), (Ok(()), Ok(None)));
}

const DENY: &str = r#"
[[rule]]
name = "no-feeds"
action = "send"
who = "any"
to = "agent:reader"
verdict = "deny"
reason = "the reader is not to be streamed to"
"#;

/// Offers are decided as any message is, and a policy that comes into force later ends what it denies.
#[tokio::test(flavor = "multi_thread")]
async fn policy_decides_who_may_stream_to_whom_and_ends_what_it_denies() {
    let node = Node::start(&[]);
    let ((_, writer), (_, reader)) = (node.agent("writer").await, node.agent("reader").await);
    let stranger = node.connect(&crate::node::new_key()).await;
    let draft = stranger.draft("agent:reader", &Performative::Inform).unwrap();
    let denied = stranger.open_stream(stranger.sign(draft.stream("text/plain")).unwrap()).await.map(|_| ());
    assert!(
        matches!(&denied, Err(SdkError::Rejected(problem)) if problem.code == "policy.denied"),
        "{denied:?}"
    );
    let (written, mut read) = open(&writer, &reader, "reader", StreamOptions::default()).await;
    written.send("before").await.unwrap();
    assert!(read.next().await.unwrap().is_some());
    let file = node.folder().join("policy.toml");
    let policy = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{policy}{DENY}")).unwrap();
    writer.reload_policy(&node.admin_token()).await.unwrap();
    for why in [read.next().await.unwrap_err(), written.finish().await.unwrap_err()] {
        assert!(matches!(&why, SdkError::StreamReset(problem) if problem.code == "policy.denied"), "{why}");
    }
}
