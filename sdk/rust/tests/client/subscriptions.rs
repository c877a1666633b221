//! Subscriptions: gaps, forged messages, readers that do not read, the agent's own messages.

use crate::peer::{Peer, PeerConnection, key, message_from, signed};
use openmesh_message::frame::{ClientFrame, Command, Delivery, Reply, ServerFrame};
use openmesh_sdk::{Item, Mesh, Performative, Problem, SdkError, Start, Subscription};
use std::time::Duration;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(10);

async fn subscribe(mesh: &Mesh, connection: &mut PeerConnection, pattern: &str) -> (Subscription, Command) {
    let answered = connection.answer_command(Ok(Reply::Done));
    let (subscription, command) = tokio::join!(mesh.subscribe(pattern, Start::Next), answered);
    (subscription.unwrap(), command)
}

#[tokio::test]
async fn messages_and_the_nodes_gaps_arrive_in_order_and_dropping_unsubscribes() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let (mut news, command) = subscribe(&mesh, &mut connection, "topic:market/*").await;
    let expected = Command::Subscribe {
        subscription: news.number(),
        pattern: format!("mesh://{}/topic/market/*", peer.domain()),
        start: Start::Next,
    };
    assert_eq!(command, expected);
    let (subscription, envelope) = (news.number(), signed(&mesh, "x").unwrap());
    connection.deliver(subscription, 1, &envelope).await;
    let gap = Delivery::Gap { subscription, first: 2, last: 7 };
    connection.say(ServerFrame::Deliver(vec![gap])).await;
    connection.deliver(subscription, 8, &envelope).await;
    assert!(matches!(news.next().await, Some(Item::Message { number: 1, .. })));
    assert_eq!(news.next().await, Some(Item::Gap { first: 2, last: 7 }));
    assert!(matches!(news.next().await, Some(Item::Message { number: 8, .. })));
    drop(news);
    let (_, command) = connection.hear_command().await;
    assert_eq!(command, Command::Unsubscribe { subscription });
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_told_of_its_gap_and_holds_up_nobody() {
    let peer = Peer::start(16).await;
    let mut options = peer.options();
    options.subscription_messages_max = 10;
    let (mesh, mut connection) = peer.connect_with(&options).await;
    let (mut slow, _) = subscribe(&mesh, &mut connection, "topic:a").await;
    let (mut fast, _) = subscribe(&mesh, &mut connection, "topic:b").await;
    let envelope = signed(&mesh, "x").unwrap();
    for number in 1..=100 {
        connection.deliver(slow.number(), number, &envelope).await;
        connection.deliver(fast.number(), number, &envelope).await;
        let item = timeout(LONG, fast.next()).await.unwrap();
        assert!(matches!(item, Some(Item::Message { number: n, .. }) if n == number));
    }
    drop(connection);
    let (mut delivered, mut missed) = (0, 0);
    while let Some(item) = slow.next().await {
        match item {
            Item::Message { .. } => delivered += 1,
            Item::Gap { first, last } => missed += last - first + 1,
            Item::Invalid { .. } => panic!("the messages are valid"),
        }
    }
    assert_eq!((delivered, missed), (10, 90));
    assert_eq!(slow.ended_by(), Some(SdkError::Closed("by the node".to_owned())));
}

#[tokio::test]
async fn forged_messages_are_reported_and_dropped() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let mut incoming = mesh.incoming().unwrap();
    assert_eq!(mesh.incoming().err(), Some(SdkError::IncomingTaken));
    let honest = message_from(&key(2), peer.domain(), &mesh.id(), |draft| draft);
    let mut changed = honest.clone();
    changed.payload = b"{\"price\":1}"[..].into();
    let mut foreign = honest.clone();
    foreign.proof = message_from(&key(3), peer.domain(), &mesh.id(), |draft| draft).proof;
    let drafts = (0..3).map(|_| mesh.draft("topic:a", &Performative::Inform).unwrap());
    let mut batch = mesh.sign_batch(drafts.collect()).unwrap();
    batch[2].payload = b"changed"[..].into();
    let all = [&honest, &changed, &foreign, &batch[0], &batch[1], &batch[2]];
    for (number, envelope) in (1..).zip(all) {
        connection.deliver(0, number, envelope).await;
    }
    let mut valid = Vec::new();
    for _ in all {
        let item = timeout(LONG, incoming.next()).await.unwrap();
        valid.push(matches!(item, Some(Item::Message { .. })));
    }
    assert_eq!(valid, [true, false, false, true, true, false]);
}

#[tokio::test]
async fn messages_before_incoming_was_called_are_kept() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let early = message_from(&key(2), peer.domain(), &mesh.id(), |draft| draft);
    connection.deliver(0, 1, &early).await;
    let pinged = async {
        match connection.hear().await {
            Some(ClientFrame::Ping(number)) => connection.say(ServerFrame::Pong(number)).await,
            other => panic!("expected a ping, heard {other:?}"),
        }
    };
    let (pong, ()) = tokio::join!(mesh.ping(), pinged);
    pong.unwrap();
    let mut incoming = mesh.incoming().unwrap();
    let message = timeout(LONG, incoming.next_message()).await.unwrap();
    assert_eq!(message.as_deref(), Some(&early));
}

#[tokio::test]
async fn a_refused_subscription_says_why() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let problem = Problem::new("policy.denied", "strangers read nothing");
    let answered = connection.answer_command(Err(problem.clone()));
    let (refused, _) = tokio::join!(mesh.subscribe("topic:a", Start::Next), answered);
    assert_eq!(refused.err(), Some(SdkError::Refused(problem.into())));
    let refused = mesh.subscribe("topic:a*", Start::Next).await;
    assert!(matches!(refused.err(), Some(SdkError::Topic(_))));
}
