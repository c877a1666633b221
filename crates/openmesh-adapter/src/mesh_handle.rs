//! How adapters reach the partition's owner: bounded queues in, one published view out.

use crate::beside::{Answers, Asked, Beside};
use crate::intake::Intake;
use crate::outbox::Outbox;
use crate::trace::Tracing;
use arc_swap::ArcSwap;
use openmesh_core::{ConnectionId, Input, View};
use openmesh_message::{AgentId, Priority};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

/// Batches that wait for the owner.
const EVENTS_MAX: usize = 1_024;
/// Batches that wait for the owner in the express queue.
const EXPRESS_MAX: usize = 1_024;
/// Batches of one connection that wait for the owner; until one is taken, nothing more is read from it. What was read takes more
/// memory than what was not, and the owner needs no more than this to be busy.
const OF_CONNECTION_MAX: u32 = 32;
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
    Inputs(Inputs),
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

/// What an agent sent, in order.
#[derive(Debug)]
pub struct Inputs {
    inputs: std::vec::IntoIter<Input>,
    since: Instant,
    _waits: Option<Waits>,
}

/// Stands for a batch of a connection until the owner has taken all of it.
type Waits = OwnedSemaphorePermit;

/// Messages that were read and are being admitted: the owner may wait for them, since nothing else does.
#[derive(Debug)]
pub struct Expected {
    messages: Arc<AtomicUsize>,
    left: usize,
}

/// One connection's way in: keeps what it sends in order, and takes what is urgent past others where nothing of its own
/// waits.
#[derive(Debug)]
pub struct Entrance {
    queues: Queues,
    room: Arc<Semaphore>,
    /// The first batch comes after what tells the owner of the connection.
    is_known: AtomicBool,
}

/// The owner is gone: the node is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node is stopping")]
pub struct MeshGone;

/// The handle that every adapter holds.
#[derive(Clone, Debug)]
pub struct MeshHandle {
    queues: Queues,
    view: Arc<ArcSwap<View>>,
    next_connection: Arc<AtomicU64>,
    tracing: Tracing,
    beside: Beside,
}

/// The ways in to the owner.
#[derive(Clone, Debug)]
struct Queues {
    ordinary: mpsc::Sender<Event>,
    express: mpsc::Sender<Inputs>,
    expected: Arc<AtomicUsize>,
}

/// Makes a handle and the queues its owner reads.
pub fn channel(view: View) -> (MeshHandle, Intake) {
    let (queues, intake) = Queues::new();
    let view = Arc::new(ArcSwap::from_pointee(view));
    let handle = MeshHandle {
        queues,
        view,
        next_connection: Arc::new(AtomicU64::new(1)),
        tracing: Tracing::default(),
        beside: Beside::default(),
    };
    (handle, intake)
}

impl MeshHandle {
    /// The same handle, for whoever traces otherwise than every message.
    pub fn with_tracing(self, tracing: Tracing) -> Self {
        Self { tracing, ..self }
    }

    /// Which messages are traced.
    pub const fn tracing(&self) -> Tracing {
        self.tracing
    }

    /// The view that admission reads.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Publishes a view; the owner's to call.
    pub fn publish(&self, view: View) {
        self.view.store(Arc::new(view));
    }

    /// Says who answers beside the owner.
    pub fn answer_beside(&self, answers: Weak<dyn Answers>) {
        self.beside.offer(answers);
    }

    /// Has a command answered beside the owner; gives it back where the owner is to take it.
    pub fn ask(&self, asked: Asked, outbox: &Outbox) -> Option<Asked> {
        self.beside.ask(asked, outbox)
    }

    /// A number for a connection, never given twice.
    pub fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// A way in for a connection that the owner was told of, or is told of before its first batch.
    pub fn entrance(&self) -> Entrance {
        Entrance::new(self.queues.clone())
    }

    /// Hands in inputs; gives them back when the queue has no room in time.
    pub async fn submit(&self, inputs: Vec<Input>) -> Result<(), Option<Vec<Input>>> {
        self.queues.queue(Inputs::new(inputs, None)).await
    }

    /// Tells the owner something that must not be lost.
    pub async fn tell(&self, event: Event) -> Result<(), MeshGone> {
        self.queues.ordinary.send(event).await.map_err(|_| MeshGone)
    }

    /// Tells the owner something it will be told again if there is no room.
    pub fn hint(&self, event: Event) -> bool {
        self.queues.ordinary.try_send(event).is_ok()
    }
}

impl Queues {
    fn new() -> (Self, Intake) {
        let (ordinary, events) = mpsc::channel(EVENTS_MAX);
        let (express, hasty) = mpsc::channel(EXPRESS_MAX);
        let expected = Arc::default();
        let intake = Intake::new(events, hasty, Arc::clone(&expected));
        (Self { ordinary, express, expected }, intake)
    }

    async fn queue(&self, inputs: Inputs) -> Result<(), Option<Vec<Input>>> {
        match timeout(ROOM_WAIT, self.ordinary.reserve()).await {
            Ok(Ok(room)) => {
                room.send(Event::Inputs(inputs));
                Ok(())
            }
            Ok(Err(_)) => Err(None),
            Err(_) => Err(Some(inputs.inputs.collect())),
        }
    }
}

impl Entrance {
    fn new(queues: Queues) -> Self {
        Self {
            queues,
            room: Arc::new(Semaphore::new(OF_CONNECTION_MAX as usize)),
            is_known: AtomicBool::new(false),
        }
    }

    /// Says that so many messages are being admitted, and come next.
    pub fn expect(&self, messages: usize) -> Expected {
        self.queues.expected.fetch_add(messages, Ordering::Relaxed);
        Expected { messages: Arc::clone(&self.queues.expected), left: messages }
    }

    /// Whether all that was handed in has been decided: what comes next overtakes nothing.
    fn is_idle(&self) -> bool {
        self.room.available_permits() == OF_CONNECTION_MAX as usize
    }

    /// Waits until all that was handed in has been decided.
    pub async fn idle(&self) {
        if !self.is_idle() {
            let _ = self.room.acquire_many(OF_CONNECTION_MAX).await;
        }
    }

    /// Hands in inputs; gives them back when there is no room in time.
    pub async fn submit(&self, inputs: Vec<Input>) -> Result<(), Option<Vec<Input>>> {
        let is_first = !self.is_known.swap(true, Ordering::SeqCst);
        let alone = self.is_idle();
        let may_hurry = alone && !is_first && inputs.iter().any(is_urgent);
        let waits = Arc::clone(&self.room).acquire_owned().await.map_err(|_| None)?;
        let mut inputs = Inputs::new(inputs, Some(waits));
        if may_hurry {
            match self.queues.express.try_send(inputs) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(None),
                Err(mpsc::error::TrySendError::Full(back)) => inputs = back,
            }
        }
        self.queues.queue(inputs).await
    }
}

/// Whether something is worth hurrying for: an urgent message, or a command, such as a lease that may bring one.
fn is_urgent(input: &Input) -> bool {
    match input {
        Input::Message { admitted, .. } => admitted.control.priority <= Priority::Urgent,
        Input::Command { .. } => true,
        _ => false,
    }
}

impl Inputs {
    fn new(inputs: Vec<Input>, waits: Option<Waits>) -> Self {
        Self { inputs: inputs.into_iter(), since: Instant::now(), _waits: waits }
    }

    /// The next, and since when it waits.
    pub(crate) fn take(&mut self) -> Option<(Input, Instant)> {
        Some((self.inputs.next()?, self.since))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inputs.len() == 0
    }
}

impl Expected {
    /// So many of them were admitted and handed in, or will not be.
    pub fn came(&mut self, messages: usize) {
        let messages = messages.min(self.left);
        self.left -= messages;
        self.messages.fetch_sub(messages, Ordering::Relaxed);
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.came(self.left);
    }
}

#[cfg(test)]
mod tests {
    use super::{Entrance, Event, Queues};
    use crate::intake::{Arrival, Queues as Taken};
    use openmesh_core::{ConnectionId, Input, Ticket};
    use openmesh_message::frame::Command;
    use std::sync::atomic::Ordering;

    fn command(tag: u64) -> Input {
        let ticket = Ticket { connection: ConnectionId(1), tag };
        Input::Command { ticket, command: Box::new(Command::CountInbox) }
    }

    fn tag(arrival: Option<Arrival>) -> u64 {
        match arrival {
            Some(Arrival::Input { input: Input::Command { ticket, .. }, .. }) => ticket.tag,
            Some(Arrival::Input { input: Input::Tick, .. }) => 0,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_is_urgent_goes_past_others_but_not_past_its_own() {
        let (queues, mut intake) = Queues::new();
        let (flooding, calm) = (Entrance::new(queues.clone()), Entrance::new(queues));
        calm.submit(vec![command(1)]).await.unwrap();
        assert_eq!(tag(intake.take(Taken::Both)), 1, "the first comes after what tells of the connection");
        assert!(!intake.has_more(Taken::Both), "it is decided when the owner looks again");
        flooding.submit(vec![Input::Tick, Input::Tick]).await.unwrap();
        flooding.submit(vec![command(2)]).await.unwrap();
        calm.submit(vec![command(3)]).await.unwrap();
        calm.submit(vec![command(4)]).await.unwrap();
        let order: Vec<_> = (0..5).map(|_| tag(intake.take(Taken::Both))).collect();
        assert_eq!(order, [3, 0, 0, 2, 4]);
        assert!(!intake.has_more(Taken::Both));
    }

    #[tokio::test]
    async fn the_ordinary_queue_is_passed_over_only_so_often() {
        let (queues, mut intake) = Queues::new();
        queues.ordinary.send(Event::Stop).await.unwrap();
        let mut entrances = Vec::new();
        for number in 1..=100 {
            let entrance = Entrance::new(queues.clone());
            entrance.is_known.store(true, Ordering::SeqCst);
            entrance.submit(vec![command(number)]).await.unwrap();
            entrances.push(entrance);
        }
        let place = std::iter::from_fn(|| intake.take(Taken::Both))
            .position(|next| matches!(next, Arrival::Event(_)));
        assert_eq!(place, Some(64));
    }
}
