//! Each limit of a node is reached exactly, and its refusal says which it is.

use super::OPEN_TO_STRANGERS;
use crate::node::{Node, new_key};
use crate::raw_agent::RawAgent;
use openmesh_message::Problem;
use openmesh_message::frame::{Command, SendOutcome, Start};
use openmesh_sdk::{Mesh, Performative, SdkError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

fn subscribe(node: &Node, subscription: u64) -> Command {
    let pattern = format!("mesh://{}/topic/some/{subscription}", node.endpoint.domain);
    Command::Subscribe { subscription, pattern, start: Start::Next }
}

fn is(problem: &Problem, code: &str, flag: &str) {
    assert_eq!(problem.code, code, "{problem}");
    assert!(problem.detail.contains(flag), "{problem}");
}

fn refused(error: SdkError) -> String {
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_of_a_connection_an_agent_and_a_node() {
    let arguments =
        ["--subscriptions-max", "2", "--agent-subscriptions-max", "3", "--node-subscriptions-max", "4"];
    let node = Node::start(&arguments);
    let mut first = RawAgent::connect(&node, "first").await;
    let mut again = RawAgent::connect_as(&node, Arc::clone(&first.key)).await;
    let mut other = RawAgent::connect(&node, "other").await;
    let replies = first.give((1..=3).map(|number| subscribe(&node, number)).collect()).await;
    assert!(replies[0].is_ok() && replies[1].is_ok());
    is(replies[2].as_ref().unwrap_err(), "subscription.too_many", "--subscriptions-max");
    let replies = again.give(vec![subscribe(&node, 1), subscribe(&node, 2)]).await;
    assert!(replies[0].is_ok());
    is(replies[1].as_ref().unwrap_err(), "subscription.too_many", "--agent-subscriptions-max");
    let replies = other.give(vec![subscribe(&node, 1), subscribe(&node, 2)]).await;
    assert!(replies[0].is_ok());
    is(replies[1].as_ref().unwrap_err(), "subscription.too_many", "--node-subscriptions-max");
    // What ends makes room: a subscription, and a connection with all of its own.
    assert!(first.give(vec![Command::Unsubscribe { subscription: 1 }]).await[0].is_ok());
    assert!(other.give(vec![subscribe(&node, 2)]).await[0].is_ok());
    drop(other);
    sleep(Duration::from_millis(200)).await;
    assert!(again.give(vec![subscribe(&node, 2)]).await[0].is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_an_agent_a_machine_and_a_node() {
    for (flag, max) in
        [("--agent-connections-max", 2), ("--local-connections-max", 3), ("--connections-max", 3)]
    {
        let node = Node::start(&[flag, &max.to_string(), "--no-http"]);
        let key = new_key();
        let mut held: Vec<Mesh> = Vec::new();
        while let Ok(mesh) = Mesh::connect(&node.options(&key)).await {
            // The end of a connection that finds no room follows its handshake.
            if mesh.ping().await.is_err() {
                break;
            }
            held.push(mesh);
        }
        assert_eq!(held.len(), max, "{flag}");
        let refused = RawAgent::connect_refused(&node, Arc::clone(&key)).await;
        is(&refused.unwrap(), "connection.too_many", flag);
        held.pop().unwrap().close().await;
        sleep(Duration::from_millis(200)).await;
        assert!(node.connect(&key).await.ping().await.is_ok(), "{flag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_of_a_domain() {
    let node = Node::start(&["--agents-max", "2"]);
    let (_, first) = node.agent("first").await;
    node.agent("second").await;
    let third = node.connect(&new_key()).await;
    let why = refused(third.register("third", Some(&node.admin_token())).await.unwrap_err());
    assert!(why.contains("agent.too_many") && why.contains("--agents-max"), "{why}");
    first.register("first", Some(&node.admin_token())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_takes_more_than_its_quota_hears_when_to_come_back() {
    let node = Node::start_under(OPEN_TO_STRANGERS, &["--agent-rate", "2000", "--stranger-rate", "1000"]);
    for (is_registered, flag) in [(true, "--agent-rate"), (false, "--stranger-rate")] {
        let key = new_key();
        let mesh = node.connect(&key).await;
        if is_registered {
            mesh.register("member", Some(&node.admin_token())).await.unwrap();
        }
        let mut agent = RawAgent::connect_as(&node, key).await;
        let envelope = || {
            let draft = mesh.draft("topic:some/thing", &Performative::Inform).unwrap();
            mesh.unsigned(draft.payload("text/plain", "x")).unwrap()
        };
        let mut taken = 0;
        let problem = loop {
            match agent.send(envelope()).await.unwrap() {
                SendOutcome::Passed => taken += 1,
                SendOutcome::Rejected(problem) => break problem,
                other => panic!("{other:?}"),
            }
            assert!(taken < 5_000, "as much as it liked");
        };
        is(&problem, "agent.quota", flag);
        let after = Duration::from_millis(problem.retry_after_ms.unwrap());
        sleep(after * 2).await;
        assert!(
            matches!(agent.send(envelope()).await.unwrap(), SendOutcome::Passed),
            "{flag}, after {after:?}"
        );
    }
}
