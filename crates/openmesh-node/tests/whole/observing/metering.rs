//! What a node counts, read as Prometheus does and compared with what was sent; and a log without secrets.

use crate::node::Node;
use openmesh_sdk::{Performative, Sent, Start};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const WAIT: Duration = Duration::from_secs(20);

/// Where a node serves HTTP.
fn http(node: &Node) -> SocketAddr {
    let text = std::fs::read_to_string(node.folder().join("endpoint.json")).unwrap();
    let endpoint: Value = serde_json::from_str(&text).unwrap();
    endpoint["http"].as_str().unwrap().parse().unwrap()
}

/// One request; status and body.
fn call(at: SocketAddr, request: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).unwrap();
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// Every sample by its name and labels.
fn scrape(at: SocketAddr) -> BTreeMap<String, f64> {
    let (status, text) = call(at, "GET /metrics", "", "");
    assert_eq!(status, 200);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(key, value)| (key.to_owned(), value.parse().unwrap()))
        .collect()
}

/// The sum of the samples of a name whose labels hold all of these.
fn total(samples: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let is_meant =
        |key: &str| key.split('{').next() == Some(name) && labels.iter().all(|label| key.contains(label));
    samples.iter().filter(|(key, _)| is_meant(key)).map(|(_, value)| value).sum()
}

fn wait_for(
    at: SocketAddr,
    what: &str,
    is_so: impl Fn(&BTreeMap<String, f64>) -> bool,
) -> BTreeMap<String, f64> {
    let until = Instant::now() + WAIT;
    loop {
        let samples = scrape(at);
        if is_so(&samples) {
            return samples;
        }
        assert!(Instant::now() < until, "{what}: {samples:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counts_are_those_of_what_was_sent() {
    const SENT: &str = "messaging_client_sent_messages_total";
    let node = Node::start(&["--pin", "market/**"]);
    let at = http(&node);
    let (_, alice) = node.agent("alice").await;
    let (_, bob) = node.agent("bob").await;
    let mut subscription = bob.subscribe("topic:**", Start::Next).await.unwrap();
    for (to, count) in
        [("topic:market/tea", 7), ("topic:weather/berlin", 5), ("inbox:bob", 3), ("inbox:nobody", 2)]
    {
        for _ in 0..count {
            let draft = alice.draft(to, &Performative::Inform).unwrap().payload("text/plain", "x");
            let sent = alice.send(alice.sign(draft).unwrap()).await.unwrap();
            assert_eq!(matches!(sent, Sent::Rejected(_)), to == "inbox:nobody");
        }
    }
    for _ in 0..12 {
        timeout(WAIT, subscription.next_message()).await.unwrap().unwrap();
    }
    let leased = bob.inbox().lease(2, Duration::from_secs(30), WAIT).await.unwrap();
    let numbers: Vec<_> = leased.iter().map(|leased| leased.number).collect();
    bob.inbox().ack(leased[0].token, &numbers).await.unwrap();
    let (status, _) = call(at, "GET /v1/inbox", "Authorization: Bearer omt_wrong\r\n", "");
    assert_eq!(status, 401);
    let pending = |samples: &BTreeMap<String, f64>| total(samples, "openmesh_inbox_messages", &["pending"]);
    let samples = wait_for(at, "the state is looked at", |samples| (pending(samples) - 1.0).abs() < 0.1);
    let count = |name, labels: &[&str]| total(&samples, name, labels) as u64;
    assert_eq!(count(SENT, &["topic/{path}", "accepted"]), 7);
    assert_eq!(count(SENT, &["topic/{path}", "passed"]), 5);
    assert_eq!(count(SENT, &["inbox/{agent}", "accepted"]), 3);
    assert_eq!(count(SENT, &["error_type=\"address.unknown_agent\"", "refused"]), 2);
    assert_eq!(count(SENT, &[]), 17);
    assert_eq!(count("messaging_client_consumed_messages_total", &["deliver"]), 12);
    assert_eq!(count("messaging_client_consumed_messages_total", &["receive"]), 2);
    assert_eq!(count("messaging_process_duration_seconds_count", &[]), 17);
    assert_eq!(count("openmesh_commands_total", &["command=\"lease\""]), 1);
    assert_eq!(count("openmesh_commands_total", &["command=\"ack\""]), 1);
    assert_eq!(count("openmesh_inbox_messages", &["acknowledged"]), 2);
    assert_eq!(count("openmesh_agents_registered", &[]), 2);
    assert_eq!(count("openmesh_connections_established", &["native"]), 2);
    assert_eq!(count("openmesh_tokens_refused_total", &["token.invalid"]), 1);
    for name in [
        "openmesh_log_sync_duration_seconds_count",
        "openmesh_log_batch_records_count",
        "openmesh_log_appended_bytes_total",
        "openmesh_log_head",
        "openmesh_log_segments",
        "openmesh_log_size_bytes",
        "openmesh_queue_wait_seconds_count",
        "process_memory_usage_bytes",
        "process_unix_file_descriptor_count",
    ] {
        assert!(count(name, &[]) > 0, "{name}");
    }
    let text = call(at, "GET /metrics", "", "").1;
    for content in ["market", "weather", "alice", "did:key", "omt_"] {
        assert!(!text.contains(content), "labels hold {content}");
    }
    let page = include_str!("../../../../../docs/operating/metrics.md");
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = family.split(' ').next().unwrap();
        assert!(page.contains(&format!("| `{name}` |")), "docs/operating/metrics.md lacks {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_debug_the_log_holds_no_secret() {
    const MARKER: &str = "marker-of-a-payload-5c1a";
    let (mut node, log) =
        Node::start_logged(&["--pin", "market/**", "--log", "trace", "--log-format", "json"]);
    let at = http(&node);
    let admin = node.admin_token();
    let authorization = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let asked = r#"{"name": "carol", "scopes": ["send", "read", "inbox", "admin"]}"#;
    let (status, issued) = call(at, "POST /v1/agents", &authorization(&admin), asked);
    assert_eq!(status, 201, "{issued}");
    let issued: Value = serde_json::from_str(&issued).unwrap();
    let token = issued["token"].as_str().unwrap();
    let (status, further) = call(at, "POST /v1/tokens", &authorization(token), r#"{"scopes": ["read"]}"#);
    assert_eq!(status, 201, "{further}");
    let further: Value = serde_json::from_str(&further).unwrap();
    let further = further["token"].as_str().unwrap();
    let message = format!(r#"{{"to": "topic:market/tea", "data": {{"text": "{MARKER}"}}}}"#);
    let (status, answer) = call(at, "POST /v1/messages", &authorization(token), &message);
    assert_eq!(status, 201, "{answer}");
    let wrong = "omt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(call(at, "POST /v1/messages", &authorization(wrong), &message).0, 401);
    assert_eq!(call(at, "POST /v1/messages", &authorization(token), &message.replace('}', "")).0, 400);
    let (_, alice) = node.agent("alice").await;
    for to in ["inbox:alice", "inbox:nobody"] {
        let draft = alice.draft(to, &Performative::Inform).unwrap().payload("text/plain", MARKER);
        let _ = alice.send(alice.sign(draft).unwrap()).await.unwrap();
    }
    alice.inbox().lease(1, Duration::from_secs(30), WAIT).await.unwrap();
    assert!(
        alice.register("alice", Some("a-wrong-admin-token")).await.is_ok() || alice.agents().await.is_ok()
    );
    drop(alice);
    node.stop();
    let text = std::fs::read_to_string(&log).unwrap();
    for said in [
        "\"name\":\"admit\"",
        "ready",
        "an agent has connected",
        "a request was answered",
        "no longer listening",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let mut secrets = vec![admin, token.to_owned(), further.to_owned(), wrong.to_owned(), MARKER.to_owned()];
    secrets.push("a-wrong-admin-token".to_owned());
    for file in std::fs::read_dir(node.folder()).unwrap().flatten() {
        if file.path().extension().is_some_and(|ending| ending == "key") {
            let seed = std::fs::read(file.path()).unwrap();
            secrets.push(String::from_utf8_lossy(&seed).trim().to_owned());
        }
    }
    assert!(secrets.len() >= 9, "{}", secrets.len());
    for secret in secrets {
        assert!(!text.contains(&secret), "the log holds a secret");
    }
}
