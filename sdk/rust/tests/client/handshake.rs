//! Connecting: who is let in, and what ends a handshake.

use crate::peer::Peer;
use openmesh_message::CertificateError;
use openmesh_message::frame::ServerFrame;
use openmesh_message::handshake::HandshakeError;
use openmesh_sdk::{ConnectOptions, DomainId, Mesh, Problem, SdkError, fetch_domain};
use std::time::Duration;

#[tokio::test]
async fn the_agent_is_let_in_and_the_domain_can_be_asked_for() {
    let peer = Peer::start(16).await;
    let asked = fetch_domain(peer.address(), None, Duration::from_secs(5));
    let (domain, proved) = tokio::join!(asked, peer.accept_changed(|_| {}));
    assert_eq!(domain, Ok(peer.domain()));
    assert!(!proved, "asking proves no key");
    let (mesh, connection) = peer.connect().await;
    assert_eq!(connection.agent, mesh.id());
    assert_eq!(mesh.node(), peer.node.id());
    assert!(mesh.is_connected());
}

#[tokio::test]
async fn a_node_of_another_domain_learns_no_proof_of_the_key() {
    let peer = Peer::start(16).await;
    let mut options = peer.options();
    options.domain = DomainId::from_bytes([9; 32]);
    let (mesh, proved) = tokio::join!(Mesh::connect(&options), peer.accept_changed(|_| {}));
    let refused = mesh.err().unwrap();
    assert!(matches!(
        refused,
        SdkError::Handshake(HandshakeError::Certificate(CertificateError::OtherDomain { .. }))
    ));
    assert!(!proved);
}

#[tokio::test]
async fn any_changed_byte_of_the_nodes_hello_ends_the_handshake() {
    let peer = Peer::start(16).await;
    let mut options = peer.options();
    options.connect_timeout = Duration::from_secs(2);
    let mut length = 1;
    let mut index = 0;
    while index < length {
        let change = |bytes: &mut Vec<u8>| {
            length = bytes.len();
            bytes[index] ^= 1;
        };
        let (mesh, proved) = tokio::join!(Mesh::connect(&options), peer.accept_changed(change));
        assert!(mesh.is_err() && !proved, "byte {index}");
        index += 1;
    }
    assert!(length > 200, "{length} bytes were tried");
}

#[tokio::test]
async fn plaintext_never_leaves_the_machine() {
    let peer = Peer::start(16).await;
    let mut options = peer.options();
    options.address = "192.0.2.1:7400".parse().unwrap();
    let refused = Mesh::connect(&options).await.err();
    assert_eq!(refused, Some(SdkError::NotLoopback(options.address)));
    let asked = fetch_domain(options.address, None, Duration::from_secs(1)).await;
    assert_eq!(asked, Err(SdkError::NotLoopback(options.address)));
}

#[tokio::test]
async fn a_silent_node_is_given_up() {
    let peer = Peer::start(16).await;
    let mut options: ConnectOptions = peer.options();
    options.connect_timeout = Duration::from_millis(50);
    let refused = Mesh::connect(&options).await.err().unwrap();
    assert!(matches!(refused, SdkError::TimedOut { .. }), "{refused}");
}

#[tokio::test]
async fn a_goodbye_ends_the_connection_and_says_why() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let problem = Problem::new("agent.revoked", "the agent was revoked");
    connection.say(ServerFrame::Goodbye(problem.clone())).await;
    assert_eq!(mesh.ping().await, Err(SdkError::Goodbye(problem.into())));
    assert!(!mesh.is_connected());
}
