//! A connection to a node: the handshake, then frames.

use crate::generate::prepared::now;
use crate::socket::Socket;
use anyhow::{Result, bail};
use openmesh_message::frame::{
    ClientFrame, Command, FrameDecoder, FrameEncoder, Reply, ServerFrame, body_length,
};
use openmesh_message::frame::{LogFilter, LogPage};
use openmesh_message::handshake::{self, Binding, ClientHello, MAGIC, Transcript};
use openmesh_message::{DomainId, KeyPair};
use std::net::{SocketAddr, TcpStream};

const HEADER_BYTES: usize = 4;

/// A connected agent on a bare socket.
pub(crate) struct Line {
    socket: Socket,
    key: KeyPair,
    encoder: FrameEncoder,
}

impl Line {
    /// Connects as a new agent.
    pub(crate) fn connect(address: SocketAddr, domain: &DomainId) -> Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Self::connect_as(address, domain, KeyPair::from_seed(&seed)?)
    }

    /// Connects as the agent of a key.
    pub(crate) fn connect_as(address: SocketAddr, domain: &DomainId, key: KeyPair) -> Result<Self> {
        let mut line = Self { socket: Socket::connect(address)?, key, encoder: FrameEncoder::default() };
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce)?;
        let hello = minicbor::to_vec(ClientHello::new(line.key.id(), nonce))?;
        line.write(&[&MAGIC, &(hello.len() as u32).to_be_bytes()[..], &hello].concat())?;
        let answered = line.read_one(|body| Ok(handshake::decode(body)?))?;
        let said = Transcript { client_hello: &hello, answered: &answered, binding: &Binding::Loopback };
        let (_, auth) = handshake::authenticate(&line.key, domain, &said, now()?)?;
        let auth = minicbor::to_vec(auth)?;
        line.write(&[&(auth.len() as u32).to_be_bytes()[..], &auth].concat())?;
        match line.frame()? {
            ServerFrame::Pong(0) => Ok(line),
            other => bail!("the node did not let the agent in: {other:?}"),
        }
    }

    /// The socket alone, without room for what is read.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.socket.into_stream()
    }

    /// The socket, with what came through it and was not looked at yet.
    pub(crate) fn into_socket(self) -> Socket {
        self.socket
    }

    pub(crate) fn key(&self) -> &KeyPair {
        &self.key
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.write(bytes)
    }

    /// Registers the agent, under a name of its own, in a domain that lets anyone.
    pub(crate) fn register(&mut self) -> Result<()> {
        let name = format!("bench-{}", self.key.id().short().to_lowercase());
        self.command(Command::Register { name, token: None })?;
        Ok(())
    }

    /// Gives a command whose reply is read later.
    pub(crate) fn give(&mut self, tag: u64, command: Command) -> Result<()> {
        let mut bytes = Vec::new();
        self.encoder.encode_client(&ClientFrame::Command(tag, command), &mut bytes)?;
        self.write(&bytes)
    }

    /// Gives a command, and waits for its reply.
    pub(crate) fn command(&mut self, command: Command) -> Result<Reply> {
        self.give(1, command)?;
        loop {
            match self.frame()? {
                ServerFrame::Reply(1, Ok(reply)) => return Ok(reply),
                ServerFrame::Reply(1, Err(problem)) | ServerFrame::Goodbye(problem) => {
                    bail!("the node refused: {problem:?}")
                }
                _ => {}
            }
        }
    }

    /// Asks the log for its first page.
    pub(crate) fn ask(&mut self, filter: LogFilter, records_max: u32) -> Result<LogPage> {
        let filter = Box::new(filter);
        let query = Command::QueryLog { filter, after_seq: 0, records_max, wait_ms: 0, newest_first: false };
        match self.command(query)? {
            Reply::Log(page) => Ok(page),
            other => bail!("a question was answered with {other:?}"),
        }
    }

    /// The next frame, decoded.
    pub(crate) fn frame(&mut self) -> Result<ServerFrame> {
        self.read_one(decode)
    }

    /// Waits for at least one frame, and hands over the bodies of all that are there.
    pub(crate) fn read(&mut self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.read_one(&mut each)?;
        while self.take(&mut each)?.is_some() {}
        Ok(())
    }

    fn read_one<T>(&mut self, mut each: impl FnMut(&[u8]) -> Result<T>) -> Result<T> {
        loop {
            if let Some(found) = self.take(&mut each)? {
                return Ok(found);
            }
            self.socket.fill()?;
        }
    }

    /// Hands over the next frame's body, if all of it is there.
    fn take<T>(&mut self, each: &mut impl FnMut(&[u8]) -> Result<T>) -> Result<Option<T>> {
        let Some((header, rest)) = self.socket.unused().split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = body_length(*header)?;
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let found = each(body)?;
        self.socket.used(HEADER_BYTES + length);
        Ok(Some(found))
    }
}

/// A frame that a node said. Nothing that is read here holds interned values but deliveries, each of which is read alone.
pub(super) fn decode(body: &[u8]) -> Result<ServerFrame> {
    Ok(FrameDecoder::default().decode_server(body)?)
}
