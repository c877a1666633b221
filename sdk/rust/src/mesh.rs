//! The handle to the mesh: holds the connection of the day and opens the next one when asked.

use crate::connection::Connection;
use crate::proofs::KeptKeys;
use crate::stream::KnownStreams;
use crate::{ConnectOptions, SdkError, connect};
use openmesh_message::{AgentId, DomainId, KeyPair};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// An agent's handle to the mesh; cheap to clone. The connection ends when the last clone, and the last
/// subscription made with it, is dropped.
#[derive(Clone)]
pub struct Mesh {
    shared: Arc<Shared>,
}

struct Shared {
    options: ConnectOptions,
    current: RwLock<Arc<Connection>>,
    reconnecting: Mutex<()>,
    kept_keys: KeptKeys,
    known_streams: KnownStreams,
}

impl Mesh {
    /// Connects, checks that the node belongs to the pinned domain, and proves the agent's key.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, SdkError> {
        let connection = connect::open(options).await?;
        let shared = Shared {
            options: options.clone(),
            current: RwLock::new(connection),
            reconnecting: Mutex::new(()),
            kept_keys: KeptKeys::default(),
            known_streams: KnownStreams::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Opens another connection if this one is lost; its subscriptions stay ended.
    pub async fn reconnect(&self) -> Result<(), SdkError> {
        let _one_at_a_time = self.shared.reconnecting.lock().await;
        if self.is_connected() {
            return Ok(());
        }
        let connection = connect::open(&self.shared.options).await?;
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = connection;
        Ok(())
    }

    /// Ends the connection cleanly: waits a few seconds for the outcomes of sends in flight, then for the node.
    pub async fn close(&self) {
        self.connection().close().await;
    }

    /// Whether the connection still stands, as far as this side knows.
    pub fn is_connected(&self) -> bool {
        self.connection().ended_by().is_none()
    }

    /// The agent's id.
    pub fn id(&self) -> AgentId {
        self.key().id()
    }

    /// The agent's key.
    pub fn key(&self) -> &Arc<KeyPair> {
        &self.shared.options.key
    }

    /// The domain the agent is connected to.
    pub fn domain(&self) -> DomainId {
        self.shared.options.domain
    }

    /// The node the agent is connected to.
    pub fn node(&self) -> AgentId {
        self.connection().node()
    }

    /// Asks the node whether it is there; returns how long the answer took.
    pub async fn ping(&self) -> Result<Duration, SdkError> {
        let asked = Instant::now();
        self.connection().ping().await?;
        Ok(asked.elapsed())
    }

    /// The keys that the node said it keeps.
    pub(crate) fn kept_keys(&self) -> &KeptKeys {
        &self.shared.kept_keys
    }

    /// The streams that this handle has read.
    pub(crate) fn known_streams(&self) -> &KnownStreams {
        &self.shared.known_streams
    }

    /// The connection of the moment.
    pub(crate) fn connection(&self) -> Arc<Connection> {
        let current = &self.shared.current;
        Arc::clone(&current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let current = self.current.get_mut().unwrap_or_else(PoisonError::into_inner);
        current.abandon();
    }
}
