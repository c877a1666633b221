//! One domain, six doors: the same 150 messages get the same answer at each, and the same digests are kept.
//!
//! Each door gets a node of its own, on a copy of one folder, so that all serve the same domain and agents.

mod corpus;
mod entrance;
mod flood;
mod hostile;
mod http;
pub(crate) mod maker;
mod reads;
mod socket;

use crate::node::Node;
use corpus::{Case, Corpus, Expected};
use entrance::{Door, Entrance, Verdict};
use openmesh_message::KeyPair;
use openmesh_sdk::{LogFilter, TokenTerms, now};
use std::sync::Arc;

const HOUR_MS: i64 = 60 * 60 * 1000;
const CASES_MIN: usize = 150;

/// What a door made of the corpus.
#[derive(Debug, PartialEq)]
struct Outcome {
    verdicts: Vec<(String, Verdict)>,
    /// Kind, digest and code of each record of a message, in the log's order.
    kept: Vec<(String, String, String)>,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_messages_get_the_same_answer_at_every_door() {
    let mut origin = Node::start(&["--pin", "market/**"]);
    let (key, sender) = origin.agent("sender").await;
    let (other, _) = origin.agent("other").await;
    let (_, receiver) = origin.agent("receiver").await;
    let order = sender.publish_schema("shop/order@v1.0.0", corpus::ORDER).await.unwrap();
    let token = sender.issue_token(terms()).await.unwrap().token.reveal().to_owned();
    let corpus = Corpus {
        key: Arc::clone(&key),
        other,
        receiver: receiver.id(),
        domain: origin.endpoint.domain,
        order: order.name,
    };
    sender.close().await;
    receiver.close().await;
    origin.stop();
    let cases = corpus.cases();
    assert!(cases.len() >= CASES_MIN, "{} messages", cases.len());
    let mut native = None;
    for door in Door::ALL {
        let node = origin.copy();
        let outcome = walk_through(door, &node, &key, &token, &cases).await;
        match &native {
            None => native = Some(as_expected(&cases, outcome)),
            Some(native) => compare(door, native, &outcome),
        }
    }
    let native = native.unwrap();
    let refused =
        native.verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Rejected(_))).count();
    println!("{} messages, {refused} refused, {} doors", native.verdicts.len(), Door::ALL.len());
}

fn terms() -> TokenTerms {
    TokenTerms {
        scopes: "send,read,inbox".parse().unwrap(),
        expires: now().plus_ms(HOUR_MS),
        label: "doors".to_owned(),
        custodial: false,
    }
}

async fn walk_through(door: Door, node: &Node, key: &Arc<KeyPair>, token: &str, cases: &[Case]) -> Outcome {
    let mut entrance = Entrance::open(door, node, key, token).await;
    let mut verdicts = Vec::new();
    for case in cases {
        verdicts.push((case.name.clone(), entrance.offer(&case.envelope).await));
    }
    let reader = node.connect(key).await;
    let records = reader.query_log(LogFilter::default()).collect(10_000).await.unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let kept = records.iter().filter(|record| record["kind"] == "message" || record["kind"] == "refused");
    let row = |record: &serde_json::Value| {
        let digest = record.pointer("/message/digest").or(record.pointer("/refused/digest"));
        (text(&record["kind"]), digest.map(text).unwrap_or_default(), text(&record["outcome"]["code"]))
    };
    Outcome { verdicts, kept: kept.map(row).collect() }
}

/// The native door does what the corpus says.
fn as_expected(cases: &[Case], outcome: Outcome) -> Outcome {
    let mut otherwise = Vec::new();
    for (case, (_, verdict)) in cases.iter().zip(&outcome.verdicts) {
        let fits = match (&case.expected, verdict) {
            (Expected::Accepted, Verdict::Accepted(digest)) => *digest == case.envelope.digest().to_string(),
            (Expected::Passed, Verdict::Passed) => true,
            (Expected::Refused(code), Verdict::Rejected(given)) => code == given,
            _ => false,
        };
        if !fits {
            otherwise.push(format!("{}: expected {:?}, got {verdict:?}", case.name, case.expected));
        }
    }
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
    let digests: Vec<_> = outcome.kept.iter().filter(|row| row.0 == "message").map(|row| &row.1).collect();
    for case in cases.iter().filter(|case| case.is_kept()) {
        assert!(digests.contains(&&case.envelope.digest().to_string()), "{} is kept", case.name);
    }
    outcome
}

fn compare(door: Door, native: &Outcome, outcome: &Outcome) {
    let pairs = native.verdicts.iter().zip(&outcome.verdicts).filter(|(expected, found)| expected != found);
    let otherwise: Vec<_> =
        pairs.map(|(expected, found)| format!("{expected:?}, but {:?}", found.1)).collect();
    assert!(
        otherwise.is_empty(),
        "{door:?} answers otherwise than the native door:\n{}",
        otherwise.join("\n")
    );
    assert_eq!(native.kept, outcome.kept, "{door:?} keeps what the native door does");
}
