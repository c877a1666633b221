//! Requests: final replies, earlier ones, deadlines, replies from strangers.

use crate::peer::{Peer, PeerConnection, key, message_from};
use openmesh_message::frame::SendOutcome;
use openmesh_message::{Draft, Envelope, KeyPair};
use openmesh_sdk::{Mesh, Performative, Problem, Reply, SdkError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

const LONG: Duration = Duration::from_secs(10);

fn question(mesh: &Mesh) -> Draft {
    let seller = key(2).id().to_string();
    let draft = mesh.draft(&seller, &Performative::Request).unwrap();
    draft.json(&b"{}"[..])
}

async fn hear_request(connection: &mut PeerConnection) -> Envelope {
    let (tag, envelope) = connection.hear_sends().await.remove(0);
    connection.settle(tag, SendOutcome::Passed).await;
    envelope
}

/// A reply of `sender` to `request`, of the performative `act`.
fn reply_to(request: &Envelope, sender: &KeyPair, act: &str, more: bool) -> Envelope {
    let to: openmesh_message::Address = request.attributes.get("to").unwrap().parse().unwrap();
    let asker = request.attributes.get("source").unwrap();
    let to = openmesh_message::Address::expand(asker, to.domain).unwrap();
    let id = openmesh_sdk::new_message_id().unwrap();
    let draft = Draft::new(id, openmesh_sdk::now(), &to, &act.parse().unwrap());
    let draft = draft.in_reply_to(request.attributes.get("id").unwrap());
    let draft = if more { draft.extension("more", "true") } else { draft };
    draft.json(&b"{}"[..]).sign(sender).unwrap()
}

#[tokio::test]
async fn the_final_reply_ends_a_request_and_other_messages_go_to_incoming() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let node = async {
        let request = hear_request(&mut connection).await;
        assert!(request.attributes.get("replyby").is_some());
        let stranger = reply_to(&request, &key(3), "inform", false);
        let mut changed = reply_to(&request, &key(2), "inform", false);
        changed.payload = b"[]"[..].into();
        let agree = reply_to(&request, &key(2), "agree", false);
        let part = reply_to(&request, &key(2), "inform", true);
        let unrelated = message_from(&key(2), peer.domain(), &mesh.id(), |draft| draft);
        let last = reply_to(&request, &key(2), "inform", false);
        let all = [&stranger, &changed, &agree, &part, &unrelated, &last];
        for (number, envelope) in (1..).zip(all) {
            connection.deliver(0, number, envelope).await;
        }
        (unrelated, last)
    };
    let (reply, (unrelated, last)) = tokio::join!(mesh.request(question(&mesh), LONG), node);
    assert_eq!(reply, Ok(Reply::Final(last.into())));
    let mut incoming = mesh.incoming().unwrap();
    assert_eq!(incoming.next_message().await.as_deref(), Some(&unrelated));
}

#[tokio::test]
async fn an_exchange_hands_over_each_reply() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let (exchange, request) =
        tokio::join!(mesh.exchange(question(&mesh), LONG), hear_request(&mut connection));
    let mut exchange = exchange.unwrap();
    assert_eq!(request.attributes.get("id"), Some(exchange.id()));
    let replies = ["agree", "inform", "failure"].map(|act| reply_to(&request, &key(2), act, act == "inform"));
    for (number, reply) in (1..).zip(&replies) {
        connection.deliver(0, number, reply).await;
    }
    for reply in &replies {
        assert_eq!(exchange.next().await.as_deref(), Some(reply));
    }
    assert_eq!(exchange.next().await, None);
}

#[tokio::test]
async fn a_request_ends_as_unknown_at_its_deadline_or_with_its_connection() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let asked = Instant::now();
    let deadline = Duration::from_millis(200);
    let (reply, request) =
        tokio::join!(mesh.request(question(&mesh), deadline), hear_request(&mut connection));
    assert_eq!(reply, Ok(Reply::Unknown));
    assert!(asked.elapsed() >= deadline && asked.elapsed() < LONG);
    // What comes too late is an ordinary message.
    let late = reply_to(&request, &key(2), "inform", false);
    connection.deliver(0, 1, &late).await;
    let mut incoming = mesh.incoming().unwrap();
    assert_eq!(incoming.next_message().await.as_deref(), Some(&late));
    let cut = async {
        connection.hear_sends().await;
        drop(connection);
    };
    let requested = async { tokio::join!(mesh.request(question(&mesh), LONG), cut) };
    let (reply, ()) = timeout(Duration::from_secs(5), requested).await.unwrap();
    assert_eq!(reply, Ok(Reply::Unknown));
}

#[tokio::test]
async fn a_rejected_request_says_why() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let problem = Problem::new("agent.away", "not connected");
    let node = async {
        let (tag, _) = connection.hear_sends().await.remove(0);
        let rejected = SendOutcome::Rejected(problem.clone());
        connection.settle(tag, rejected).await;
    };
    let (reply, ()) = tokio::join!(mesh.request(question(&mesh), LONG), node);
    assert_eq!(reply, Err(SdkError::Rejected(problem.into())));
}

#[tokio::test]
async fn an_answer_goes_to_the_asker_and_bears_the_id() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let question = message_from(&key(2), peer.domain(), &mesh.id(), |draft| draft);
    let payload = serde_json::json!({"b": 1, "a": 2});
    let (sent, answer) =
        tokio::join!(mesh.reply(&question, &Performative::Inform, &payload), hear_request(&mut connection));
    assert_eq!(sent, Ok(openmesh_sdk::Sent::Passed));
    assert_eq!(answer.attributes.get("inreplyto"), question.attributes.get("id"));
    let to = format!("mesh://{}/agent/{}", peer.domain(), key(2).id());
    assert_eq!(answer.attributes.get("to"), Some(to.as_str()));
    assert_eq!(&answer.payload[..], br#"{"a":2,"b":1}"#);
    let back: serde_json::Value = openmesh_sdk::parse_json(&answer).unwrap();
    assert_eq!(back, payload);
}
