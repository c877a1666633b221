//! What a node tells of itself: the trace of one message, and a log without secrets.

use crate::node::Node;
use openmesh_sdk::{Envelope, Mesh, Performative, Start};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(20);
const SPANS: [&str; 4] = ["--log", "openmesh::message=debug", "--log-format", "json"];
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// The spans of one trace in the order they ended, once there are so many.
fn spans(log: &Path, trace_id: &str, count: usize) -> Vec<Value> {
    let until = Instant::now() + WAIT;
    loop {
        let text = std::fs::read_to_string(log).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let ended = lines.filter(|line| line["message"] == "close").map(|line| line["span"].clone());
        let found: Vec<_> = ended.filter(|span| span["trace_id"] == trace_id).collect();
        if found.len() >= count || Instant::now() > until {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn names(spans: &[Value]) -> Vec<&str> {
    spans.iter().map(|span| span["name"].as_str().unwrap()).collect()
}

fn mail(mesh: &Mesh, to: &str, traceparent: Option<String>) -> Envelope {
    let draft = mesh.draft(to, &Performative::Inform).unwrap().payload("text/plain", "noon");
    let mut envelope = mesh.sign(draft).unwrap();
    envelope.transit.traceparent = traceparent;
    envelope
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_leaves_its_spans_in_the_trace_of_its_sender() {
    let (node, log) = Node::start_logged(&SPANS);
    let (_, alice) = node.agent("alice").await;
    let (_, bob) = node.agent("bob").await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let envelope = mail(&alice, "inbox:bob", Some(traceparent.clone()));
    let digest = envelope.digest();
    alice.send(envelope).await.unwrap().accepted().unwrap();
    let leased = bob.inbox().lease(1, Duration::from_secs(30), WAIT).await.unwrap();
    assert_eq!(
        leased[0].envelope.transit.traceparent.as_ref(),
        Some(&traceparent),
        "carried to the receiver"
    );
    let spans = spans(&log, TRACE, 5);
    assert_eq!(names(&spans), ["admit", "decide", "keep", "perform", "deliver"]);
    for span in &spans {
        assert_eq!(span["parent_id"], PARENT);
        assert_eq!(span["digest"], digest.to_string());
    }
    assert_eq!(spans[1]["outcome"], "accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_traceparent_the_digest_of_the_receipt_names_the_trace() {
    let (node, log) = Node::start_logged(&SPANS);
    let (_, alice) = node.agent("alice").await;
    let (_, bob) = node.agent("bob").await;
    let mut subscription = bob.subscribe("topic:weather/**", Start::Next).await.unwrap();
    let draft = alice.draft("topic:weather/berlin", &Performative::Inform).unwrap();
    let envelope = alice.sign(draft.payload("text/plain", "sun")).unwrap();
    let trace_of = |envelope: &Envelope| {
        let digest = envelope.digest();
        digest.as_bytes()[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let passed = trace_of(&envelope);
    let _ = alice.send(envelope).await.unwrap();
    tokio::time::timeout(WAIT, subscription.next_message()).await.unwrap().unwrap();
    assert_eq!(names(&spans(&log, &passed, 4)), ["admit", "decide", "perform", "deliver"], "nothing is kept");
    let envelope = mail(&alice, "inbox:nobody", None);
    let refused = trace_of(&envelope);
    let problem = alice.send(envelope).await.unwrap().problem().unwrap().code.clone();
    let spans = spans(&log, &refused, 4);
    assert_eq!(names(&spans), ["admit", "decide", "keep", "perform"]);
    assert!(spans.iter().any(|span| span["code"] == problem), "{spans:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_is_not_traced() {
    let (mut node, log) = Node::start_logged(&[SPANS.as_slice(), &["--trace-sample", "0"]].concat());
    let (_, alice) = node.agent("alice").await;
    let envelope = mail(&alice, "inbox:alice", Some(format!("00-{TRACE}-{PARENT}-01")));
    alice.send(envelope).await.unwrap().accepted().unwrap();
    node.stop();
    assert!(!std::fs::read_to_string(&log).unwrap().contains("trace_id"));
}
