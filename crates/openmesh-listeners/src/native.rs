//! The native listener: length-prefixed frames after a handshake in which the node proves itself first.

mod connection;
mod greeting;
mod writer;

use openmesh_adapter::MeshHandle;
use openmesh_message::{Certificate, KeyPair};
use std::net::SocketAddr;
use std::sync::Arc;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 10_000;
/// Handshakes at a time.
const HANDSHAKES_MAX: usize = 1_000;

/// Who the node is.
pub struct NodeIdentity {
    /// The node's key.
    pub key: Arc<KeyPair>,
    /// Its certificate by the domain.
    pub certificate: Certificate,
}

/// Why a listener cannot start.
#[derive(Debug, Error)]
pub enum ListenFault {
    /// Plaintext leaves the machine only through a tunnel of the operator's.
    #[error("{0} is not a loopback address: the native protocol is plaintext and listens on loopback only")]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A listener that has its address.
pub struct NativeListener {
    listener: TcpListener,
    identity: Arc<NodeIdentity>,
    mesh: MeshHandle,
}

impl NativeListener {
    /// Takes the address.
    pub async fn bind(
        address: SocketAddr,
        identity: NodeIdentity,
        mesh: MeshHandle,
    ) -> Result<Self, ListenFault> {
        if !address.ip().is_loopback() {
            return Err(ListenFault::NotLoopback(address));
        }
        let listener =
            TcpListener::bind(address).await.map_err(|source| ListenFault::Bind { address, source })?;
        Ok(Self { listener, identity: Arc::new(identity), mesh })
    }

    /// The address, with the port the system chose.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves connections until told to stop.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let mut tasks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.changed() => return,
                Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                continue;
            };
            let room = Arc::clone(&connections).try_acquire_owned();
            let greeting = Arc::clone(&handshakes).try_acquire_owned();
            if let (Ok(room), Ok(greeting)) = (room, greeting) {
                let (identity, mesh) = (Arc::clone(&self.identity), self.mesh.clone());
                tasks.spawn(async move {
                    serve_connection(stream, &identity, mesh, greeting).await;
                    drop(room);
                });
            }
        }
    }
}

async fn serve_connection(
    mut stream: TcpStream,
    identity: &NodeIdentity,
    mesh: MeshHandle,
    greeting: tokio::sync::OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let greeted = greeting::greet(&mut stream, identity).await;
    drop(greeting);
    match greeted {
        Ok(agent) => connection::serve(stream, agent, mesh).await,
        Err(refused) => tracing::debug!(%refused, "handshake refused"),
    }
}
