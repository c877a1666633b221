//! A subscription that ends while messages are on their way to it: nothing of it comes under its number afterwards.

use super::SOON;
use crate::node::Node;
use crate::raw_agent::RawAgent;
use openmesh_message::frame::{ClientFrame, Command, Delivery, ServerFrame, Start};
use openmesh_sdk::{Mesh, Performative, Sent};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::timeout;

/// How often a number is given up and used again.
const ROUNDS: u64 = 400;
/// Messages sent at a time.
const BATCH: usize = 200;
/// The number that is used again and again.
const NUMBER: u64 = 7;

/// Sends batches of messages that are alike to both topics until told to stop.
async fn flood(writer: Mesh, topic: &'static str, stop: Arc<AtomicBool>) -> usize {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let envelope = || {
            let draft = writer.draft(topic, &Performative::Inform).unwrap();
            writer.unsigned(draft.payload("text/plain", "x")).unwrap()
        };
        let outcomes = writer.send_batch((0..BATCH).map(|_| envelope()).collect()).await.unwrap();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Sent::Passed)), "{outcomes:?}");
        sent += outcomes.len();
    }
    sent
}

/// Gives a command and reads until it is answered; what came under the number before that.
async fn give(agent: &mut RawAgent, command: Command, heard: &mut Vec<Delivery>) {
    agent.write(&ClientFrame::Command(1, command)).await;
    loop {
        match timeout(SOON, agent.read_frame()).await.expect("an answer comes in time") {
            ServerFrame::Reply(1, Ok(_)) => return,
            ServerFrame::Deliver(deliveries) => heard.extend(deliveries),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_used_again_bears_nothing_of_what_it_stood_for() {
    let node = Node::start(&[]);
    let stop = Arc::new(AtomicBool::new(false));
    let mut writing = Vec::new();
    let topics = ["topic:ticks/one", "topic:ticks/other"];
    for topic in topics {
        let (_, writer) = node.agent(topic.rsplit('/').next().unwrap()).await;
        writing.push(tokio::spawn(flood(writer, topic, Arc::clone(&stop))));
    }
    let mut reader = RawAgent::connect(&node, "reader").await;
    let mut heard_in_all = 0;
    for round in 0..ROUNDS {
        let topic = topics[(round % 2) as usize];
        let mut before = Vec::new();
        let subscribe =
            Command::Subscribe { subscription: NUMBER, pattern: topic.to_owned(), start: Start::Next };
        give(&mut reader, subscribe, &mut before).await;
        let mut heard = before;
        for _ in 0..round % 4 {
            if let ServerFrame::Deliver(more) = timeout(SOON, reader.read_frame()).await.expect("in time") {
                heard.extend(more);
            }
        }
        give(&mut reader, Command::Unsubscribe { subscription: NUMBER }, &mut heard).await;
        let mut next = 1;
        for delivery in &heard {
            let (first, last) = match delivery {
                Delivery::Message { number, envelope, .. } => {
                    let to = envelope.attributes.get("to").unwrap();
                    assert!(
                        to.ends_with(&topic["topic:".len()..]),
                        "round {round}: {to} where {topic} is read"
                    );
                    (*number, *number)
                }
                Delivery::Gap { first, last, .. } => (*first, *last),
            };
            assert_eq!(first, next, "round {round}");
            next = last + 1;
        }
        heard_in_all += heard.len();
    }
    stop.store(true, Ordering::Relaxed);
    let mut sent = 0;
    for writing in writing {
        sent += writing.await.unwrap();
    }
    println!(
        "{ROUNDS} times a number was used again: {heard_in_all} heard of {sent} sent, none of them stale"
    );
    assert!(heard_in_all as u64 > ROUNDS, "hardly anything was heard: nothing was tested");
}
