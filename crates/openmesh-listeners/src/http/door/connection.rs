//! A line to the partition's owner: what is sent on it and asked over it is matched with its answers by tag.

use super::{busy, unknown};
use crate::admission::Admission;
use crate::http::problem::Failure;
use crate::toll::Toll;
use openmesh_adapter::{Entrance, Event, MeshHandle, Outbox, OutboxReader, Outgoing};
use openmesh_core::admit::Familiar;
use openmesh_core::{ConnectionId, Input, Rejection, Ticket};
use openmesh_message::frame::{Command, Delivery, Reply, SendOutcome, Sent as SentInFrame};
use openmesh_message::{AgentId, Envelope};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Sends and commands of one line that may be unanswered at a time.
const IN_FLIGHT_MAX: usize = 4_096;
/// Deliveries handed on to a stream that waits to be read.
const HANDED_ON_MAX: usize = 64;

/// A connection of an agent that HTTP keeps for it.
pub(crate) struct Line {
    id: ConnectionId,
    agent: AgentId,
    mesh: MeshHandle,
    entrance: Entrance,
    tags: AtomicU64,
    waiting: Arc<Waiting>,
    admitting: Mutex<(Familiar, Toll)>,
    outbox: Outbox,
}

#[derive(Default)]
struct Waiting(Mutex<BTreeMap<u64, oneshot::Sender<Outgoing>>>);

/// An answer awaited; its tag is given up when the caller goes away.
struct Awaited {
    tag: u64,
    answer: oneshot::Receiver<Outgoing>,
    waiting: Arc<Waiting>,
}

/// Messages that were sent and whose outcomes are awaited.
pub(crate) struct Sent(Vec<Awaited>);

impl Line {
    /// Opens a line that only asks and sends; no message is handed over on it.
    pub(super) async fn open(agent: AgentId, mesh: &MeshHandle) -> Result<Arc<Self>, Failure> {
        let (line, reader) = Self::tell_opened(agent, false, mesh).await?;
        let (mesh, id, waiting) = (mesh.clone(), line.id, Arc::clone(&line.waiting));
        tokio::spawn(async move { answer_all(reader, &mesh, id, &waiting, None).await });
        Ok(line)
    }

    /// Opens a line of a stream: what its subscriptions match is handed on in order, and what the agent is sent
    /// if it `receives`.
    pub(crate) async fn open_stream(
        agent: AgentId,
        receives: bool,
        mesh: &MeshHandle,
    ) -> Result<(Arc<Self>, mpsc::Receiver<Delivery>), Failure> {
        let (line, reader) = Self::tell_opened(agent, receives, mesh).await?;
        let (handed_on, deliveries) = mpsc::channel(HANDED_ON_MAX);
        let (mesh, id, waiting) = (mesh.clone(), line.id, Arc::clone(&line.waiting));
        tokio::spawn(async move { answer_all(reader, &mesh, id, &waiting, Some(handed_on)).await });
        Ok((line, deliveries))
    }

    async fn tell_opened(
        agent: AgentId,
        receives: bool,
        mesh: &MeshHandle,
    ) -> Result<(Arc<Self>, OutboxReader), Failure> {
        let (outbox, reader) = Outbox::under(mesh.load());
        let id = mesh.next_connection();
        let opened = Event::Opened { connection: id, agent, receives, outbox: outbox.clone() };
        mesh.tell(opened).await.map_err(|_| busy())?;
        let line = Self {
            id,
            agent,
            mesh: mesh.clone(),
            entrance: mesh.entrance(id),
            tags: AtomicU64::new(1),
            waiting: Arc::default(),
            admitting: Mutex::new((Familiar::default(), Toll::of(agent, mesh))),
            outbox,
        };
        Ok((Arc::new(line), reader))
    }

    /// Whether the owner has let go of it.
    pub(super) fn is_closed(&self) -> bool {
        self.outbox.is_closed()
    }

    /// Gives a command and awaits its reply.
    pub(crate) async fn ask(&self, command: Command) -> Result<Reply, Failure> {
        self.admitting().1.let_command_in(&command, &self.mesh).map_err(|problem| Failure::from(*problem))?;
        let awaited = self.expect()?;
        let ticket = Ticket { connection: self.id, tag: awaited.tag };
        self.submit(vec![Input::Command { ticket, command: Box::new(command) }]).await?;
        match awaited.end().await? {
            Outgoing::Reply(_, Ok(reply)) => Ok(reply),
            Outgoing::Reply(_, Err(problem)) => Err(problem.into()),
            _ => Err(unknown()),
        }
    }

    /// Admits and sends messages; how each ended is awaited later.
    pub(crate) async fn start(&self, messages: Vec<Envelope>) -> Result<Sent, Failure> {
        let mut awaited = Vec::with_capacity(messages.len());
        let mut tagged = Vec::with_capacity(messages.len());
        for envelope in messages {
            let expected = self.expect()?;
            tagged.push((expected.tag, envelope));
            awaited.push(expected);
        }
        let inputs = self.admit(tagged);
        if !inputs.is_empty() {
            self.submit(inputs).await?;
        }
        Ok(Sent(awaited))
    }

    /// Admits the messages that are let in, and answers the others.
    fn admit(&self, messages: Vec<(u64, Envelope)>) -> Vec<Input> {
        let mut sent = SentInFrame { messages, ..SentInFrame::default() };
        let admission = Admission::of(self.agent, &self.mesh);
        let mut admitting = self.admitting();
        let (familiar, toll) = &mut *admitting;
        for refused in toll.turn_away(&mut sent, &admission, familiar, &self.outbox) {
            if let Outgoing::Outcome(tag, _) = refused {
                self.waiting.end(tag, refused);
            }
        }
        let ticket = |tag| Ticket { connection: self.id, tag };
        sent.into_messages()
            .into_iter()
            .map(|(tag, envelope)| admission.admit(ticket(tag), envelope.into(), familiar))
            .collect()
    }

    /// Sends messages and awaits how each ended.
    pub(crate) async fn send(
        &self,
        messages: Vec<Envelope>,
    ) -> Result<Vec<Result<SendOutcome, Failure>>, Failure> {
        Ok(self.start(messages).await?.outcomes().await)
    }

    /// Tells the owner that the line is no more; its answers are then nobody's.
    pub(super) async fn close(&self) {
        let _ = self.mesh.tell(Event::Closed(self.id)).await;
    }

    fn expect(&self) -> Result<Awaited, Failure> {
        let tag = self.tags.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        if waiting.len() >= IN_FLIGHT_MAX {
            return Err(busy());
        }
        waiting.insert(tag, sender);
        drop(waiting);
        Ok(Awaited { tag, answer, waiting: Arc::clone(&self.waiting) })
    }

    async fn submit(&self, inputs: Vec<Input>) -> Result<(), Failure> {
        self.entrance.submit(inputs).await.map_err(|_| Rejection::Busy.into())
    }

    fn admitting(&self) -> MutexGuard<'_, (Familiar, Toll)> {
        self.admitting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Line {
    /// A line that is dropped without being closed is closed by a task of its own.
    fn drop(&mut self) {
        if self.outbox.is_closed() {
            return;
        }
        let (mesh, id) = (self.mesh.clone(), self.id);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { mesh.tell(Event::Closed(id)).await });
        }
    }
}

impl Sent {
    /// How each ended, in the order they were sent.
    pub(crate) async fn outcomes(self) -> Vec<Result<SendOutcome, Failure>> {
        let mut outcomes = Vec::with_capacity(self.0.len());
        for expected in self.0 {
            outcomes.push(match expected.end().await {
                Ok(Outgoing::Outcome(_, outcome)) => Ok(outcome),
                Ok(_) => Err(unknown()),
                Err(failure) => Err(failure),
            });
        }
        outcomes
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Outgoing>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, tag: u64, outgoing: Outgoing) {
        let waiting = self.lock().remove(&tag);
        if let Some(waiting) = waiting {
            // A caller that went away has no use for its answer.
            let _ = waiting.send(outgoing);
        }
    }
}

impl Awaited {
    async fn end(mut self) -> Result<Outgoing, Failure> {
        (&mut self.answer).await.map_err(|_| unknown())
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.tag);
    }
}

/// Hands deliveries on to whoever reads them; `false` if they are no longer read.
async fn hand_on(
    reader: Option<&mpsc::Sender<Delivery>>,
    deliveries: impl Iterator<Item = Delivery>,
) -> bool {
    let Some(reader) = reader else { return true };
    for delivery in deliveries {
        if reader.send(delivery).await.is_err() {
            return false;
        }
    }
    true
}

/// Reads a line's outbox until its owner lets go of it, or its stream is no longer read.
async fn answer_all(
    mut outbox: OutboxReader,
    mesh: &MeshHandle,
    id: ConnectionId,
    waiting: &Waiting,
    handed_on: Option<mpsc::Sender<Delivery>>,
) {
    while let Some(batch) = outbox.next().await {
        let tracer = mesh.tracing().listened_to();
        for outgoing in batch {
            let mut delivering = Vec::new();
            if let Some(tracer) = tracer {
                tracer.delivering(id, &outgoing, &mut delivering);
            }
            match outgoing {
                Outgoing::Outcome(tag, _) | Outgoing::Reply(tag, _) => waiting.end(tag, outgoing),
                Outgoing::Receipts(run) => {
                    for (tag, receipt) in run.open().map(|run| run.receipts).unwrap_or_default() {
                        waiting.end(tag, Outgoing::Outcome(tag, SendOutcome::Accepted(receipt)));
                    }
                }
                Outgoing::Passed(first, count) => {
                    for tag in first..first + count {
                        waiting.end(tag, Outgoing::Outcome(tag, SendOutcome::Passed));
                    }
                }
                Outgoing::Deliver(_, delivery) => {
                    let handing_on = hand_on(handed_on.as_ref(), std::iter::once(delivery));
                    if !outbox.patiently(handing_on).await {
                        let _ = mesh.tell(Event::Closed(id)).await;
                        return;
                    }
                }
                Outgoing::DeliverRun(_, run) => {
                    if !outbox.patiently(hand_on(handed_on.as_ref(), run.deliveries())).await {
                        let _ = mesh.tell(Event::Closed(id)).await;
                        return;
                    }
                }
                Outgoing::Stream(_) | Outgoing::Pong(_) | Outgoing::Goodbye(_) => {}
            }
        }
        if outbox.written() && mesh.tell(Event::Drained(id)).await.is_err() {
            return;
        }
    }
    // Whoever still waits will get no answer.
    waiting.lock().clear();
}
