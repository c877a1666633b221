//! Messages that are alike go past the owner; whoever begins to listen, or stops, is right all the same.

mod ended;
mod forms;
mod rules;

use crate::node::Node;
use openmesh_sdk::{Item, Mesh, Performative, Sent, Start, Subscription};
use std::time::Duration;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);
/// So many that a shortcut is under way.
const SOME: u32 = 50;

async fn send(writer: &Mesh, number: u32) {
    let draft = writer.draft("topic:ticks/fast", &Performative::Inform).unwrap();
    let sent = writer.send(writer.unsigned(draft.payload("text/plain", number.to_string())).unwrap()).await;
    assert!(matches!(sent, Ok(Sent::Passed)), "{sent:?}");
}

/// Every message up to this one has come, in order, from `first` on.
async fn expect(reader: &mut Subscription, first: u32, last: u32) {
    for expected in first..=last {
        let item = timeout(SOON, reader.next()).await.expect("in time").expect("connected");
        let Item::Message { envelope, number } = item else { panic!("{item:?} where {expected} belongs") };
        assert_eq!(envelope.payload, expected.to_string());
        assert_eq!(number, u64::from(expected - first) + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_begins_to_listen_misses_nothing_that_is_sent_from_then_on() {
    let node = Node::start(&[]);
    let (_, writer) = node.agent("writer").await;
    let (_, reader) = node.agent("reader").await;
    let patterns = ["topic:ticks/fast", "topic:ticks/*", "topic:**"];
    // All are known before the first shortcut is given: whoever becomes known ends every one.
    let mut others = Vec::new();
    for pattern in patterns {
        others.push((pattern, node.agent(&format!("reader-{}", others.len())).await.1));
    }
    let mut always = reader.subscribe("topic:ticks/fast", Start::Next).await.unwrap();
    for number in 1..=SOME {
        send(&writer, number).await;
    }
    let mut later = Vec::new();
    for ((pattern, other), first) in others.into_iter().zip((1..).map(|round| round * SOME + 1)) {
        later.push((other.subscribe(pattern, Start::Next).await.unwrap(), first, other));
        for number in first..first + SOME {
            send(&writer, number).await;
        }
    }
    let last = SOME * 4;
    expect(&mut always, 1, last).await;
    for (subscription, first, _) in &mut later {
        expect(subscription, *first, last).await;
    }
    drop(later);
    for number in last + 1..=last + SOME {
        send(&writer, number).await;
    }
    for expected in last + 1..=last + SOME {
        let item = timeout(SOON, always.next()).await.unwrap().unwrap();
        assert!(matches!(&item, Item::Message { number, .. } if *number == u64::from(expected)), "{item:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_each_message_is_asked_on_the_shortcut_too() {
    let node = Node::start(&[]);
    let (_, writer) = node.agent("writer").await;
    for number in 1..=SOME {
        send(&writer, number).await;
    }
    let draft =
        || writer.draft("topic:ticks/fast", &Performative::Inform).unwrap().payload("text/plain", "x");
    for (name, value, code) in [
        ("time", "2020-01-01T00:00:00.000Z", "time.outside_window"),
        ("time", "2999-01-01T00:00:00.000Z", "time.ahead"),
        ("time", "some time ago", "attribute.malformed"),
        ("id", &"x".repeat(65), "attribute.malformed"),
    ] {
        let sound = writer.unsigned(draft()).unwrap();
        let mut spoilt = sound.clone();
        spoilt.attributes = openmesh_message::Attributes::default();
        for (given, text) in sound.attributes.iter() {
            spoilt.attributes.set(given, if given == name { value } else { text }).unwrap();
        }
        let sent = writer.send(spoilt).await.unwrap();
        assert_eq!(sent.problem().map(|problem| problem.code.as_ref()), Some(code), "{name} {value}");
        send(&writer, 0).await;
    }
}
