//! Inboxes beyond leasing: looking, waiting, calling back, and how much one sender may leave; end to end.

mod urgent;

use crate::node::Node;
use openmesh_sdk::{HeldState, Mesh, Performative, SdkError, Sent, SignedReceipt};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Leaves a message for the receiver; its id and receipt.
async fn leave(sender: &Mesh, text: &str, not_before_ms: Option<i64>) -> (String, SignedReceipt) {
    let draft = sender.draft("inbox:receiver", &Performative::Inform).unwrap();
    let draft = draft.payload("text/plain", text.to_owned());
    let draft = match not_before_ms {
        Some(ms) => draft.not_before(openmesh_sdk::now().plus_ms(ms)),
        None => draft,
    };
    let envelope = sender.sign(draft).unwrap();
    let id = envelope.attributes.get("id").unwrap().to_owned();
    (id, sender.send(envelope).await.unwrap().accepted().unwrap())
}

fn code(error: SdkError) -> String {
    match error {
        SdkError::Refused(problem) => problem.code,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_can_be_looked_at_and_what_nobody_took_can_be_called_back_also_after_a_kill() {
    let mut node = Node::start(&[]);
    let (key, receiver) = node.agent("receiver").await;
    let (sender_key, sender) = node.agent("sender").await;
    let (_, other) = node.agent("other").await;
    let mut left = Vec::new();
    for text in ["one", "two", "three"] {
        left.push(leave(&sender, text, None).await);
    }
    let taken = receiver.inbox().lease(1, 60 * SECOND, SECOND).await.unwrap();
    let page = receiver.inbox().peek(0, 2).await.unwrap();
    assert_eq!(page.entries.iter().map(|held| held.number).collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(page.entries[0].state, HeldState::Leased(_)) && page.entries[0].attempts == 1);
    assert_eq!(
        (page.entries[1].state, &page.entries[1].envelope.payload[..]),
        (HeldState::Ready, &b"two"[..])
    );
    let rest = receiver.inbox().peek(page.next_after_number.unwrap(), 2).await.unwrap();
    assert_eq!((rest.entries.len(), rest.next_after_number), (1, None));
    assert!(other.inbox().peek(0, 9).await.unwrap().entries.is_empty(), "an inbox is its agent's own");

    let [(first_id, first), (second_id, second), _] = &left[..] else { panic!() };
    assert_eq!(code(sender.recall(first, first_id).await.unwrap_err()), "recall.late", "it is held");
    assert_eq!(code(other.recall(second, second_id).await.unwrap_err()), "recall.late", "it is another's");
    assert_eq!(code(sender.recall(second, first_id).await.unwrap_err()), "recall.late", "another id");
    sender.recall(second, second_id).await.unwrap();
    node.kill_and_restart();
    let (receiver, sender) = (node.connect(&key).await, node.connect(&sender_key).await);
    assert_eq!(code(sender.recall(second, second_id).await.unwrap_err()), "recall.late", "it has ended");
    let counts = receiver.inbox().counts().await.unwrap();
    assert!(counts.is_conserved());
    assert_eq!((counts.accepted, counts.pending, counts.recalled), (3, 2, 1));
    receiver.inbox().ack(taken[0].token, &[]).await.unwrap();
    let last = receiver.inbox().lease(9, SECOND, SECOND).await.unwrap();
    assert_eq!(last.iter().map(|held| held.number).collect::<Vec<_>>(), [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_waits_until_its_time_also_across_a_kill() {
    let mut node = Node::start(&[]);
    let (key, receiver) = node.agent("receiver").await;
    let (_, sender) = node.agent("sender").await;
    receiver.close().await;
    let sent_at = openmesh_sdk::now();
    leave(&sender, "later", Some(3_000)).await;
    leave(&sender, "at once", None).await;
    node.kill_and_restart();
    let inbox = node.connect(&key).await.inbox();
    let first = inbox.lease(9, 60 * SECOND, SECOND).await.unwrap();
    assert_eq!(first.iter().map(|held| &held.envelope.payload[..]).collect::<Vec<_>>(), [b"at once"]);
    let later = inbox.lease(9, 60 * SECOND, 20 * SECOND).await.unwrap();
    assert_eq!(&later[0].envelope.payload[..], b"later");
    assert!(openmesh_sdk::now() >= sent_at.plus_ms(3_000), "no earlier than asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sender_cannot_fill_an_inbox_that_others_write_to() {
    let node = Node::start(&["--inbox-sender-max", "5", "--inbox-max", "8"]);
    let (_, receiver) = node.agent("receiver").await;
    let (_, greedy) = node.agent("greedy").await;
    let (_, modest) = node.agent("modest").await;
    let send = async |mesh: &Mesh| -> Sent {
        let draft = mesh.draft("inbox:receiver", &Performative::Inform).unwrap().payload("text/plain", "x");
        mesh.send(mesh.sign(draft).unwrap()).await.unwrap()
    };
    for _ in 0..5 {
        assert!(send(&greedy).await.is_accepted());
    }
    let refused = send(&greedy).await.problem().unwrap().clone();
    assert_eq!(refused.code, "inbox.quota");
    assert!(refused.retry_after_ms.is_some());
    for _ in 0..3 {
        assert!(send(&modest).await.is_accepted());
    }
    assert_eq!(send(&modest).await.problem().unwrap().code, "inbox.full");
    let leased = receiver.inbox().lease(1, 60 * SECOND, SECOND).await.unwrap();
    receiver.inbox().ack(leased[0].token, &[]).await.unwrap();
    assert!(send(&greedy).await.is_accepted(), "what is done with makes room");
}
