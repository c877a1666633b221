//! One connection: a task that reads, a task that writes, and what both and their callers share.
//!
//! Every queue here is bounded, and every wait ends when the connection does.

mod awaited;
mod reader;
mod routes;
mod streams;
mod writer;

pub(crate) use routes::{ArrivalQueue, Arrived};
pub(crate) use streams::StreamEvents;

use crate::connect::{Reading, Writing};
use crate::{ConnectOptions, Pending, SdkError};
use awaited::Awaited;
use openmesh_message::frame::{Command, FrameDecoder, Reply, StreamAct};
use openmesh_message::limits::FRAME_BYTES_MAX;
use openmesh_message::{AgentId, Envelope};
use reader::Reader;
use routes::Routes;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use streams::StreamEnds;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use writer::{Outgoing, Writer, envelope_bytes_max};

/// Frames, messages and commands waiting to be written.
const OUTGOING_MAX: usize = 1_024;
/// How long each step of a clean end may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection fresh from its handshake.
pub(crate) struct Opened {
    pub(crate) reading: Reading,
    pub(crate) writing: Writing,
    pub(crate) decoder: FrameDecoder,
    pub(crate) node: AgentId,
    pub(crate) in_flight_max: u32,
    pub(crate) frame_bytes_max: u32,
}

/// What the tasks of a connection and its callers share.
pub(crate) struct Connection {
    node: AgentId,
    frame_bytes_max: usize,
    in_flight_max: u32,
    command_timeout: Duration,
    outgoing: mpsc::Sender<Outgoing>,
    room: Arc<Semaphore>,
    awaited: Mutex<Awaited>,
    routes: Mutex<Routes>,
    streams: Mutex<StreamEnds>,
    incoming_taken: AtomicBool,
    closing: AtomicBool,
    tags: AtomicU64,
    ended: watch::Sender<Option<SdkError>>,
}

impl Connection {
    /// Starts the tasks of a connection.
    pub(crate) fn start(opened: Opened, options: &ConnectOptions) -> Arc<Self> {
        let (outgoing, to_write) = mpsc::channel(OUTGOING_MAX);
        let in_flight_max = opened.in_flight_max.max(1);
        let connection = Arc::new(Self {
            node: opened.node,
            frame_bytes_max: FRAME_BYTES_MAX.min(opened.frame_bytes_max as usize),
            in_flight_max,
            command_timeout: options.command_timeout,
            outgoing,
            room: Arc::new(Semaphore::new(in_flight_max as usize)),
            awaited: Mutex::default(),
            routes: Mutex::new(Routes::new(options.subscription_messages_max)),
            streams: Mutex::default(),
            incoming_taken: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            tags: AtomicU64::new(1),
            ended: watch::Sender::new(None),
        });
        let reader = Reader::new(Arc::clone(&connection), opened.decoder, options);
        tokio::spawn(reader.run(opened.reading));
        tokio::spawn(Writer::new(Arc::clone(&connection)).run(opened.writing, to_write));
        connection
    }

    pub(crate) const fn node(&self) -> AgentId {
        self.node
    }

    /// Hands a message to the writer once there is room for one more in flight. An error means that it was not sent.
    pub(crate) async fn submit(&self, mut envelope: Envelope) -> Result<Pending, SdkError> {
        self.check_size(&mut envelope)?;
        let digest = envelope.digest();
        let room = Arc::clone(&self.room);
        let room = room.acquire_owned().await.map_err(|_| self.closed())?;
        let slot = self.outgoing.reserve().await.map_err(|_| self.closed())?;
        let tag = self.next_tag();
        let answer = self.awaited().await_send(tag, digest, room);
        let answer = answer.ok_or_else(|| self.closed())?;
        slot.send(Outgoing::Send(tag, Box::new(envelope)));
        Ok(Pending::new(answer))
    }

    /// Refuses a message that fits no frame, and drops from it what nodes alone may write.
    pub(crate) fn check_size(&self, envelope: &mut Envelope) -> Result<(), SdkError> {
        envelope.transit.position = None;
        envelope.transit.receivedtime = None;
        envelope.transit.logs = Vec::new();
        let (bytes, bytes_max) = (envelope_bytes_max(envelope), self.frame_bytes_max);
        if bytes > bytes_max {
            return Err(SdkError::TooLarge { bytes, bytes_max });
        }
        Ok(())
    }

    /// Gives the node a command that may take `wait` longer than any other.
    pub(crate) async fn command(
        &self,
        step: &'static str,
        command: Command,
        wait: Duration,
    ) -> Result<Reply, SdkError> {
        let asked = async {
            let slot = self.outgoing.reserve().await.map_err(|_| self.closed())?;
            let tag = self.next_tag();
            let answer = self.awaited().await_command(tag);
            let answer = answer.ok_or_else(|| self.closed())?;
            slot.send(Outgoing::Command(tag, command));
            answer.await.map_err(|_| self.closed())?
        };
        self.within(step, wait, asked).await
    }

    pub(crate) async fn ping(&self) -> Result<(), SdkError> {
        let asked = async {
            let slot = self.outgoing.reserve().await.map_err(|_| self.closed())?;
            let number = self.next_tag();
            let answer = self.awaited().await_pong(number);
            let answer = answer.ok_or_else(|| self.closed())?;
            slot.send(Outgoing::Ping(number));
            answer.await.map_err(|_| self.closed())
        };
        self.within("a ping", Duration::ZERO, asked).await
    }

    /// Gives a command whose reply nobody waits for; dropped if the writer is far behind.
    pub(crate) fn tell(&self, command: Command) {
        // An unread reply is dropped by the reader.
        let _ = self.outgoing.try_send(Outgoing::Command(self.next_tag(), command));
    }

    /// Says something of a stream, once the writer keeps up.
    pub(crate) async fn say(&self, act: StreamAct) -> Result<(), SdkError> {
        self.outgoing.send(Outgoing::Stream(act)).await.map_err(|_| self.closed())
    }

    /// What is said of an end of a stream goes there; `None` when the connection has ended.
    pub(crate) fn open_stream(&self, stream: u64) -> Option<Arc<StreamEvents>> {
        self.streams().open(stream)
    }

    pub(crate) fn close_stream(&self, stream: u64) {
        self.streams().close(stream);
    }

    /// A queue for the deliveries of a subscription; `None` when the connection has ended.
    pub(crate) fn open_route(&self, subscription: u64) -> Option<Arc<ArrivalQueue>> {
        self.routes().open(subscription)
    }

    /// Whether there was such a queue.
    pub(crate) fn close_route(&self, subscription: u64) -> bool {
        self.routes().close(subscription)
    }

    /// A queue for the replies to messages, by their ids; `None` when the connection has ended.
    pub(crate) fn await_replies<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Option<Arc<ArrivalQueue>> {
        self.routes().await_replies(ids)
    }

    pub(crate) fn forget_replies(&self, id: &str) {
        self.routes().forget_replies(id);
    }

    /// Whether the caller is the first to take the agent's own messages.
    pub(crate) fn take_incoming(&self) -> bool {
        !self.incoming_taken.swap(true, Ordering::Relaxed)
    }

    /// A number never used before on this connection, for tags and subscriptions.
    pub(crate) fn next_tag(&self) -> u64 {
        self.tags.fetch_add(1, Ordering::Relaxed)
    }

    /// Why the connection ended; `None` while it stands.
    pub(crate) fn ended_by(&self) -> Option<SdkError> {
        self.ended.borrow().clone()
    }

    /// What a caller is told whom the connection cannot serve.
    pub(crate) fn closed(&self) -> SdkError {
        self.ended_by().unwrap_or_else(|| SdkError::Closed("it is being closed".to_owned()))
    }

    /// Ends the connection cleanly; returns when it has ended.
    pub(crate) async fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        let all_answered = self.room.acquire_many(self.in_flight_max);
        let _no_more_sends = timeout(CLOSE_TIMEOUT, all_answered).await;
        let finish = async {
            if self.outgoing.send(Outgoing::End).await.is_ok() {
                let _ = self.ended.subscribe().wait_for(Option::is_some).await;
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, finish).await;
        self.end(SdkError::Closed("by this side".to_owned()));
    }

    /// Ends the connection without waiting: what is queued is still written if the writer keeps up.
    pub(crate) fn abandon(&self) {
        self.closing.store(true, Ordering::Relaxed);
        if self.outgoing.try_send(Outgoing::End).is_err() {
            self.end(SdkError::Closed("by this side".to_owned()));
        }
    }

    /// Ends every wait; the first reason given stays.
    fn end(&self, why: SdkError) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(why);
            }
            first
        });
        self.room.close();
        self.awaited().end();
        self.routes().end();
        self.streams().end();
    }

    fn streams(&self) -> MutexGuard<'_, StreamEnds> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn awaited(&self) -> MutexGuard<'_, Awaited> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn within<T>(
        &self,
        step: &'static str,
        wait: Duration,
        work: impl Future<Output = Result<T, SdkError>>,
    ) -> Result<T, SdkError> {
        let limit = self.command_timeout.saturating_add(wait);
        let late =
            |_| SdkError::TimedOut { step, after_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) };
        timeout(limit, work).await.map_err(late)?
    }
}
