//! What an agent says in one write is done in the order it was said, however much of it is handed in together.

use crate::node::{Node, new_key};
use crate::raw_agent::RawAgent;
use openmesh_message::frame::{
    ClientFrame, Command, Delivery, FrameEncoder, SendOutcome, ServerFrame, Start,
};
use openmesh_message::{Address, Draft, Performative};
use std::sync::Arc;

/// More than are handed in together.
const MANY: u64 = 40;

fn bytes(frames: &[ClientFrame]) -> Vec<u8> {
    let (mut encoder, mut bytes) = (FrameEncoder::default(), Vec::new());
    frames.iter().for_each(|frame| encoder.encode_client(frame, &mut bytes).unwrap());
    bytes
}

fn subscribe(tag: u64, subscription: u64) -> ClientFrame {
    let pattern = format!("topic:news/{tag}");
    ClientFrame::Command(tag, Command::Subscribe { subscription, pattern, start: Start::Next })
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_done_in_order_and_before_the_message_behind_them() {
    let node = Node::start(&[]);
    let mut agent = RawAgent::connect(&node, "teller").await;
    let last = MANY + 2;
    let to = Address::expand(&format!("topic:news/{MANY}"), node.endpoint.domain).unwrap();
    let draft = Draft::new("1", openmesh_sdk::now(), &to, &Performative::Inform).payload("text/plain", "x");
    let mut frames: Vec<_> = (1..=MANY).map(|tag| subscribe(tag, tag)).collect();
    frames.push(ClientFrame::Command(MANY + 1, Command::Unsubscribe { subscription: 1 }));
    frames.push(subscribe(last, 1));
    frames.push(ClientFrame::Send(vec![(1, draft.unsigned(&agent.key.id()).unwrap())]));
    agent.write_bytes(&bytes(&frames)).await;
    let (mut replied, mut delivered, mut passed) = (Vec::new(), false, false);
    while !(delivered && passed && replied.len() as u64 == last) {
        match agent.read_frame().await {
            ServerFrame::Reply(tag, reply) => {
                assert!(reply.is_ok(), "{tag}: {reply:?}");
                replied.push(tag);
            }
            ServerFrame::Deliver(deliveries) => {
                let is_it =
                    |delivery: &Delivery| matches!(delivery, Delivery::Message { subscription: MANY, .. });
                delivered = deliveries.len() == 1 && deliveries.iter().all(is_it);
                assert!(delivered, "{deliveries:?}");
            }
            ServerFrame::Outcomes(outcomes) => {
                passed = true;
                assert_eq!(outcomes, [(1, SendOutcome::Passed)]);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(replied, (1..=last).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_before_something_that_is_no_frame_is_done() {
    let node = Node::start(&[]);
    let key = new_key();
    let mut agent = RawAgent::connect_as(&node, Arc::clone(&key)).await;
    let register = Command::Register { name: "hasty".to_owned(), token: Some(node.admin_token()) };
    let nonsense = [4_u32.to_be_bytes(), [0xff; 4]].concat();
    agent.write_bytes(&[bytes(&[ClientFrame::Command(1, register)]), nonsense].concat()).await;
    while !matches!(agent.read_frame().await, ServerFrame::Goodbye(_)) {}
    let (_, other) = node.agent("other").await;
    let agents = other.agents().await.unwrap();
    assert!(agents.iter().any(|agent| agent["name"] == "hasty"), "{agents:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_signed_each_for_itself_keep_their_order_and_each_has_its_own_verdict() {
    let node = Node::start(&["--pin", "news/**"]);
    let mut agent = RawAgent::connect(&node, "signer").await;
    let to = Address::expand("topic:news/all", node.endpoint.domain).unwrap();
    let is_forged = |tag: u64| tag.is_multiple_of(7);
    let message = |tag: u64| {
        let draft = Draft::new(tag.to_string(), openmesh_sdk::now(), &to, &Performative::Inform);
        let mut envelope = draft.payload("text/plain", "said").sign(&agent.key).unwrap();
        if is_forged(tag) {
            envelope.payload = "something else".into();
        }
        (tag, envelope)
    };
    let messages: Vec<_> = (1..=MANY).map(message).collect();
    agent.write(&ClientFrame::Send(messages)).await;
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    while accepted.len() + refused.len() < MANY as usize {
        match agent.read_frame().await {
            ServerFrame::Receipts(run) => {
                let receipts = run.open().unwrap().receipts;
                accepted.extend(receipts.into_iter().map(|(tag, receipt)| (tag, receipt.receipt.position)));
            }
            ServerFrame::Outcomes(outcomes) => {
                for (tag, outcome) in outcomes {
                    match outcome {
                        SendOutcome::Accepted(receipt) => accepted.push((tag, receipt.receipt.position)),
                        SendOutcome::Rejected(problem) => refused.push((tag, problem.code)),
                        other => panic!("{tag}: {other:?}"),
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }
    refused.sort();
    let forged: Vec<_> = (1..=MANY).filter(|tag| is_forged(*tag)).collect();
    assert_eq!(refused, forged.iter().map(|tag| (*tag, "signature.invalid".into())).collect::<Vec<_>>());
    accepted.sort_by_key(|(tag, _)| *tag);
    assert!(accepted.is_sorted_by(|(_, before), (_, after)| before < after), "{accepted:?}");
}
