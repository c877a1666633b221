//! The bytes of a connection, over TLS or in plaintext, and what binds a handshake to them.

use crate::{SdkError, Tls};
use openmesh_message::handshake::Binding;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// What the node says.
pub(crate) type Reading = Box<dyn AsyncRead + Send + Unpin>;
/// What is said to the node.
pub(crate) type Writing = Box<dyn AsyncWrite + Send + Unpin>;

/// A connection's bytes, both ways.
pub(super) struct Channel {
    pub(super) reading: Reading,
    pub(super) writing: Writing,
    pub(super) binding: Binding,
}

impl Channel {
    /// Opens a connection; in plaintext, to this machine only.
    pub(super) async fn open(address: SocketAddr, tls: Option<&Tls>) -> Result<Self, SdkError> {
        if tls.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(SdkError::NotLoopback(address));
        }
        let refused = |error: std::io::Error| SdkError::Connect { address, why: error.to_string() };
        let stream = TcpStream::connect(address).await.map_err(refused)?;
        // Frames are written in batches already.
        stream.set_nodelay(true).map_err(refused)?;
        let Some(tls) = tls else {
            let (reading, writing) = stream.into_split();
            return Ok(Self {
                reading: Box::new(reading),
                writing: Box::new(writing),
                binding: Binding::Loopback,
            });
        };
        let (stream, exporter) = tls.connect(stream, address).await?;
        let (reading, writing) = tokio::io::split(stream);
        let binding = Binding::Tls(exporter);
        Ok(Self { reading: Box::new(reading), writing: Box::new(writing), binding })
    }
}
