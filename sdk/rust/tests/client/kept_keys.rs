//! Messages that the node signed for an agent: taken only with keys that the node says it keeps for that agent.

use crate::peer::{Peer, PeerConnection, key, message_from};
use openmesh_message::frame::{Command, Reply};
use openmesh_message::{AgentId, Envelope, Problem, Proof};
use openmesh_sdk::{Item, SdkError, SignedBy};
use std::time::Duration;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(10);

fn signed_for(peer: &Peer, to: &AgentId, keyid: u8) -> Envelope {
    let mut envelope = message_from(&key(2), peer.domain(), to, |draft| draft);
    envelope.proof = Some(Proof::sign(&key(keyid), &envelope.digest()));
    envelope
}

/// Answers which keys are kept for agent 2.
async fn say_kept(connection: &mut PeerConnection, kept: &[u8]) {
    let keys = kept.iter().map(|seed| serde_json::json!({"key": key(*seed).id()}));
    let row = serde_json::json!({"agent": key(2).id(), "custodial_keys": keys.collect::<Vec<_>>()});
    let asked = connection.answer_command(Ok(Reply::Rows(vec![row.to_string()]))).await;
    assert_eq!(asked, Command::GetAgent { agent: key(2).id().to_string() });
}

#[tokio::test]
async fn a_kept_key_is_asked_for_once_and_another_each_time() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let mut incoming = mesh.incoming().unwrap();
    let (kept, foreign) = (signed_for(&peer, &mesh.id(), 50), signed_for(&peer, &mesh.id(), 51));
    for (number, envelope) in (1..).zip([&kept, &kept, &foreign, &foreign, &kept]) {
        connection.deliver(0, number, envelope).await;
    }
    let node = async {
        for _ in 0..3 {
            say_kept(&mut connection, &[50]).await;
        }
    };
    let reader = async {
        let mut valid = Vec::new();
        for _ in 0..5 {
            let item = timeout(LONG, incoming.next()).await.unwrap();
            valid.push(matches!(item, Some(Item::Message { .. })));
        }
        valid
    };
    let (valid, ()) = tokio::join!(reader, node);
    assert_eq!(valid, [true, true, false, false, true]);
}

#[tokio::test]
async fn what_is_being_checked_is_not_lost_when_the_reader_gives_up_waiting() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let mut incoming = mesh.incoming().unwrap();
    let kept = signed_for(&peer, &mesh.id(), 50);
    connection.deliver(0, 1, &kept).await;
    tokio::select! {
        item = incoming.next() => panic!("the node has not said whether it keeps the key: {item:?}"),
        (_, command) = connection.hear_command() => assert!(matches!(command, Command::GetAgent { .. })),
    }
    let again = timeout(LONG, incoming.next_message());
    let (message, ()) = tokio::join!(again, say_kept(&mut connection, &[50]));
    assert_eq!(message.unwrap().as_deref(), Some(&kept));
}

#[tokio::test]
async fn who_signed_is_told_apart() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let own = message_from(&key(2), peer.domain(), &mesh.id(), |draft| draft);
    let kept = signed_for(&peer, &mesh.id(), 50);
    let mut unsigned = own.clone();
    unsigned.proof = None;
    let (signed, ()) = tokio::join!(mesh.signed_by(&own), say_kept(&mut connection, &[50]));
    assert_eq!(signed, Ok(SignedBy::Sender));
    assert_eq!(mesh.signed_by(&kept).await, Ok(SignedBy::Node));
    assert_eq!(mesh.signed_by(&unsigned).await, Ok(SignedBy::Nobody));
    let mut changed = kept.clone();
    changed.payload = b"[]"[..].into();
    assert!(matches!(mesh.signed_by(&changed).await, Err(SdkError::NotTheSenders(_))));
    let unknown = async { connection.answer_command(Err(Problem::new("not_found", "nobody"))).await };
    let foreign = signed_for(&peer, &mesh.id(), 51);
    let (foreign, _) = tokio::join!(mesh.signed_by(&foreign), unknown);
    assert!(matches!(foreign, Err(SdkError::NotTheSenders(_))));
}
