//! An agent on a bare socket: it says and reads just what a test tells it to.

use crate::node::{Node, new_key};
use openmesh_message::frame::{
    ClientFrame, Command, Delivery, FrameDecoder, FrameEncoder, Reply, SendOutcome, ServerFrame, Start,
};
use openmesh_message::handshake::{self, Binding, ClientHello, MAGIC, Transcript};
use openmesh_message::{Envelope, KeyPair, Problem};
use openmesh_sdk::Item;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An agent on a bare socket.
pub(crate) struct RawAgent {
    stream: TcpStream,
    encoder: FrameEncoder,
    decoder: FrameDecoder,
    pub(crate) key: Arc<KeyPair>,
    domain: openmesh_sdk::DomainId,
}

impl RawAgent {
    /// Registers a new agent, then connects it on a bare socket.
    pub(crate) async fn connect(node: &Node, name: &str) -> Self {
        let key = new_key();
        let mesh = node.connect(&key).await;
        mesh.register(name, Some(&node.admin_token())).await.unwrap();
        mesh.close().await;
        Self::connect_as(node, key).await
    }

    /// Connects on a bare socket, of which the node says that it cannot stay; why, if it said so.
    pub(crate) async fn connect_refused(node: &Node, key: Arc<KeyPair>) -> Option<Problem> {
        match Self::greet(node, key).await.read_frame().await {
            ServerFrame::Goodbye(problem) => Some(problem),
            _ => None,
        }
    }

    /// Connects on a bare socket.
    pub(crate) async fn connect_as(node: &Node, key: Arc<KeyPair>) -> Self {
        let mut agent = Self::greet(node, key).await;
        assert_eq!(agent.read_frame().await, ServerFrame::Pong(0));
        agent
    }

    async fn greet(node: &Node, key: Arc<KeyPair>) -> Self {
        let mut stream = TcpStream::connect(node.endpoint.address).await.unwrap();
        let hello = minicbor::to_vec(ClientHello::new(key.id(), [9; 32])).unwrap();
        stream.write_all(&MAGIC).await.unwrap();
        write_message(&mut stream, &hello).await;
        let answered = handshake::decode(&read_message(&mut stream).await).unwrap();
        let domain = node.endpoint.domain;
        let now = openmesh_sdk::now();
        let said = Transcript { client_hello: &hello, answered: &answered, binding: &Binding::Loopback };
        let (_, auth) = handshake::authenticate(&key, &domain, &said, now).unwrap();
        write_message(&mut stream, &minicbor::to_vec(auth).unwrap()).await;
        Self { stream, encoder: FrameEncoder::default(), decoder: FrameDecoder::default(), key, domain }
    }

    /// The socket, and what both ends know of what recurs.
    pub(crate) fn into_parts(self) -> (TcpStream, FrameEncoder, FrameDecoder) {
        (self.stream, self.encoder, self.decoder)
    }

    /// Sends one message and waits for its outcome.
    pub(crate) async fn send(&mut self, envelope: Envelope) -> Result<SendOutcome, Problem> {
        self.write(&ClientFrame::Send(vec![(1, envelope)])).await;
        loop {
            match self.read_frame().await {
                ServerFrame::Outcomes(outcomes) => return Ok(outcomes.into_iter().next().unwrap().1),
                ServerFrame::Receipts(run) => {
                    let (_, receipt) = run.open().unwrap().receipts.remove(0);
                    return Ok(SendOutcome::Accepted(receipt));
                }
                ServerFrame::Passed(..) => return Ok(SendOutcome::Passed),
                ServerFrame::Goodbye(problem) => return Err(problem),
                _ => {}
            }
        }
    }

    /// Gives commands in one write; their replies, in the order of the commands.
    pub(crate) async fn give(&mut self, commands: Vec<Command>) -> Vec<Result<Reply, Problem>> {
        let (mut bytes, mut replies) = (Vec::new(), BTreeMap::new());
        let count = commands.len();
        for (tag, command) in (1..).zip(commands) {
            self.encoder.encode_client(&ClientFrame::Command(tag, command), &mut bytes).unwrap();
        }
        self.write_bytes(&bytes).await;
        while replies.len() < count {
            if let ServerFrame::Reply(tag, reply) = self.read_frame().await {
                replies.insert(tag, reply);
            }
        }
        replies.into_values().collect()
    }

    /// Subscribes, and reads nothing.
    pub(crate) async fn subscribe(&mut self, pattern: &str) {
        self.subscribe_as(1, pattern).await;
    }

    /// Subscribes under a number, and reads nothing.
    pub(crate) async fn subscribe_as(&mut self, subscription: u64, pattern: &str) {
        let pattern = format!("mesh://{}/topic/{pattern}", self.domain);
        let command = Command::Subscribe { subscription, pattern, start: Start::Next };
        self.write(&ClientFrame::Command(subscription, command)).await;
        assert!(matches!(self.read_frame().await, ServerFrame::Reply(_, Ok(_))));
    }

    /// Subscribes many times from the beginning of the log, and reads nothing, not even the replies.
    pub(crate) async fn subscribe_from_the_beginning(&mut self, pattern: &str, count: u64) {
        let pattern = format!("mesh://{}/topic/{pattern}", self.domain);
        for subscription in 1..=count {
            let pattern = pattern.clone();
            let command = Command::Subscribe { subscription, pattern, start: Start::At(1) };
            self.write(&ClientFrame::Command(subscription, command)).await;
        }
    }

    /// The items of the next frame that delivers any.
    pub(crate) async fn read_items(&mut self) -> Vec<Item> {
        loop {
            if let ServerFrame::Deliver(deliveries) = self.read_frame().await {
                return deliveries.into_iter().map(item).collect();
            }
        }
    }

    /// Writes bytes as they are.
    pub(crate) async fn write_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next frame.
    pub(crate) async fn read_frame(&mut self) -> ServerFrame {
        let body = read_message(&mut self.stream).await;
        self.decoder.decode_server(&body).unwrap()
    }

    /// Says one thing.
    pub(crate) async fn write(&mut self, frame: &ClientFrame) {
        let mut bytes = Vec::new();
        self.encoder.encode_client(frame, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }
}

/// How many bytes the node says before the agent proves its key.
pub(crate) async fn hello_bytes(node: &Node) -> usize {
    let mut stream = TcpStream::connect(node.endpoint.address).await.unwrap();
    let hello = minicbor::to_vec(ClientHello::new(new_key().id(), [9; 32])).unwrap();
    stream.write_all(&MAGIC).await.unwrap();
    write_message(&mut stream, &hello).await;
    4 + read_message(&mut stream).await.len()
}

fn item(delivery: Delivery) -> Item {
    match delivery {
        Delivery::Message { number, envelope, .. } => Item::Message { number, envelope },
        Delivery::Gap { first, last, .. } => Item::Gap { first, last },
    }
}

async fn write_message(stream: &mut TcpStream, message: &[u8]) {
    let bytes = [&(message.len() as u32).to_be_bytes(), message].concat();
    stream.write_all(&bytes).await.unwrap();
}

async fn read_message(stream: &mut TcpStream) -> Vec<u8> {
    let length = stream.read_u32().await.unwrap() as usize;
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await.unwrap();
    message
}
