//! Spans on their way to a collector: what arrives, decoded by the official messages in Python (not a collector).

use crate::node::Node;
use openmesh_sdk::Performative;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver as Lines, sync_channel};
use std::time::Duration;

/// Spans that wait to be looked at.
const LINES_MAX: usize = 1_024;
const WAIT: Duration = Duration::from_secs(20);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A receiver; ended when dropped.
struct Receiver {
    child: Child,
    port: u16,
    lines: Lines<String>,
}

impl Receiver {
    /// Starts it with a Python that has `opentelemetry-proto`.
    fn start(python: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/whole/observing/otlp_receiver.py");
        let mut child = Command::new(python).args(["-B", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        reader.read_line(&mut port).unwrap();
        let port = port.trim().parse().unwrap();
        let (sender, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || {
            reader.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, port, lines }
    }

    fn spans(&self, count: usize) -> Vec<Value> {
        let mut spans = Vec::new();
        while spans.len() < count {
            let line = self.lines.recv_timeout(WAIT).unwrap_or_else(|_| panic!("only {spans:?}"));
            let span: Value = serde_json::from_str(&line).unwrap();
            if span["trace_id"] == TRACE {
                spans.push(span);
            }
        }
        spans
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spans_of_a_message_reach_a_receiver() {
    let Ok(python) = std::env::var("OPENMESH_OTLP_PYTHON") else {
        println!("not run: otlp (`cargo xtask campaign traces` names a Python with opentelemetry-proto)");
        return;
    };
    let receiver = Receiver::start(&python);
    let mut node = Node::start(&["--otlp", &format!("http://127.0.0.1:{}", receiver.port)]);
    let (_, alice) = node.agent("alice").await;
    let draft = alice.draft("inbox:alice", &Performative::Inform).unwrap().payload("text/plain", "noon");
    let mut envelope = alice.sign(draft).unwrap();
    envelope.transit.traceparent = Some(format!("00-{TRACE}-{PARENT}-01"));
    let digest = envelope.digest().to_string();
    alice.send(envelope).await.unwrap().accepted().unwrap();
    alice.inbox().lease(1, Duration::from_secs(30), WAIT).await.unwrap();
    let mut refused = alice.sign(alice.draft("inbox:nobody", &Performative::Inform).unwrap()).unwrap();
    refused.transit.traceparent = Some(format!("00-{TRACE}-{PARENT}-01"));
    assert!(!alice.send(refused).await.unwrap().is_accepted());
    drop(alice);
    // What waits goes out before the node ends.
    node.stop();
    let spans = receiver.spans(9);
    let mut of_first: Vec<_> =
        spans.iter().filter(|span| span["attributes"]["openmesh.message.digest"] == digest).collect();
    of_first.sort_by_key(|span| span["begun"].as_u64());
    let names: Vec<_> = of_first.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["admit", "decide", "keep", "perform", "deliver"]);
    for span in &of_first {
        assert_eq!((&span["service"], &span["parent_id"]), (&"openmesh".into(), &PARENT.into()));
        assert!(span["begun"].as_u64() <= span["ended"].as_u64());
        assert_eq!(span["attributes"]["messaging.system"], "openmesh");
    }
    let failed = spans.iter().filter(|span| span["status"] == 2);
    assert!(failed.map(|span| &span["attributes"]["error.type"]).all(|code| code == "address.unknown_agent"));
    let mut ids: Vec<_> = spans.iter().map(|span| span["span_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), spans.len(), "span ids are unique");
}
