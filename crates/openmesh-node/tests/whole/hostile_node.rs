//! Hostile peers: a node that passes on another's hello, changed bytes, replayed messages.

use crate::node::{Node, new_key};
use openmesh_sdk::{ConnectOptions, Mesh, Performative};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

const ATTEMPTS: usize = 1_000;

/// Passes everything between an agent and an honest node.
async fn relay_to(honest: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let passed_on = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&passed_on);
    tokio::spawn(async move {
        while let Ok((mut agent, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut node = TcpStream::connect(honest).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let _ = copy_bidirectional(&mut agent, &mut node).await;
            });
        }
    });
    (address, passed_on)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_node_that_passes_on_an_honest_hello_authenticates_nobody() {
    let (honest, hostile) = (Node::start(&[]), Node::start(&[]));
    let (relay, passed_on) = relay_to(honest.endpoint.address).await;
    let key = new_key();
    let mut authenticated = 0;
    for _ in 0..ATTEMPTS {
        let options = ConnectOptions::new(relay, hostile.endpoint.domain, Arc::clone(&key));
        authenticated += usize::from(Mesh::connect(&options).await.is_ok());
    }
    println!("hostile relay: {authenticated} of {ATTEMPTS} authenticated");
    assert_eq!(authenticated, 0);
    assert_eq!(passed_on.load(Ordering::Relaxed), ATTEMPTS, "each attempt reached the honest node");
    let pinned_right = ConnectOptions::new(relay, honest.endpoint.domain, key);
    assert!(Mesh::connect(&pinned_right).await.is_ok(), "the relay itself works");
}

/// Flips one bit of one byte of what the node says first.
async fn connect_through_flip(node: &Node, index: usize) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let honest = node.endpoint.address;
    let flipping = tokio::spawn(async move {
        let (mut agent, _) = listener.accept().await.unwrap();
        let mut node = TcpStream::connect(honest).await.unwrap();
        let mut seen = 0;
        let (mut from_agent, mut from_node) = ([0; 4096], [0; 4096]);
        loop {
            tokio::select! {
                read = agent.read(&mut from_agent) => match read {
                    Ok(count) if count > 0 => node.write_all(&from_agent[..count]).await.unwrap(),
                    _ => return,
                },
                read = node.read(&mut from_node) => match read {
                    Ok(count) if count > 0 => {
                        if (seen..seen + count).contains(&index) {
                            from_node[index - seen] ^= 1;
                        }
                        seen += count;
                        if agent.write_all(&from_node[..count]).await.is_err() {
                            return;
                        }
                    }
                    _ => return,
                },
            }
        }
    });
    let mut options = ConnectOptions::new(address, node.endpoint.domain, new_key());
    options.connect_timeout = Duration::from_millis(700);
    let connected = Mesh::connect(&options).await.is_ok();
    flipping.abort();
    connected
}

#[tokio::test(flavor = "multi_thread")]
async fn any_changed_byte_of_the_nodes_hello_ends_the_handshake() {
    let node = Node::start(&[]);
    let hello_bytes = crate::raw_agent::hello_bytes(&node).await;
    println!("{hello_bytes} bytes of the node's hello, each changed in turn");
    assert!(connect_through_flip(&node, usize::MAX - 4096).await, "unchanged, it connects");
    let mut changed = tokio::task::JoinSet::new();
    let node = Arc::new(node);
    for index in 0..hello_bytes {
        let node = Arc::clone(&node);
        changed.spawn(async move { (index, connect_through_flip(&node, index).await) });
        if changed.len() >= 32 {
            let (index, connected) = changed.join_next().await.unwrap().unwrap();
            assert!(!connected, "byte {index} was changed and the agent connected");
        }
    }
    while let Some(result) = changed.join_next().await {
        let (index, connected) = result.unwrap();
        assert!(!connected, "byte {index} was changed and the agent connected");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_bytes_are_stored_once_whoever_offers_them_and_wherever() {
    let mut node = Node::start(&["--pin", "market/**"]);
    let other_domain = Node::start(&["--pin", "market/**"]);
    let (key, sender) = node.agent("sender").await;
    let (other_key, other) = node.agent("other").await;
    let draft = sender.draft("topic:market/news", &Performative::Inform).unwrap();
    let envelope = sender.sign(draft.payload("text/plain", "once")).unwrap();
    let first = sender.send(envelope.clone()).await.unwrap().accepted().unwrap();
    let stored = || async { count_records(&node, &key).await };
    assert_eq!(stored().await, 1);
    let replayed = other.send(envelope.clone()).await.unwrap();
    assert_eq!(replayed.problem().unwrap().code, "message.replayed");
    let abroad = other_domain.connect(&key).await;
    abroad.register("sender", Some(&other_domain.admin_token())).await.unwrap();
    let refused = abroad.send(envelope.clone()).await.unwrap();
    assert_eq!(refused.problem().unwrap().code, "address.foreign_domain");
    node.kill_and_restart();
    let after_restart = node.connect(&key).await.send(envelope.clone()).await.unwrap().accepted().unwrap();
    assert!(after_restart.receipt.duplicate);
    assert_eq!(after_restart.receipt.position, first.receipt.position);
    let again = node.connect(&other_key).await.send(envelope).await.unwrap();
    assert_eq!(again.problem().unwrap().code, "message.replayed");
    assert_eq!(count_records(&node, &key).await, 1);
}

async fn count_records(node: &Node, key: &Arc<openmesh_sdk::KeyPair>) -> usize {
    let filter = openmesh_sdk::LogFilter { kind: Some("message".into()), ..Default::default() };
    node.connect(key).await.query_log(filter).collect(100).await.unwrap().len()
}
