//! Sending: outcomes, receipts that do not hold, lost connections, resending, room in flight.

use crate::peer::{Peer, PeerConnection, key, receipts, signed};
use openmesh_message::frame::{ClientFrame, Command, Reply, SendOutcome, ServerFrame};
use openmesh_message::{Digest, Envelope};
use openmesh_sdk::{Mesh, Performative, Problem, SdkError, Sent};
use std::time::Duration;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(10);

/// Sends one message, settles it as `outcome` says, and returns what the client makes of it.
async fn outcome_of(
    peer: &Peer,
    mesh: &Mesh,
    connection: &mut PeerConnection,
    outcome: impl FnOnce(&Peer, Digest) -> SendOutcome,
) -> Sent {
    let envelope = signed(mesh, "x").unwrap();
    let node = async {
        let (tag, envelope) = connection.hear_sends().await.remove(0);
        connection.settle(tag, outcome(peer, envelope.digest())).await;
    };
    let (sent, ()) = tokio::join!(mesh.send(envelope), node);
    sent.unwrap()
}

#[tokio::test]
async fn each_outcome_reaches_the_sender() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let c = &mut connection;
    let accepted = |peer: &Peer, digest| SendOutcome::Accepted(peer.receipt(digest));
    assert!(outcome_of(&peer, &mesh, c, accepted).await.is_accepted());
    let passed = outcome_of(&peer, &mesh, c, |_, _| SendOutcome::Passed).await;
    assert_eq!(passed, Sent::Passed);
    let problem = Problem::new("policy.denied", "no");
    let rejected = |_: &Peer, _| SendOutcome::Rejected(Problem::new("policy.denied", "no"));
    let rejected = outcome_of(&peer, &mesh, c, rejected).await;
    assert_eq!(rejected.accepted(), Err(SdkError::Rejected(problem.into())));
    let unknown = outcome_of(&peer, &mesh, c, |_, _| SendOutcome::Unknown).await;
    assert_eq!(unknown, Sent::Unknown);
}

#[tokio::test]
async fn a_receipt_that_does_not_hold_counts_as_unknown() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let c = &mut connection;
    let foreign = |_: &Peer, digest| SendOutcome::Accepted(receipts(&key(55), &[digest]).remove(0));
    assert_eq!(outcome_of(&peer, &mesh, c, foreign).await, Sent::Unknown);
    let of_another = |peer: &Peer, _| SendOutcome::Accepted(peer.receipt(Digest::ZERO));
    assert_eq!(outcome_of(&peer, &mesh, c, of_another).await, Sent::Unknown);
    let changed = |peer: &Peer, digest| {
        let mut receipt = peer.receipt(digest);
        receipt.receipt.duplicate = true;
        SendOutcome::Accepted(receipt)
    };
    assert_eq!(outcome_of(&peer, &mesh, c, changed).await, Sent::Unknown);
}

#[tokio::test]
async fn one_changed_receipt_of_a_commit_does_not_pass_on_the_signature_of_the_others() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let envelopes = (0..4).map(|n| signed(&mesh, &n.to_string()).unwrap());
    let envelopes: Vec<_> = envelopes.collect();
    let node = async {
        let mut sends = Vec::new();
        while sends.len() < 4 {
            sends.extend(connection.hear_sends().await);
        }
        let digests: Vec<_> = sends.iter().map(|(_, e)| e.digest()).collect();
        let mut receipts = receipts(&peer.node, &digests);
        receipts[2].receipt.duplicate = true;
        let outcomes = sends.iter().zip(receipts);
        let outcomes = outcomes.map(|((tag, _), receipt)| (*tag, SendOutcome::Accepted(receipt)));
        let frame = ServerFrame::Outcomes(outcomes.collect());
        connection.say(frame).await;
    };
    let (sent, ()) = tokio::join!(mesh.send_batch(envelopes), node);
    let accepted: Vec<_> = sent.unwrap().iter().map(Sent::is_accepted).collect();
    assert_eq!(accepted, [true, true, false, true]);
}

#[tokio::test]
async fn sends_in_flight_end_as_unknown_when_the_connection_is_cut() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let mut pending = Vec::new();
    for n in 0..10 {
        let envelope = signed(&mesh, &n.to_string()).unwrap();
        pending.push(mesh.submit(envelope).await.unwrap());
    }
    connection.hear_sends().await;
    drop(connection);
    for send in pending {
        let sent = timeout(LONG, send).await.unwrap();
        assert_eq!(sent, Sent::Unknown);
    }
    let refused = mesh.send(signed(&mesh, "late").unwrap()).await;
    assert!(matches!(refused, Err(SdkError::Closed(_))));
    let refused = mesh.agents().await;
    assert!(matches!(refused, Err(SdkError::Closed(_))));
}

#[tokio::test]
async fn an_unanswered_send_ends_as_unknown_and_a_silent_node_ends_the_connection() {
    let peer = Peer::start(16).await;
    let mut options = peer.options();
    options.send_timeout = Duration::from_millis(100);
    options.keepalive = Duration::from_millis(200);
    let (mesh, mut connection) = peer.connect_with(&options).await;
    let send = mesh.send(signed(&mesh, "x").unwrap());
    assert_eq!(timeout(LONG, send).await.unwrap(), Ok(Sent::Unknown));
    assert!(mesh.is_connected());
    connection.hear_sends().await;
    let asked = timeout(LONG, connection.hear()).await.unwrap();
    assert!(matches!(asked, Some(ClientFrame::Ping(_))));
    let ended = async { while connection.hear().await.is_some() {} };
    timeout(LONG, ended).await.unwrap();
    assert!(!mesh.is_connected());
}

#[tokio::test]
async fn the_same_bytes_are_sent_again_until_the_outcome_is_known() {
    let peer = Peer::start(16).await;
    let (mesh, mut first) = peer.connect().await;
    let envelope = signed(&mesh, "x").unwrap();
    let node = async {
        let cut = first.hear_sends().await.remove(0).1;
        drop(first);
        let mut second = peer.accept().await;
        let (tag, unanswered) = second.hear_sends().await.remove(0);
        second.settle(tag, SendOutcome::Unknown).await;
        let (tag, last) = second.hear_sends().await.remove(0);
        let receipt = peer.receipt(last.digest());
        second.settle(tag, SendOutcome::Accepted(receipt)).await;
        (second, [cut, unanswered, last])
    };
    let sending = mesh.send_until_known(envelope.clone(), LONG);
    let (sent, (_second, seen)) = tokio::join!(sending, node);
    assert!(sent.unwrap().is_accepted());
    assert!(seen.iter().all(|seen| *seen == envelope));
}

#[tokio::test]
async fn outside_the_window_the_receipt_is_asked_for() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let envelope = signed(&mesh, "x").unwrap();
    let digest = envelope.digest();
    let node = async {
        let (tag, _) = connection.hear_sends().await.remove(0);
        let problem = Problem::new("time.outside_window", "too old");
        connection.settle(tag, SendOutcome::Rejected(problem)).await;
        let receipt = Box::new(peer.receipt(digest));
        let command = connection.answer_command(Ok(Reply::Receipt(Some(receipt))));
        command.await
    };
    let (sent, command) = tokio::join!(mesh.send_until_known(envelope, LONG), node);
    assert!(sent.unwrap().is_accepted());
    assert!(matches!(command, Command::GetReceipt { message, .. } if message == digest));
}

#[tokio::test]
async fn without_a_node_a_send_stays_unknown_at_its_deadline() {
    let peer = Peer::start(16).await;
    let (mesh, connection) = peer.connect().await;
    let envelope = signed(&mesh, "x").unwrap();
    drop((connection, peer));
    let sending = mesh.send_until_known(envelope, Duration::from_millis(300));
    assert_eq!(timeout(LONG, sending).await.unwrap(), Ok(Sent::Unknown));
}

#[tokio::test]
async fn no_more_than_the_nodes_limit_is_in_flight_and_waiting_sends_are_packed() {
    let peer = Peer::start(8).await;
    let (mesh, mut connection) = peer.connect().await;
    let drafts = (0..64).map(|_| mesh.draft("topic:a", &Performative::Inform).unwrap());
    let envelopes = mesh.sign_batch(drafts.collect()).unwrap();
    let expected: Vec<_> = envelopes.iter().map(Envelope::digest).collect();
    let node = async {
        let (mut seen, mut frames) = (Vec::new(), 0);
        while seen.len() < 64 {
            let sends = connection.hear_sends().await;
            frames += 1;
            assert!(sends.len() <= 8, "{} in flight", sends.len());
            for (tag, envelope) in sends {
                let digest = envelope.digest();
                let proof = envelope.proof.as_ref().unwrap();
                assert_eq!(proof.verify(&mesh.id(), &digest), Ok(()));
                seen.push(digest);
                let receipt = peer.receipt(digest);
                connection.settle(tag, SendOutcome::Accepted(receipt)).await;
            }
        }
        (seen, frames)
    };
    let (sent, (seen, frames)) = tokio::join!(mesh.send_batch(envelopes), node);
    assert!(sent.unwrap().iter().all(Sent::is_accepted));
    assert_eq!(seen, expected, "in the order given");
    assert!(frames < 64, "{frames} frames for 64 messages");
}

#[tokio::test]
async fn what_fits_no_frame_is_refused_and_what_just_fits_is_sent() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let of_size = |bytes: usize| {
        let draft = mesh.draft("topic:a", &Performative::Inform).unwrap();
        let payload = vec![b'x'; bytes];
        mesh.sign(draft.payload("text/plain", payload)).unwrap()
    };
    let refused = mesh.send(of_size(1024 * 1024)).await;
    assert!(matches!(refused, Err(SdkError::TooLarge { .. })));
    let bytes = openmesh_message::limits::PAYLOAD_BYTES_MAX;
    let large = vec![of_size(bytes), of_size(bytes / 2), of_size(bytes / 2)];
    let node = async {
        let mut seen = 0;
        while seen < 3 {
            for (tag, _) in connection.hear_sends().await {
                seen += 1;
                connection.settle(tag, SendOutcome::Passed).await;
            }
        }
    };
    let (sent, ()) = tokio::join!(mesh.send_batch(large), node);
    assert_eq!(sent.unwrap(), [Sent::Passed, Sent::Passed, Sent::Passed]);
    let definition = "x".repeat(2 * 1024 * 1024);
    let refused = mesh.publish_protocol(&definition).await;
    assert!(matches!(refused, Err(SdkError::TooLarge { .. })));
    assert!(mesh.is_connected());
}

#[tokio::test]
async fn closing_waits_for_outcomes_and_then_for_the_node() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let envelope = signed(&mesh, "x").unwrap();
    let pending = mesh.submit(envelope).await.unwrap();
    let node = async {
        let (tag, envelope) = connection.hear_sends().await.remove(0);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let receipt = peer.receipt(envelope.digest());
        connection.settle(tag, SendOutcome::Accepted(receipt)).await;
        assert_eq!(connection.hear().await, None);
        drop(connection);
    };
    let both = async { tokio::join!(mesh.close(), node) };
    timeout(Duration::from_secs(3), both).await.unwrap();
    assert!(pending.await.is_accepted());
    let refused = mesh.send(signed(&mesh, "y").unwrap()).await;
    assert_eq!(refused, Err(SdkError::Closed("by this side".to_owned())));
}
