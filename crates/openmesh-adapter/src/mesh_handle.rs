//! How adapters reach the partition's owner: bounded queues in, one published view out.

use crate::beside::{Answers, Asked, Beside};
use crate::intake::Intake;
use crate::load::Load;
use crate::outbox::{Outbox, message_bytes};
use crate::quota::{Quotas, Rates, cost_of, cost_of_command};
use crate::trace::Tracing;
use arc_swap::ArcSwap;
use openmesh_core::{ConnectionId, Input, View};
use openmesh_message::frame::StreamAct;
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
/// Places of one connection for batches that wait for the owner; until one is free, nothing more is read from it. What was read
/// takes more memory than what was not, and the owner needs no more than this to be busy.
const OF_CONNECTION_MAX: u32 = 32;
/// Bytes for which a batch takes a place more.
const PLACE_BYTES: usize = 256 * 1024;
/// From this part of the room for all that waits on, a batch takes so many places.
const CROWDED: (f64, u32) = (0.5, 8);
/// Bytes that something takes up while it waits, besides its message.
const WAITING_BYTES_ABOUT: usize = 1024;
/// What a refusal, a command or a word about a stream costs the owner.
const OTHER_COST: i64 = 30;
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
    /// The connection; 0 where the node itself says it.
    number: u64,
    since: Instant,
    cost: i64,
    waits: Option<Waits>,
}

/// Stands for a batch of a connection until the owner has taken all of it.
#[derive(Debug)]
struct Waits {
    load: Arc<Load>,
    bytes: usize,
    _places: OwnedSemaphorePermit,
}

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
    connection: ConnectionId,
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
    quotas: Arc<Quotas>,
}

/// The ways in to the owner.
#[derive(Clone, Debug)]
struct Queues {
    ordinary: mpsc::Sender<Event>,
    express: mpsc::Sender<Inputs>,
    expected: Arc<AtomicUsize>,
    load: Arc<Load>,
}

/// Makes a handle and the queues its owner reads; nothing is shed below the load's ceiling, and who pays is said by the rates.
pub fn channel(view: View, load: Load, rates: Rates) -> (MeshHandle, Intake) {
    let (queues, intake) = Queues::new(load);
    let view = Arc::new(ArcSwap::from_pointee(view));
    let handle = MeshHandle {
        queues,
        view,
        next_connection: Arc::new(AtomicU64::new(1)),
        tracing: Tracing::default(),
        beside: Beside::default(),
        quotas: Arc::new(Quotas::new(rates)),
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

    /// How much the node has to do.
    pub const fn load(&self) -> &Arc<Load> {
        &self.queues.load
    }

    /// What agents may take.
    pub const fn quotas(&self) -> &Arc<Quotas> {
        &self.quotas
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
    pub fn entrance(&self, connection: ConnectionId) -> Entrance {
        Entrance::new(connection, self.queues.clone())
    }

    /// Hands in inputs; gives them back when the queue has no room in time.
    pub async fn submit(&self, inputs: Vec<Input>) -> Result<(), Option<Vec<Input>>> {
        self.queues.queue(Inputs::new(0, inputs, Instant::now())).await
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
    fn new(load: Load) -> (Self, Intake) {
        let (ordinary, events) = mpsc::channel(EVENTS_MAX);
        let (express, hasty) = mpsc::channel(EXPRESS_MAX);
        let expected = Arc::default();
        let load = Arc::new(load);
        let intake = Intake::new(events, hasty, Arc::clone(&expected), Arc::clone(&load));
        (Self { ordinary, express, expected, load }, intake)
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
    fn new(connection: ConnectionId, queues: Queues) -> Self {
        Self {
            connection,
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
        let bytes = inputs.iter().map(bytes_of).sum();
        let load = &self.queues.load;
        let places = places_of(bytes, load.waiting_share());
        let places = Arc::clone(&self.room).acquire_many_owned(places).await.map_err(|_| None)?;
        let since = Instant::now();
        load.look(since);
        let mut inputs = Inputs::new(self.connection.0, inputs, since).held(load, bytes, places);
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

/// How many places a batch takes: more where it is large, and where much waits.
fn places_of(bytes: usize, waiting_share: f64) -> u32 {
    let (crowded_from, crowded) = CROWDED;
    let least = if waiting_share >= crowded_from { crowded } else { 1 };
    let by_bytes = u32::try_from(1 + bytes / PLACE_BYTES).unwrap_or(u32::MAX);
    least.max(by_bytes).min(OF_CONNECTION_MAX)
}

/// Bytes that something takes up while it waits, about.
fn bytes_of(input: &Input) -> usize {
    match input {
        Input::Message { admitted, .. } => {
            let kept = if admitted.sealed.is_some() { admitted.envelope.payload.len() } else { 0 };
            message_bytes(&admitted.envelope) + kept + WAITING_BYTES_ABOUT
        }
        Input::Stream { act: StreamAct::Item { item, .. }, .. } => item.len() + WAITING_BYTES_ABOUT,
        _ => WAITING_BYTES_ABOUT,
    }
}

/// What something costs the owner, in the units of quotas.
fn cost_of_input(input: &Input) -> i64 {
    match input {
        Input::Message { admitted, .. } => cost_of(&admitted.envelope, admitted.sealed.is_some()),
        Input::Command { command, .. } => OTHER_COST + cost_of_command(command),
        _ => OTHER_COST,
    }
}

impl Inputs {
    fn new(number: u64, inputs: Vec<Input>, since: Instant) -> Self {
        let cost = inputs.iter().map(cost_of_input).sum();
        Self { inputs: inputs.into_iter(), number, since, cost, waits: None }
    }

    fn held(self, load: &Arc<Load>, bytes: usize, places: OwnedSemaphorePermit) -> Self {
        load.hold(bytes);
        let waits = Waits { load: Arc::clone(load), bytes, _places: places };
        Self { waits: Some(waits), ..self }
    }

    #[cfg(test)]
    pub(crate) fn for_turns(number: u64, cost: i64, inputs: Vec<Input>) -> Self {
        Self { cost, ..Self::new(number, inputs, Instant::now()) }
    }

    /// The next, and since when it waits.
    pub(crate) fn take(&mut self) -> Option<(Input, Instant)> {
        Some((self.inputs.next()?, self.since))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inputs.len() == 0
    }

    /// The connection, as turns count them.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// What it costs the owner.
    pub(crate) const fn cost(&self) -> i64 {
        self.cost
    }

    /// Says that its turn has come.
    pub(crate) fn note_taken(&self) {
        if let Some(waits) = &self.waits {
            waits.load.note_taken();
        }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.load.let_go(self.bytes);
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
    use crate::load::Load;
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
        let (queues, mut intake) = Queues::new(Load::default());
        let (flooding, calm) =
            (Entrance::new(ConnectionId(1), queues.clone()), Entrance::new(ConnectionId(2), queues));
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
        let (queues, mut intake) = Queues::new(Load::default());
        queues.ordinary.send(Event::Stop).await.unwrap();
        let mut entrances = Vec::new();
        for number in 1..=100 {
            let entrance = Entrance::new(ConnectionId(number), queues.clone());
            entrance.is_known.store(true, Ordering::SeqCst);
            entrance.submit(vec![command(number)]).await.unwrap();
            entrances.push(entrance);
        }
        let place = std::iter::from_fn(|| intake.take(Taken::Both))
            .position(|next| matches!(next, Arrival::Event(_)));
        assert_eq!(place, Some(64));
    }
}
