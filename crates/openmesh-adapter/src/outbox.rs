//! The bounded way out to one connection: answers always fit, deliveries only while there is room.

use openmesh_message::Problem;
use openmesh_message::frame::{Delivery, Reply, SendOutcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// Deliveries that wait for a connection.
const DELIVERIES_MAX: usize = 4_096;
/// Bytes of deliveries that wait for a connection.
const DELIVERY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Batches that wait for a connection; more than its agent's unanswered sends and commands can make.
const BATCHES_MAX: usize = 16_384;

/// One thing for an agent.
#[derive(Debug)]
pub enum Outgoing {
    /// How a send ended.
    Outcome(u64, SendOutcome),
    /// How a command ended.
    Reply(u64, Result<Reply, Problem>),
    /// A message, or a gap.
    Deliver(Delivery),
    /// The answer to a ping.
    Pong(u64),
    /// The end of the connection.
    Goodbye(Problem),
}

/// Things for an agent, in order.
pub type Batch = Vec<Outgoing>;

/// The owner's side.
#[derive(Clone, Debug)]
pub struct Outbox {
    batches: mpsc::Sender<Batch>,
    level: Arc<Level>,
}

/// The connection's side.
#[derive(Debug)]
pub struct OutboxReader {
    batches: mpsc::Receiver<Batch>,
    level: Arc<Level>,
}

/// Why a batch was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No room for deliveries.
    Full,
    /// The connection has ended.
    Closed,
}

#[derive(Debug, Default)]
struct Level {
    deliveries: AtomicUsize,
    bytes: AtomicUsize,
    wants_to_know: AtomicBool,
}

impl Level {
    fn has_room(&self, bytes: usize) -> bool {
        let deliveries = self.deliveries.load(Ordering::SeqCst);
        let waiting = self.bytes.load(Ordering::SeqCst);
        deliveries == 0 || (deliveries < DELIVERIES_MAX && waiting + bytes <= DELIVERY_BYTES_MAX)
    }
}

impl Outbox {
    /// An outbox and its reader.
    pub fn new() -> (Self, OutboxReader) {
        let (sender, receiver) = mpsc::channel(BATCHES_MAX);
        let level = Arc::new(Level::default());
        (Self { batches: sender, level: Arc::clone(&level) }, OutboxReader { batches: receiver, level })
    }

    /// Whether a delivery of this size would be taken; if not, the reader will tell when there is room again.
    pub fn has_room(&self, bytes: usize) -> bool {
        if self.level.has_room(bytes) {
            return true;
        }
        self.level.wants_to_know.store(true, Ordering::SeqCst);
        // The reader may have emptied the outbox before it could see the flag.
        self.level.has_room(bytes)
    }

    /// Notes that a delivery of this size is in a batch about to be sent.
    pub fn count(&self, bytes: usize) {
        self.level.deliveries.fetch_add(1, Ordering::SeqCst);
        self.level.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Hands over a batch, whose deliveries were counted.
    pub fn send(&self, batch: Batch) -> Result<(), Refusal> {
        self.batches.try_send(batch).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refusal::Full,
            mpsc::error::TrySendError::Closed(_) => Refusal::Closed,
        })
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.batches.is_closed()
    }
}

impl OutboxReader {
    /// The next batch; `None` when the owner let go of the connection.
    pub async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// A further batch, if one is waiting.
    pub fn waiting(&mut self) -> Option<Batch> {
        self.batches.try_recv().ok()
    }

    /// Notes that a delivery was written; `true` if someone who found the outbox full should be told of the room.
    pub fn written(&self, bytes: usize) -> bool {
        let deliveries = self.level.deliveries.fetch_sub(1, Ordering::SeqCst) - 1;
        let waiting = self.level.bytes.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        let low = deliveries <= DELIVERIES_MAX / 2 && waiting <= DELIVERY_BYTES_MAX / 2;
        low && self.level.wants_to_know.swap(false, Ordering::SeqCst)
    }
}

impl Outgoing {
    /// Bytes that a delivery takes up, roughly; 0 for anything else.
    pub fn delivery_bytes(&self) -> usize {
        match self {
            Self::Deliver(delivery) => delivery_bytes(delivery),
            _ => 0,
        }
    }
}

/// Bytes that a delivery takes up, roughly.
pub fn delivery_bytes(delivery: &Delivery) -> usize {
    // Proof and transit part, at their longest.
    const OVERHEAD_BYTES: usize = 2 * 1024;
    match delivery {
        Delivery::Message { envelope, .. } => {
            envelope.payload.len() + envelope.attributes.bytes() + OVERHEAD_BYTES
        }
        Delivery::Gap { .. } => OVERHEAD_BYTES,
    }
}
