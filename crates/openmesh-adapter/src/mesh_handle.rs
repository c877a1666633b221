//! How adapters reach the partition's owner: one bounded queue in, one published view out.

use crate::outbox::Outbox;
use arc_swap::ArcSwap;
use openmesh_core::{ConnectionId, Input, View};
use openmesh_message::AgentId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Batches that wait for the owner.
const EVENTS_MAX: usize = 1_024;
/// How long a batch may wait for room in the queue.
const ROOM_WAIT: Duration = Duration::from_secs(1);

/// What adapters tell the owner.
#[derive(Debug)]
pub enum Event {
    /// An agent proved its key on a new connection.
    Opened {
        /// The connection.
        connection: ConnectionId,
        /// The agent.
        agent: AgentId,
        /// Whether messages to the agent's own address are handed over on it; one that only asks receives none.
        receives: bool,
        /// The way out to it.
        outbox: Outbox,
    },
    /// A connection ended.
    Closed(ConnectionId),
    /// What agents sent, in order.
    Inputs(Vec<Input>),
    /// A connection's outbox has room again.
    Drained(ConnectionId),
    /// A subscription that reads the log has handed over everything up to this record.
    ReadOn {
        /// The connection.
        connection: ConnectionId,
        /// The subscription.
        subscription: u64,
        /// Tells the subscription from an ended one that bore the same number.
        generation: u64,
        /// The last record it has seen.
        through_seq: u64,
        /// Whether that is the end of what is synced; else there was no more room.
        to_the_end: bool,
    },
    /// The node is to stop.
    Stop,
}

/// The owner is gone: the node is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node is stopping")]
pub struct MeshGone;

/// The handle that every adapter holds.
#[derive(Clone, Debug)]
pub struct MeshHandle {
    events: mpsc::Sender<Event>,
    view: Arc<ArcSwap<View>>,
    next_connection: Arc<AtomicU64>,
}

/// Makes a handle and the queue its owner reads.
pub fn channel(view: View) -> (MeshHandle, mpsc::Receiver<Event>) {
    let (events, queue) = mpsc::channel(EVENTS_MAX);
    let view = Arc::new(ArcSwap::from_pointee(view));
    let handle = MeshHandle { events, view, next_connection: Arc::new(AtomicU64::new(1)) };
    (handle, queue)
}

impl MeshHandle {
    /// The view that admission reads.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Publishes a view; the owner's to call.
    pub fn publish(&self, view: View) {
        self.view.store(Arc::new(view));
    }

    /// A number for a connection, never given twice.
    pub fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// Hands in inputs; gives them back when the queue has no room in time.
    pub async fn submit(&self, inputs: Vec<Input>) -> Result<(), Option<Vec<Input>>> {
        match timeout(ROOM_WAIT, self.events.reserve()).await {
            Ok(Ok(room)) => {
                room.send(Event::Inputs(inputs));
                Ok(())
            }
            Ok(Err(_)) => Err(None),
            Err(_) => Err(Some(inputs)),
        }
    }

    /// Tells the owner something that must not be lost.
    pub async fn tell(&self, event: Event) -> Result<(), MeshGone> {
        self.events.send(event).await.map_err(|_| MeshGone)
    }

    /// Tells the owner something it will be told again if there is no room.
    pub fn hint(&self, event: Event) -> bool {
        self.events.try_send(event).is_ok()
    }
}
