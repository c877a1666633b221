//! Publish–subscribe, request–reply and inboxes, end to end.

mod shortcuts;
mod streams;
mod together;

use crate::node::Node;
use openmesh_sdk::{Item, Performative, Reply, Sent, Start};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_topic_is_replayed_from_a_position_after_a_restart() {
    let mut node = Node::start(&["--pin", "market/**"]);
    let (key, writer) = node.agent("writer").await;
    let mut seqs = Vec::new();
    for n in 0..20 {
        let draft = writer.draft("topic:market/news", &Performative::Inform).unwrap();
        let envelope = writer.sign(draft.payload("text/plain", format!("{n}"))).unwrap();
        let receipt = writer.send(envelope).await.unwrap().accepted().unwrap();
        seqs.push(receipt.receipt.position.unwrap().seq);
    }
    node.stop();
    node.restart();
    let reader = node.connect(&key).await;
    let mut subscription = reader.subscribe("topic:market/*", Start::At(seqs[5])).await.unwrap();
    for (n, seq) in seqs.iter().enumerate().skip(5) {
        let envelope = tokio::time::timeout(10 * SECOND, subscription.next_message()).await.unwrap().unwrap();
        assert_eq!(&envelope.payload[..], n.to_string().as_bytes());
        assert_eq!(envelope.transit.position.unwrap().seq, *seq);
    }
    let draft = reader.draft("topic:market/news", &Performative::Inform).unwrap();
    let sent = reader.send(reader.sign(draft.payload("text/plain", "live")).unwrap()).await.unwrap();
    assert!(sent.is_accepted());
    let envelope = tokio::time::timeout(10 * SECOND, subscription.next_message()).await.unwrap().unwrap();
    assert_eq!(&envelope.payload[..], b"live");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ephemeral_topic_reaches_those_who_listen_and_keeps_nothing() {
    let node = Node::start(&[]);
    let (_, writer) = node.agent("writer").await;
    let (_, reader) = node.agent("reader").await;
    let mut subscription = reader.subscribe("topic:weather/**", Start::Next).await.unwrap();
    let draft = writer.draft("topic:weather/berlin/today", &Performative::Inform).unwrap();
    let unsigned = writer.unsigned(draft.payload("text/plain", "sun")).unwrap();
    assert!(matches!(writer.send(unsigned).await.unwrap(), Sent::Passed));
    let item = tokio::time::timeout(10 * SECOND, subscription.next()).await.unwrap().unwrap();
    assert!(matches!(item, Item::Message { number: 1, envelope } if &envelope.payload[..] == b"sun"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_gets_one_final_reply_and_none_after_its_deadline() {
    let node = Node::start(&[]);
    let (_, asker) = node.agent("asker").await;
    let (_, responder) = node.agent("responder").await;
    let mut incoming = responder.incoming().unwrap();
    let draft = asker.draft("agent:responder", &Performative::Request).unwrap().payload("text/plain", "2+2");
    let answering = tokio::spawn(async move {
        let request = incoming.next_message().await.unwrap();
        let first = responder.reply(&request, &Performative::Inform, &4).await.unwrap();
        let second = responder.reply(&request, &Performative::Inform, &5).await.unwrap();
        let late = incoming.next_message().await.unwrap();
        tokio::time::sleep(SECOND).await;
        (first, second, responder.reply(&late, &Performative::Inform, &4).await.unwrap())
    });
    let Reply::Final(reply) = asker.request(draft, 10 * SECOND).await.unwrap() else {
        panic!("no reply in time");
    };
    assert_eq!(&reply.payload[..], b"4");
    let draft = asker.draft("agent:responder", &Performative::Request).unwrap().payload("text/plain", "2+2");
    assert!(matches!(asker.request(draft, SECOND / 2).await.unwrap(), Reply::Unknown));
    let (first, second, late) = answering.await.unwrap();
    assert!(matches!(first, Sent::Passed));
    assert_eq!(second.problem().unwrap().code, "reply.duplicate");
    assert_eq!(late.problem().unwrap().code, "reply.late");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_waits_for_an_agent_that_is_away_and_comes_back_until_it_is_acknowledged() {
    let mut node = Node::start(&[]);
    let (key, receiver) = node.agent("receiver").await;
    receiver.close().await;
    let (_, sender) = node.agent("sender").await;
    let draft = sender.draft("agent:receiver", &Performative::Inform).unwrap().payload("text/plain", "hello");
    let away = sender.send(sender.sign(draft.clone()).unwrap()).await.unwrap();
    assert_eq!(away.problem().unwrap().code, "agent.away");
    let durable =
        sender.draft("agent:receiver", &Performative::Inform).unwrap().payload("text/plain", "hello");
    assert!(sender.send(sender.sign(durable.ack_level("durable")).unwrap()).await.unwrap().is_accepted());
    node.kill_and_restart();
    let inbox = node.connect(&key).await.inbox();
    let first = inbox.lease(10, SECOND / 2, SECOND).await.unwrap();
    assert_eq!((first.len(), first[0].attempt), (1, 1));
    let second = inbox.lease(10, 10 * SECOND, 5 * SECOND).await.unwrap();
    assert_eq!((second.len(), second[0].attempt), (1, 2), "an unacknowledged message comes back");
    assert!(second[0].token > first[0].token, "fencing tokens grow");
    let stale = inbox.ack(first[0].token, &[]).await.unwrap_err();
    assert!(stale.to_string().contains("lease.stale"), "{stale}");
    inbox.ack(second[0].token, &[]).await.unwrap();
    let counts = inbox.counts().await.unwrap();
    assert!(counts.is_conserved());
    assert_eq!((counts.accepted, counts.acknowledged, counts.pending), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_past_its_time_expires_and_mail_given_back_too_often_is_a_dead_letter() {
    const DELIVERIES_MAX: u32 = 10;
    let node = Node::start(&[]);
    let (_, receiver) = node.agent("receiver").await;
    let (_, sender) = node.agent("sender").await;
    let soon = openmesh_sdk::now().plus_ms(1_500);
    for (text, expiry) in [("brief", Some(soon)), ("poison", None)] {
        let draft =
            sender.draft("inbox:receiver", &Performative::Inform).unwrap().payload("text/plain", text);
        let draft = expiry.map_or(draft.clone(), |time| draft.expires(time));
        assert!(sender.send(sender.sign(draft).unwrap()).await.unwrap().is_accepted());
    }
    let inbox = receiver.inbox();
    let both = inbox.lease(10, 60 * SECOND, SECOND).await.unwrap();
    assert_eq!(both.len(), 2);
    let poison = both[1].number;
    inbox.nack(both[0].token, &[poison], Duration::ZERO).await.unwrap();
    for attempt in 2..=DELIVERIES_MAX {
        let leased = inbox.lease(1, 60 * SECOND, 5 * SECOND).await.unwrap();
        assert_eq!((leased[0].number, leased[0].attempt), (poison, attempt));
        inbox.nack(leased[0].token, &[], Duration::ZERO).await.unwrap();
    }
    assert!(inbox.lease(1, SECOND, 3 * SECOND).await.unwrap().is_empty(), "neither comes back");
    let counts = inbox.counts().await.unwrap();
    assert!(counts.is_conserved());
    assert_eq!((counts.expired, counts.dead_lettered, counts.pending), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_agent_is_woken_by_mail() {
    let node = Node::start(&[]);
    let (_, receiver) = node.agent("receiver").await;
    let (_, sender) = node.agent("sender").await;
    let waiting = tokio::spawn(async move { receiver.inbox().lease(1, SECOND, 30 * SECOND).await.unwrap() });
    tokio::time::sleep(SECOND / 5).await;
    let draft = sender.draft("inbox:receiver", &Performative::Inform).unwrap().payload("text/plain", "wake");
    assert!(sender.send(sender.sign(draft).unwrap()).await.unwrap().is_accepted());
    let leased = tokio::time::timeout(10 * SECOND, waiting).await.unwrap().unwrap();
    assert_eq!(&leased[0].envelope.payload[..], b"wake");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_send_has_one_position_also_after_a_restart() {
    let mut node = Node::start(&["--pin", "market/**"]);
    let (key, mesh) = node.agent("writer").await;
    let draft = mesh.draft("topic:market/news", &Performative::Inform).unwrap();
    let envelope = mesh.sign(draft.payload("text/plain", "once")).unwrap();
    let first = mesh.send(envelope.clone()).await.unwrap().accepted().unwrap();
    assert!(!first.receipt.duplicate);
    for _ in 0..3 {
        node.kill_and_restart();
        let mesh = node.connect(&key).await;
        let again = mesh.send(envelope.clone()).await.unwrap().accepted().unwrap();
        assert!(again.receipt.duplicate);
        assert_eq!(again.receipt.position, first.receipt.position);
        let found = mesh.receipt(&envelope.digest(), envelope.attributes.get("id").unwrap()).await.unwrap();
        assert_eq!(found.unwrap().receipt.position, first.receipt.position);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_denied_and_registering_needs_the_token() {
    let node = Node::start(&["--pin", "market/**"]);
    let stranger = node.connect(&crate::node::new_key()).await;
    let draft = stranger.draft("topic:market/news", &Performative::Inform).unwrap();
    let sent = stranger.send(stranger.sign(draft.payload("text/plain", "x")).unwrap()).await.unwrap();
    assert_eq!(sent.problem().unwrap().code, "policy.denied");
    for (token, code) in [(None, "policy.denied"), (Some("guess"), "token.invalid")] {
        let refused = stranger.register("stranger", token).await.unwrap_err();
        assert!(refused.to_string().contains(code), "{refused}");
    }
    assert!(stranger.subscribe("topic:market/news", Start::Next).await.is_err());
    assert!(stranger.agents().await.is_err());
}
