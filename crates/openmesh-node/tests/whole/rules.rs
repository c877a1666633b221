//! Rules that change while the node runs, through the command line.

use crate::node::Node;
use openmesh_sdk::{Performative, Sent};
use std::process::{Command, Output};

const QUIET: &str = r#"
[[rule]]
name = "quiet"
action = "send"
who = "any"
to = "topic:news/**"
verdict = "deny"
reason = "the newsroom is closed"
"#;

fn openmesh(node: &Node, arguments: &[&str]) -> Output {
    let home = node.folder().parent().unwrap().to_owned();
    Command::new(env!("CARGO_BIN_EXE_openmesh")).args(arguments).env("OPENMESH_HOME", home).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_what_is_decided_next_and_a_bad_file_changes_nothing() {
    let node = Node::start(&[]);
    assert!(openmesh(&node, &["agent", "new", "operator"]).status.success());
    let (_, writer) = node.agent("writer").await;
    let send = async || -> Sent {
        let draft = writer.draft("topic:news/today", &Performative::Inform).unwrap();
        writer.send(writer.unsigned(draft.payload("text/plain", "x")).unwrap()).await.unwrap()
    };
    assert!(matches!(send().await, Sent::Passed));
    let file = node.folder().join("policy.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{before}{QUIET}")).unwrap();
    assert!(matches!(send().await, Sent::Passed), "a file that was not read again changes nothing");
    let reloaded = openmesh(&node, &["policy", "reload"]);
    assert!(reloaded.status.success(), "{}", String::from_utf8_lossy(&reloaded.stderr));
    let denied = send().await.problem().unwrap().clone();
    assert_eq!(denied.code, "policy.denied");
    assert!(denied.detail.contains("the newsroom is closed"), "{denied}");

    std::fs::write(&file, "version = 1\n[[rule]]\nname = 7\n").unwrap();
    let refused = openmesh(&node, &["policy", "reload"]);
    assert_eq!(refused.status.code(), Some(3), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("policy.invalid"));
    assert_eq!(send().await.problem().unwrap().code, "policy.denied", "the rules in force stay");

    std::fs::write(&file, before).unwrap();
    assert!(openmesh(&node, &["policy", "reload"]).status.success());
    assert!(matches!(send().await, Sent::Passed));
}
