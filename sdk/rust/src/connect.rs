//! Opening a connection: where to, the handshake, the first frame. What happens after is `connection.rs`'s.

mod channel;

use crate::connection::{Connection, Opened};
use crate::{SdkError, Tls, identity, now};
use channel::Channel;
pub(crate) use channel::{Reading, Writing};
use openmesh_message::frame::{FrameDecoder, ServerFrame, body_length};
use openmesh_message::handshake::{
    ClientHello, HELLO_BYTES_MAX, HandshakeError, MAGIC, ServerHello, SignedServerHello, Transcript,
    authenticate, decode,
};
use openmesh_message::{DomainId, KeyPair};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// What a TLS server answers plaintext with begins so: an alert, of TLS 1.0 or later.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// Where to connect, as whom, and how patiently.
#[derive(Clone)]
pub struct ConnectOptions {
    /// The node's address; on this machine, unless TLS is spoken.
    pub address: SocketAddr,
    /// TLS, where the node speaks it; plaintext without.
    pub tls: Option<Tls>,
    /// The domain whose nodes are trusted; no other is spoken to.
    pub domain: DomainId,
    /// The agent's key.
    pub key: Arc<KeyPair>,
    /// How long each step of connecting may take.
    pub connect_timeout: Duration,
    /// How long a command may take, besides the time it was asked to wait.
    pub command_timeout: Duration,
    /// After how long an unanswered send is reported as unknown.
    pub send_timeout: Duration,
    /// After how long a silence the node is asked whether it is there; three times that ends the connection.
    pub keepalive: Duration,
    /// How many unread messages of one subscription are kept; what exceeds it is reported as a gap.
    pub subscription_messages_max: usize,
}

impl ConnectOptions {
    /// Plaintext, and the usual patience: 10 s a step, 30 s a command or send, 1,024 unread messages a subscription.
    pub const fn new(address: SocketAddr, domain: DomainId, key: Arc<KeyPair>) -> Self {
        Self {
            address,
            tls: None,
            domain,
            key,
            connect_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(10),
            subscription_messages_max: 1_024,
        }
    }
}

/// Asks a node which domain it belongs to, for showing it to a person before it is pinned.
///
/// The node proves its key and certificate; that it is the domain one wants, nobody proves.
pub async fn fetch_domain(
    address: SocketAddr,
    tls: Option<&Tls>,
    step: Duration,
) -> Result<DomainId, SdkError> {
    let throwaway = identity::new_key()?;
    let mut channel = within("opening a connection", step, Channel::open(address, tls)).await?;
    let greeting = say_hello(&mut channel, &throwaway, address);
    let (client_hello, answered) = within("the node's hello", step, greeting).await?;
    let claimed: ServerHello = decode(&answered.hello)?;
    let domain = claimed.certificate.domain();
    let said = Transcript { client_hello: &client_hello, answered: &answered, binding: &channel.binding };
    authenticate(&throwaway, &domain, &said, now())?;
    Ok(domain)
}

/// Opens a connection and starts its tasks.
pub(crate) async fn open(options: &ConnectOptions) -> Result<Arc<Connection>, SdkError> {
    let (step, address) = (options.connect_timeout, options.address);
    let opening = Channel::open(address, options.tls.as_ref());
    let mut channel = within("opening a connection", step, opening).await?;
    let greeting = say_hello(&mut channel, &options.key, address);
    let (client_hello, answered) = within("the node's hello", step, greeting).await?;
    let said = Transcript { client_hello: &client_hello, answered: &answered, binding: &channel.binding };
    let (server, auth) = authenticate(&options.key, &options.domain, &said, now())?;
    let auth = minicbor::to_vec(auth).unwrap_or_default();
    within("proving the agent's key", step, write(&mut channel.writing, &auth)).await?;
    let mut decoder = FrameDecoder::default();
    within("being let in", step, await_entry(&mut channel.reading, &mut decoder)).await?;
    let opened = Opened {
        reading: channel.reading,
        writing: channel.writing,
        decoder,
        node: server.certificate.node,
        in_flight_max: server.in_flight_max,
        frame_bytes_max: server.frame_bytes_max,
    };
    Ok(Connection::start(opened, options))
}

/// The first two messages; returns the hello as sent and the node's answer, which is not verified yet.
async fn say_hello(
    channel: &mut Channel,
    key: &KeyPair,
    address: SocketAddr,
) -> Result<(Vec<u8>, SignedServerHello), SdkError> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce)?;
    let hello = minicbor::to_vec(ClientHello::new(key.id(), nonce)).unwrap_or_default();
    channel.writing.write_all(&MAGIC).await.map_err(lost)?;
    write(&mut channel.writing, &hello).await?;
    let answer = read(&mut channel.reading, address).await?;
    Ok((hello, decode(&answer)?))
}

async fn await_entry(reading: &mut Reading, decoder: &mut FrameDecoder) -> Result<(), SdkError> {
    let mut header = [0; 4];
    reading.read_exact(&mut header).await.map_err(lost)?;
    let malformed = |why: String| SdkError::Handshake(HandshakeError::Malformed(why));
    let length = body_length(header).map_err(|error| malformed(error.to_string()))?;
    let mut body = vec![0; length];
    reading.read_exact(&mut body).await.map_err(lost)?;
    match decoder.decode_server(&body) {
        Ok(ServerFrame::Pong(0)) => Ok(()),
        Ok(ServerFrame::Goodbye(problem)) => Err(SdkError::Goodbye(Box::new(problem))),
        Ok(_) => Err(malformed("the first frame is neither a welcome nor a goodbye".to_owned())),
        Err(error) => Err(malformed(error.to_string())),
    }
}

async fn write(writing: &mut Writing, message: &[u8]) -> Result<(), SdkError> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let framed = [&length.to_be_bytes()[..], message].concat();
    writing.write_all(&framed).await.map_err(lost)?;
    writing.flush().await.map_err(lost)
}

async fn read(reading: &mut Reading, address: SocketAddr) -> Result<Vec<u8>, SdkError> {
    let mut header = [0; 4];
    reading.read_exact(&mut header).await.map_err(lost)?;
    if header.starts_with(&TLS_ALERT) {
        return Err(SdkError::SpeaksTls(address));
    }
    let length = u32::from_be_bytes(header) as usize;
    if length > HELLO_BYTES_MAX {
        let why = format!("{length} bytes are more than {HELLO_BYTES_MAX}");
        return Err(SdkError::Handshake(HandshakeError::Malformed(why)));
    }
    let mut message = vec![0; length];
    reading.read_exact(&mut message).await.map_err(lost)?;
    Ok(message)
}

async fn within<T>(
    step: &'static str,
    limit: Duration,
    work: impl Future<Output = Result<T, SdkError>>,
) -> Result<T, SdkError> {
    let late =
        |_| SdkError::TimedOut { step, after_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) };
    timeout(limit, work).await.map_err(late)?
}

fn lost(error: io::Error) -> SdkError {
    SdkError::Closed(match error.kind() {
        io::ErrorKind::UnexpectedEof => "the node ended the handshake".to_owned(),
        _ => error.to_string(),
    })
}
