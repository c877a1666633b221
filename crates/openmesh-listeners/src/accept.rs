//! How connections come in, for every door alike: who may, how many at a time, and how long they may take
//! until they have said who they are.

mod counters;
mod gate;
mod stream;

pub use gate::{Gate, Limits, Opening};
pub use stream::Stream;

use counters::Counters;
use openmesh_message::handshake::Binding;
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
    counters: Counters,
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
    /// Takes the address.
    pub fn bind(address: SocketAddr, door: Door, gate: Arc<Gate>) -> Result<Self, ListenFault> {
        if !address.ip().to_canonical().is_loopback() {
            return Err(ListenFault::NotLoopback(address));
        }
        let listener = listen(address).map_err(|source| ListenFault::Bind { address, source })?;
        Ok(Self { listener, counters: Counters::new(door), gate })
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
            let opening = self.gate.enter(address.ip(), &self.counters);
            tasks.spawn(open(stream, address, opening, Arc::clone(&serve)));
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves one connection; ends it early where it does not get anywhere.
async fn open<F>(
    stream: TcpStream,
    address: SocketAddr,
    opening: Opening,
    serve: Arc<impl Fn(Stream, Peer, Opening) -> F>,
) where
    F: Future<Output = ()> + Send + 'static,
{
    // Frames are written in batches already.
    let _ = stream.set_nodelay(true);
    let watched = opening.watch();
    let work = async {
        let peer = Peer { address, binding: Binding::Loopback };
        serve(Stream::Plain(stream), peer, opening).await;
    };
    tokio::select! {
        () = work => {}
        () = watched.given_up() => {}
    }
}
