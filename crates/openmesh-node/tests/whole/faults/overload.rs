//! More than a node can do: what it sheds, and in which order; slow readers; a hot topic and a thousand quiet ones; limits.

mod cores;
mod flood;
mod flow;
mod hot;
mod limits;
mod meters;
mod slow;

use crate::node::Node;
use std::time::Duration;

/// Anyone may send, and read what is sent.
const OPEN_TO_STRANGERS: &str = r#"
version = 1
[[rule]]
name = "all"
action = ["send", "read", "register", "administer", "join-role"]
who = "any"
verdict = "allow"
reason = "a test"
"#;

/// How long one part of a campaign takes, unless it is told otherwise.
fn seconds(variable: &str, short: u64) -> Duration {
    let told = std::env::var(variable).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(told.unwrap_or(short))
}

/// Resident memory of the node's process.
fn resident_bytes(node: &Node) -> u64 {
    memory_bytes(node, "VmRSS:")
}

/// Memory of the node's process, as the system names it.
fn memory_bytes(node: &Node, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.endpoint.pid)).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
