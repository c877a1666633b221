//! A MOCK node: does the handshake, then reads and writes the frames a test tells it to. Keeps and decides nothing.

use openmesh_message::frame::{
    ClientFrame, Command, Delivery, FrameDecoder, FrameEncoder, Reply, SendOutcome, ServerFrame,
};
use openmesh_message::handshake::{
    Binding, MAGIC, ServerHello, Transcript, accept_auth, accept_hello, answer,
};
use openmesh_message::{
    AgentId, Certificate, Digest, DomainId, Envelope, Inception, KeyPair, Level, Problem, Receipt,
    SignedReceipt,
};
use openmesh_sdk::{ConnectOptions, Mesh, SdkError, now};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A listener with a node's identity.
pub(crate) struct Peer {
    listener: TcpListener,
    pub(crate) node: KeyPair,
    hello: ServerHello,
}

/// One connection of a client.
pub(crate) struct PeerConnection {
    stream: TcpStream,
    encoder: FrameEncoder,
    decoder: FrameDecoder,
    pub(crate) agent: AgentId,
}

pub(crate) fn key(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32]).unwrap()
}

impl Peer {
    pub(crate) async fn start(in_flight_max: u32) -> Self {
        let (root, node) = (key(100), key(101));
        let inception = Inception::new(&root, &key(102));
        let (from, to) = (now().plus_ms(-60_000), now().plus_ms(600_000));
        let hello = ServerHello {
            version: 1,
            certificate: Certificate::issue(&root, inception, node.id(), from, to),
            nonce: [7; 32],
            in_flight_max,
            frame_bytes_max: 1024 * 1024,
        };
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), node, hello }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(crate) fn domain(&self) -> DomainId {
        self.hello.certificate.domain()
    }

    pub(crate) fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.address(), self.domain(), Arc::new(key(1)));
        options.connect_timeout = Duration::from_secs(5);
        options
    }

    /// Lets one client in.
    pub(crate) async fn connect(&self) -> (Mesh, PeerConnection) {
        self.connect_with(&self.options()).await
    }

    pub(crate) async fn connect_with(&self, options: &ConnectOptions) -> (Mesh, PeerConnection) {
        let (mesh, peer) = tokio::join!(Mesh::connect(options), self.accept());
        (mesh.unwrap(), peer)
    }

    pub(crate) async fn accept(&self) -> PeerConnection {
        let (mut stream, client_hello) = self.hear_hello().await;
        let agent = accept_hello(&client_hello).unwrap().agent;
        let answered = answer(&self.node, &client_hello, &self.hello, &Binding::Loopback);
        write(&mut stream, &minicbor::to_vec(&answered).unwrap()).await;
        let auth = read(&mut stream).await.unwrap();
        let said =
            Transcript { client_hello: &client_hello, answered: &answered, binding: &Binding::Loopback };
        assert_eq!(accept_auth(&said, &auth), Ok(agent));
        let mut connection = PeerConnection {
            stream,
            encoder: FrameEncoder::default(),
            decoder: FrameDecoder::default(),
            agent,
        };
        connection.say(ServerFrame::Pong(0)).await;
        connection
    }

    /// Answers a hello with bytes that `change` has changed; returns whether the client went on to prove its key.
    pub(crate) async fn accept_changed(&self, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let (mut stream, client_hello) = self.hear_hello().await;
        let answered = answer(&self.node, &client_hello, &self.hello, &Binding::Loopback);
        let mut bytes = minicbor::to_vec(&answered).unwrap();
        change(&mut bytes);
        write(&mut stream, &bytes).await;
        read(&mut stream).await.is_some()
    }

    async fn hear_hello(&self) -> (TcpStream, Vec<u8>) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut magic = [0; 8];
        stream.read_exact(&mut magic).await.unwrap();
        assert_eq!(magic, MAGIC);
        let hello = read(&mut stream).await.unwrap();
        (stream, hello)
    }

    pub(crate) fn receipt(&self, digest: Digest) -> SignedReceipt {
        receipts(&self.node, &[digest]).remove(0)
    }
}

impl PeerConnection {
    pub(crate) async fn say(&mut self, frame: ServerFrame) {
        let mut bytes = Vec::new();
        self.encoder.encode_server(&frame, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next frame; `None` when the client has ended the connection.
    pub(crate) async fn hear(&mut self) -> Option<ClientFrame> {
        let body = read(&mut self.stream).await?;
        Some(self.decoder.decode_client(&body).unwrap())
    }

    pub(crate) async fn hear_sends(&mut self) -> Vec<(u64, Envelope)> {
        match self.hear().await {
            Some(ClientFrame::Send(sends)) => sends,
            other => panic!("expected sends, heard {other:?}"),
        }
    }

    pub(crate) async fn hear_command(&mut self) -> (u64, Command) {
        match self.hear().await {
            Some(ClientFrame::Command(tag, command)) => (tag, command),
            other => panic!("expected a command, heard {other:?}"),
        }
    }

    /// Hears a command, answers it, and returns it.
    pub(crate) async fn answer_command(&mut self, reply: Result<Reply, Problem>) -> Command {
        let (tag, command) = self.hear_command().await;
        self.say(ServerFrame::Reply(tag, reply)).await;
        command
    }

    pub(crate) async fn settle(&mut self, tag: u64, outcome: SendOutcome) {
        self.say(ServerFrame::Outcomes(vec![(tag, outcome)])).await;
    }

    pub(crate) async fn deliver(&mut self, subscription: u64, number: u64, envelope: &Envelope) {
        let delivery = Delivery::Message { subscription, number, envelope: Arc::new(envelope.clone()) };
        self.say(ServerFrame::Deliver(vec![delivery])).await;
    }
}

/// The receipts of one commit.
pub(crate) fn receipts(node: &KeyPair, digests: &[Digest]) -> Vec<SignedReceipt> {
    let receipts = digests.iter().map(|digest| Receipt {
        digest: *digest,
        level: Level::Durable,
        position: None,
        logs: Vec::new(),
        duplicate: false,
        policy_version: Digest::ZERO,
        at: now(),
    });
    SignedReceipt::sign_all(node, receipts.collect())
}

/// A message from `sender` to the agent `to` of the peer's domain.
pub(crate) fn message_from(
    sender: &KeyPair,
    domain: DomainId,
    to: &AgentId,
    shape: impl FnOnce(openmesh_sdk::Draft) -> openmesh_sdk::Draft,
) -> Envelope {
    let to = openmesh_message::Address::expand(&to.to_string(), domain).unwrap();
    let id = openmesh_sdk::new_message_id().unwrap();
    let draft = openmesh_sdk::Draft::new(id, now(), &to, &openmesh_sdk::Performative::Inform);
    shape(draft.json(&b"{}"[..])).sign(sender).unwrap()
}

pub(crate) fn signed(mesh: &Mesh, payload: &str) -> Result<Envelope, SdkError> {
    let draft = mesh.draft("topic:market/rfp", &openmesh_sdk::Performative::Inform)?;
    mesh.sign(draft.json(openmesh_sdk::canonical_json(payload)?))
}

async fn write(stream: &mut TcpStream, message: &[u8]) {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, message].concat()).await.unwrap();
}

async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await.ok()?;
    let mut body = vec![0; u32::from_be_bytes(header) as usize];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}
