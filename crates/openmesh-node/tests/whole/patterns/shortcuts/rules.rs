//! What the rules, or the ways topics are kept, say since a shortcut was given holds for the next message.

use super::{SOME, SOON, send};
use crate::node::Node;
use openmesh_sdk::{Item, Mesh, Performative, Sent, Start, Subscription};
use std::time::Duration;
use tokio::time::timeout;

/// Nothing comes for so long.
const QUIET: Duration = Duration::from_millis(300);

/// Adds a rule to those that the node began with, and has them read.
async fn rule(node: &Node, mesh: &Mesh, before: &str, more: &str) {
    std::fs::write(node.folder().join("policy.toml"), format!("{before}{more}")).unwrap();
    mesh.reload_policy(&node.admin_token()).await.unwrap();
}

async fn send_and_see(writer: &Mesh) -> Sent {
    let draft = writer.draft("topic:ticks/fast", &Performative::Inform).unwrap();
    writer.send(writer.unsigned(draft.payload("text/plain", "last")).unwrap()).await.unwrap()
}

/// Takes so many messages, and then nothing more.
async fn take(reader: &mut Subscription, count: u32) {
    for taken in 0..count {
        let item = timeout(SOON, reader.next()).await.unwrap_or_else(|_| panic!("{taken} of {count} came"));
        assert!(matches!(item, Some(Item::Message { .. })), "{item:?}");
    }
    let more = timeout(QUIET, reader.next()).await;
    assert!(more.is_err(), "{more:?} after {count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_change_hold_for_the_next_message_of_a_shortcut() {
    let node = Node::start(&[]);
    let (_, writer) = node.agent("writer").await;
    let (mut readers, mut subscriptions) = (Vec::new(), Vec::new());
    for name in ["one", "other"] {
        let (_, reader) = node.agent(name).await;
        subscriptions.push(reader.subscribe("topic:ticks/*", Start::Next).await.unwrap());
        readers.push(reader);
    }
    let [one, other] = &mut subscriptions[..] else { panic!("two") };
    let begun = std::fs::read_to_string(node.folder().join("policy.toml")).unwrap();
    let denies = |action: &str, who: &str| {
        format!(
            "\n[[rule]]\nname = \"since\"\naction = \"{action}\"\nwho = \"{who}\"\nto = \"topic:ticks/**\"\n\
             verdict = \"deny\"\nreason = \"not any more\"\n"
        )
    };
    for number in 0..SOME {
        send(&writer, number).await;
    }
    rule(&node, &writer, &begun, &denies("send", "name:writer")).await;
    let denied = send_and_see(&writer).await;
    assert_eq!(denied.problem().map(|problem| problem.code.as_ref()), Some("policy.denied"), "{denied:?}");
    take(one, SOME).await;
    take(other, SOME).await;

    rule(&node, &writer, &begun, "").await;
    for number in 0..SOME {
        send(&writer, number).await;
    }
    rule(&node, &writer, &begun, &denies("read", "name:other")).await;
    for number in 0..SOME {
        send(&writer, number).await;
    }
    take(one, 2 * SOME).await;
    take(other, SOME).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_kept_from_now_on_takes_nothing_by_a_shortcut() {
    let node = Node::start(&[]);
    let (_, writer) = node.agent("writer").await;
    let (_, reader) = node.agent("reader").await;
    let mut listening = reader.subscribe("topic:ticks/*", Start::Next).await.unwrap();
    for number in 0..SOME {
        send(&writer, number).await;
    }
    writer.configure_topic("topic:ticks/**", true, Some(&node.admin_token())).await.unwrap();
    let refused = send_and_see(&writer).await;
    assert_eq!(
        refused.problem().map(|problem| problem.code.as_ref()),
        Some("signature.required"),
        "{refused:?}"
    );
    take(&mut listening, SOME).await;
}
