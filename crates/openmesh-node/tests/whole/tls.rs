//! TLS: a relay that ends it gains nothing, changed certificates are taken into use, silence is not waited for.

use crate::node::{Node, new_key};
use openmesh_listeners::tls::CertificateFiles;
use openmesh_listeners::tls::development::Development;
use openmesh_message::Digest;
use openmesh_message::handshake::{
    ALPN, ClientAuth, ClientHello, EXPORTER_LABEL, HandshakeError, MAGIC, SignedServerHello, decode,
};
use openmesh_sdk::{ConnectOptions, Mesh, SdkError, Tls};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const SESSIONS: usize = 1_000;
const CREDULOUS_SESSIONS: usize = 100;

/// What a relay speaks with the agent; with the node it speaks TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Front {
    Tls,
    Plaintext,
    /// It passes on TLS as it is, and ends none.
    Untouched,
}

/// A relay between agents and a node, with a certificate of its own.
struct Relay {
    address: SocketAddr,
    /// Connections whose bytes it passed on, after all TLS handshakes.
    passed_on: Arc<AtomicUsize>,
    authority: PathBuf,
    _folder: tempfile::TempDir,
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file).unwrap().map(Result::unwrap).collect()
}

fn connector(authority: &Path) -> TlsConnector {
    connector_for(authority, ALPN)
}

fn connector_for(authority: &Path, alpn: &[u8]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(certificates(authority).remove(0)).unwrap();
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let mut config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    TlsConnector::from(Arc::new(config))
}

fn acceptor(files: &CertificateFiles) -> TlsAcceptor {
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(certificates(&files.certificate), key).unwrap();
    config.alpn_protocols = vec![ALPN.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

fn localhost(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// What a relay needs for one connection.
#[derive(Clone)]
struct Relaying {
    front: Front,
    node: SocketAddr,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    passed_on: Arc<AtomicUsize>,
}

impl Relay {
    async fn start(front: Front, node: &Node) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let development = Development::new(folder.path());
        development.ensure(&localhost(&["127.0.0.1"])).unwrap();
        let passed_on = Arc::new(AtomicUsize::new(0));
        let relaying = Relaying {
            front,
            node: node.endpoint.address,
            acceptor: acceptor(&development.files()),
            connector: connector(&node.authority().unwrap()),
            passed_on: Arc::clone(&passed_on),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                tokio::spawn(relaying.clone().relay(agent));
            }
        });
        Self { address, passed_on, authority: development.authority(), _folder: folder }
    }

    fn passed_on(&self) -> usize {
        self.passed_on.load(Ordering::Relaxed)
    }
}

impl Relaying {
    async fn relay(self, agent: TcpStream) -> std::io::Result<()> {
        let node = TcpStream::connect(self.node).await?;
        agent.set_nodelay(true)?;
        node.set_nodelay(true)?;
        if self.front == Front::Untouched {
            return self.pass_on(agent, node).await;
        }
        let name = ServerName::from(self.node.ip());
        if self.front == Front::Plaintext {
            return self.pass_on(agent, self.connector.connect(name, node).await?).await;
        }
        let agent = self.acceptor.accept(agent).await?;
        self.pass_on(agent, self.connector.connect(name, node).await?).await
    }

    async fn pass_on(
        &self,
        mut agent: impl AsyncRead + AsyncWrite + Unpin,
        mut node: impl AsyncRead + AsyncWrite + Unpin,
    ) -> std::io::Result<()> {
        self.passed_on.fetch_add(1, Ordering::Relaxed);
        copy_bidirectional(&mut agent, &mut node).await.map(drop)
    }
}

/// How many of so many sessions an agent has with a node; each that fails must fail at the node's signature.
async fn count_sessions(options: &ConnectOptions, sessions: usize) -> usize {
    let mut authenticated = 0;
    for _ in 0..sessions {
        match Mesh::connect(options).await {
            Ok(mesh) => {
                authenticated += 1;
                mesh.close().await;
            }
            Err(refused) => {
                assert_eq!(refused, SdkError::Handshake(HandshakeError::NodeSignature));
            }
        }
    }
    authenticated
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_ends_tls_gets_no_session() {
    let node = Node::start(&["--tls", "dev"]);
    let (_, direct) = node.agent("direct").await;
    direct.ping().await.unwrap();
    let key = new_key();
    let through = |relay: &Relay, tls| {
        let options = ConnectOptions::new(relay.address, node.endpoint.domain, Arc::clone(&key));
        ConnectOptions { tls, ..options }
    };

    let relay = Relay::start(Front::Tls, &node).await;
    let trusting = through(&relay, Some(Tls::trusting(&relay.authority).unwrap()));
    let sessions = count_sessions(&trusting, SESSIONS).await;
    println!("relay that ends TLS: {sessions} of {SESSIONS} sessions");
    assert_eq!((sessions, relay.passed_on()), (0, SESSIONS), "each reached the node and was refused");

    let plaintext = Relay::start(Front::Plaintext, &node).await;
    let sessions = count_sessions(&through(&plaintext, None), SESSIONS).await;
    println!("relay from plaintext to TLS: {sessions} of {SESSIONS} sessions");
    assert_eq!((sessions, plaintext.passed_on()), (0, SESSIONS));

    let untouched = Relay::start(Front::Untouched, &node).await;
    let own = Some(Tls::trusting(&node.authority().unwrap()).unwrap());
    let sessions = count_sessions(&through(&untouched, own), SESSIONS).await;
    println!("relay that leaves TLS alone: {sessions} of {SESSIONS} sessions");
    assert_eq!(sessions, SESSIONS);
    assert!(direct.is_connected());
}

/// An agent that believes whatever a node says and proves its key on its own channel; whether it is let in.
async fn is_credulous_agent_let_in(address: SocketAddr, authority: &Path) -> bool {
    let key = new_key();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::from(address.ip());
    let mut stream = connector(authority).connect(name, stream).await.unwrap();
    let exporter = stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL, Some(b"")).unwrap();
    let hello = minicbor::to_vec(ClientHello::new(key.id(), [9; 32])).unwrap();
    let framed = |message: &[u8]| [&(message.len() as u32).to_be_bytes()[..], message].concat();
    stream.write_all(&[&MAGIC[..], &framed(&hello)].concat()).await.unwrap();
    let mut answer = vec![0; stream.read_u32().await.unwrap() as usize];
    stream.read_exact(&mut answer).await.unwrap();
    let answered: SignedServerHello = decode(&answer).unwrap();
    let length = (hello.len() as u64).to_be_bytes();
    // What the node signed is unknown to the agent: it has only its own exporter.
    let parts: [&[u8]; 5] = [&MAGIC, &length, &hello, &answered.hello, &exporter];
    let so_far = Digest::of_parts("openmesh server hello v1", &parts);
    let parts: [&[u8]; 3] = [so_far.as_bytes(), answered.signature.as_bytes(), &exporter];
    let transcript = Digest::of_parts("openmesh client auth v1", &parts);
    let auth = ClientAuth { signature: key.sign("openmesh client auth v1", transcript.as_bytes()) };
    let auth = framed(&minicbor::to_vec(auth).unwrap());
    stream.write_all(&auth).await.unwrap();
    stream.read_u32().await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_too_refuses_what_was_proved_on_another_channel() {
    let node = Node::start(&["--tls", "dev"]);
    let relay = Relay::start(Front::Tls, &node).await;
    let mut let_in = 0;
    for _ in 0..CREDULOUS_SESSIONS {
        let_in += usize::from(is_credulous_agent_let_in(relay.address, &relay.authority).await);
    }
    println!("credulous agents through a relay: {let_in} of {CREDULOUS_SESSIONS} let in");
    assert_eq!((let_in, relay.passed_on()), (0, CREDULOUS_SESSIONS));
    let authority = node.authority().unwrap();
    assert!(is_credulous_agent_let_in(node.endpoint.address, &authority).await, "straight, it is let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_authority_nothing_is_said() {
    let node = Node::start(&["--tls", "dev"]);
    let relay = Relay::start(Front::Tls, &node).await;
    let mut options = node.options(&new_key());
    options.address = relay.address;
    let refused = Mesh::connect(&options).await.err().unwrap();
    assert!(matches!(&refused, SdkError::Tls { why } if why.contains("--ca")), "{refused}");
    options.address = node.endpoint.address;
    options.tls = None;
    let refused = Mesh::connect(&options).await.err().unwrap();
    assert_eq!(refused, SdkError::SpeaksTls(node.endpoint.address));
    let plaintext = Node::start(&[]);
    options.address = plaintext.endpoint.address;
    options.tls = Some(Tls::trusting(&node.authority().unwrap()).unwrap());
    let refused = Mesh::connect(&options).await.err().unwrap();
    assert!(matches!(&refused, SdkError::Tls { why } if why.contains("speak TLS")), "{refused}");
}

/// Waits for a condition that a running node is to bring about.
async fn eventually(mut holds: impl AsyncFnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if holds().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_certificate_is_taken_into_use_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) =
        (Development::new(folder.path().join("1")), Development::new(folder.path().join("2")));
    for development in [&first, &second] {
        development.ensure(&localhost(&["127.0.0.1"])).unwrap();
    }
    let (certificate, key) = (folder.path().join("node.pem"), folder.path().join("node-key.pem"));
    let put = |from: &Development| {
        std::fs::copy(from.files().certificate, &certificate).unwrap();
        std::fs::copy(from.files().key, &key).unwrap();
    };
    put(&first);
    let paths = [certificate.to_str().unwrap(), key.to_str().unwrap()];
    let node = Node::start(&["--tls-cert", paths[0], "--tls-key", paths[1]]);
    let options = |trusted: &Development| {
        let tls = Some(Tls::trusting(&trusted.authority()).unwrap());
        ConnectOptions { tls, ..node.options(&new_key()) }
    };
    let (of_first, of_second) = (options(&first), options(&second));
    let before = Mesh::connect(&of_first).await.unwrap();
    assert!(Mesh::connect(&of_second).await.is_err());
    put(&second);
    assert!(eventually(async || Mesh::connect(&of_second).await.is_ok()).await, "it was read again");
    assert!(Mesh::connect(&of_first).await.is_err());
    before.ping().await.unwrap();
    std::fs::write(&certificate, "no certificate").unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(Mesh::connect(&of_second).await.is_ok(), "the one before stays in force");
    put(&first);
    assert!(
        eventually(async || Mesh::connect(&of_first).await.is_ok()).await,
        "and is followed by a good one"
    );
}

/// The address of the node's HTTP.
fn http_of(node: &Node) -> SocketAddr {
    let endpoint = std::fs::read(node.folder().join("endpoint.json")).unwrap();
    let endpoint: serde_json::Value = serde_json::from_slice(&endpoint).unwrap();
    endpoint["http"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_served_over_tls_as_well() {
    let node = Node::start(&["--tls", "dev"]);
    let address = http_of(&node);
    let get = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let connector = connector_for(&node.authority().unwrap(), b"http/1.1");
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = connector.connect(ServerName::from(address.ip()), stream).await.unwrap();
    stream.write_all(get.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut plaintext = TcpStream::connect(address).await.unwrap();
    plaintext.write_all(get.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = plaintext.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "plaintext is not answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_certificate_outlives_restarts() {
    let mut node = Node::start(&["--tls", "dev"]);
    let authority = std::fs::read(node.authority().unwrap()).unwrap();
    node.stop();
    node.restart();
    assert_eq!(std::fs::read(node.authority().unwrap()).unwrap(), authority);
    let (_, mesh) = node.agent("alice").await;
    mesh.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_not_waited_for() {
    let node = Node::start(&["--tls", "dev"]);
    let begun = Instant::now();
    let mut silent = TcpStream::connect(node.endpoint.address).await.unwrap();
    let mut heard = Vec::new();
    let _ = silent.read_to_end(&mut heard).await;
    let waited = begun.elapsed();
    println!("a silent connection was ended after {waited:?}");
    assert!(heard.is_empty() && waited > Duration::from_secs(4) && waited < Duration::from_secs(15));
}
