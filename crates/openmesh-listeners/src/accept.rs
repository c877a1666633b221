//! How connections come in, for every door alike: who may, how many at a time, and how long they may take
//! until they have said who they are.

mod counters;
mod gate;
mod stream;

pub use gate::{Crowded, Gate, Limits, Opening};
pub use stream::Stream;

use crate::tls::{DoorTls, ServerTls};
use counters::Counters;
use openmesh_message::handshake::Binding;
use socket2::SockRef;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a connection may take until it is established: TLS and whatever its door asks for, together.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// Connections that the operating system holds until they are accepted; it may hold fewer.
const BACKLOG: u32 = 4_096;
/// Bytes of a connection that the operating system holds and has not sent; what is on its way comes to that.
const UNSENT_BYTES_MAX: u32 = 1024 * 1024;
/// The pause after a connection could not be accepted, as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What is spoken at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The native protocol.
    Native,
    /// HTTP, with WebSocket and server-sent events.
    Http,
}

/// Who is at the other end, before anything is proved, and over which channel.
#[derive(Clone)]
pub struct Peer {
    /// Where it connects from.
    pub address: SocketAddr,
    /// The channel, for handshakes to bind themselves to.
    pub binding: Binding,
}

/// Why a listener cannot start.
#[derive(Debug, Error)]
pub enum ListenFault {
    /// Plaintext never leaves the machine.
    #[error(
        "{0} is not a loopback address, and plaintext stays on this machine: add --tls dev, or --tls-cert and --tls-key"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A door that has its address.
pub struct Acceptor {
    listener: TcpListener,
    door: Door,
    tls: Option<DoorTls>,
    gate: Arc<Gate>,
}

impl Door {
    /// What metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Http => "http",
        }
    }
}

impl Acceptor {
    /// Takes the address; one that is not of this machine alone, only with TLS.
    pub fn bind(
        address: SocketAddr,
        door: Door,
        gate: Arc<Gate>,
        tls: Option<&ServerTls>,
    ) -> Result<Self, ListenFault> {
        if tls.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(ListenFault::NotLoopback(address));
        }
        let listener = listen(address).map_err(|source| ListenFault::Bind { address, source })?;
        let tls = tls.map(|tls| tls.acceptor(door));
        Ok(Self { listener, door, tls, gate })
    }

    /// The address, with the port the system chose.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts connections until told to stop, and gives each to `serve` on a task of its own.
    ///
    /// Until `serve` calls [`Opening::done`], its connection is ended at [`HANDSHAKE_DEADLINE`], or earlier
    /// where others need the room. All connections end when this returns or is dropped.
    pub async fn run<F>(
        self,
        mut stop: watch::Receiver<bool>,
        serve: impl Fn(Stream, Peer, Opening) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let counters = Counters::new(self.door);
        let serve = Arc::new(serve);
        let mut tasks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.changed() => return,
                Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            };
            let Ok((stream, address)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            // Frames are written in batches already.
            let _ = stream.set_nodelay(true);
            // What waits for a slow reader waits where it is counted.
            let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
            let opening = self.gate.enter(address.ip(), &counters);
            let watched = opening.watch();
            let (tls, counters, serve) = (self.tls.clone(), counters.clone(), Arc::clone(&serve));
            let serving = async move {
                match secure(stream, tls).await {
                    Ok((stream, binding)) => serve(stream, Peer { address, binding }, opening).await,
                    Err(error) => {
                        counters.failed.increment(1);
                        tracing::debug!(%address, %error, "TLS could not be agreed on");
                    }
                }
            };
            tasks.spawn(async move {
                tokio::select! {
                    () = serving => {}
                    () = watched.given_up() => {}
                }
            });
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn secure(stream: TcpStream, tls: Option<DoorTls>) -> io::Result<(Stream, Binding)> {
    let Some(tls) = tls else {
        return Ok((Stream::Plain(stream), Binding::Loopback));
    };
    let (stream, binding) = tls.accept(stream).await?;
    Ok((Stream::Tls(Box::new(stream)), binding))
}
