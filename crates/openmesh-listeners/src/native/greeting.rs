//! The node's side of the handshake, under one deadline and with bounded reads.

use super::NodeIdentity;
use crate::accept::HANDSHAKE_DEADLINE;
use crate::native::connection::IN_FLIGHT_MAX;
use openmesh_message::AgentId;
use openmesh_message::handshake::{
    Binding, HELLO_BYTES_MAX, HandshakeError, MAGIC, ServerHello, Transcript, VERSION, accept_auth,
    accept_hello, answer,
};
use openmesh_message::limits::FRAME_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Why an agent was not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum GreetingFault {
    /// It took too long.
    #[error("the handshake took longer than {HANDSHAKE_DEADLINE:?}")]
    Late,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    /// It does not speak the protocol, or could not prove its key.
    #[error(transparent)]
    Refused(#[from] HandshakeError),
    /// The node has no randomness to offer.
    #[error("no randomness: {0}")]
    Randomness(getrandom::Error),
}

impl GreetingFault {
    /// What metrics call it.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Io(_) => "broken",
            Self::Refused(_) => "refused",
            Self::Randomness(_) => "randomness",
        }
    }
}

/// Proves the node, then has the agent prove its key, both on this channel.
pub(super) async fn greet<S>(
    stream: &mut S,
    binding: &Binding,
    identity: &NodeIdentity,
) -> Result<AgentId, GreetingFault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let greeted = timeout(HANDSHAKE_DEADLINE, exchange(stream, binding, identity)).await;
    greeted.map_err(|_| GreetingFault::Late)?
}

async fn exchange<S>(
    stream: &mut S,
    binding: &Binding,
    identity: &NodeIdentity,
) -> Result<AgentId, GreetingFault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut magic = [0; MAGIC.len()];
    stream.read_exact(&mut magic).await?;
    if magic != MAGIC {
        return Err(HandshakeError::Version.into());
    }
    let client_hello = read_message(stream).await?;
    accept_hello(&client_hello)?;
    let hello = ServerHello {
        version: VERSION,
        certificate: identity.certificate.clone(),
        nonce: nonce()?,
        in_flight_max: IN_FLIGHT_MAX,
        frame_bytes_max: FRAME_BYTES_MAX as u32,
    };
    let answered = answer(&identity.key, &client_hello, &hello, binding);
    write_message(stream, &minicbor::to_vec(&answered).unwrap_or_default()).await?;
    let auth = read_message(stream).await?;
    let said = Transcript { client_hello: &client_hello, answered: &answered, binding };
    Ok(accept_auth(&said, &auth)?)
}

async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, GreetingFault> {
    let length = stream.read_u32().await? as usize;
    if length > HELLO_BYTES_MAX {
        return Err(HandshakeError::Malformed(format!("{length} bytes")).into());
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write_message(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> Result<(), GreetingFault> {
    let length = message.len() as u32;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await?;
    stream.flush().await?;
    Ok(())
}

fn nonce() -> Result<[u8; 32], GreetingFault> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(GreetingFault::Randomness)?;
    Ok(nonce)
}
