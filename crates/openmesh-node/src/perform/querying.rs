//! Questions about the log: each is answered from a task of its own, at once or when a record comes.

mod beside;
mod candidates;
mod erasing;
mod page;
#[cfg(test)]
mod tests;

pub(super) use beside::Beside;
pub(crate) use candidates::index;
pub(super) use erasing::Wish;

use super::Kept;
use openmesh_adapter::{MeshHandle, Outbox, Outgoing};
use openmesh_core::{Question, Ticket};
use openmesh_message::Problem;
use openmesh_message::frame::{LogFilter, LogPage, Reply};
use page::Filling;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};

/// Questions of one connection that wait for a record.
const WAITING_OF_CONNECTION_MAX: usize = 64;
/// Questions that wait for a record, all connections together.
const WAITING_MAX: usize = 4_096;
/// Between two looks of one waiting question: records that come meanwhile are looked at together.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Answers questions about the log.
#[derive(Clone)]
pub(super) struct Querying {
    mesh: MeshHandle,
    kept: Kept,
    head: watch::Sender<u64>,
    waiting: Arc<Semaphore>,
}

/// What one connection may have waiting; its questions end with it.
pub(super) struct Asking {
    waiting: Arc<Semaphore>,
    life: watch::Sender<()>,
}

/// A page, and how far the log was looked at for it.
struct Looked {
    page: LogPage,
    through_seq: u64,
}

type Answered = Result<Looked, Box<Problem>>;

impl Default for Asking {
    fn default() -> Self {
        let waiting = Arc::new(Semaphore::new(WAITING_OF_CONNECTION_MAX));
        Self { waiting, life: watch::Sender::new(()) }
    }
}

impl Querying {
    pub(super) fn new(mesh: MeshHandle, kept: Kept) -> Self {
        let head = watch::Sender::new(kept.log.head_seq());
        Self { mesh, kept, head, waiting: Arc::new(Semaphore::new(WAITING_MAX)) }
    }

    /// Everything up to a record is synced.
    pub(super) fn note_head(&self, head_seq: u64) {
        self.head.send_replace(head_seq);
    }

    /// Answers a question, each record decided by policy.
    pub(super) fn answer(&self, ticket: Ticket, question: Question, asking: &Asking, outbox: &Outbox) {
        if question.wait_ms == 0 {
            return self.answer_at_once(ticket, question, outbox);
        }
        let querying = self.clone();
        let answer = answers(ticket, outbox);
        let (of_connection, mut life) = (Arc::clone(&asking.waiting), asking.life.subscribe());
        tokio::spawn(async move {
            let permits = (querying.waiting.try_acquire(), of_connection.try_acquire());
            let (Ok(_node), Ok(_connection)) = permits else { return answer(Err(too_many())) };
            tokio::select! {
                answered = querying.wait(question) => answer(answered),
                // The connection ended: nobody is there to answer.
                _ = life.changed() => {}
            }
        });
    }

    /// Answers a question that does not wait: here and now if little is asked for and little is to be looked at, else from a
    /// thread of its own.
    fn answer_at_once(&self, ticket: Ticket, question: Question, outbox: &Outbox) {
        let answer = answers(ticket, outbox);
        if let Some(looked) = self.look_briefly(&question) {
            return answer(Ok(looked));
        }
        let querying = self.clone();
        spawn_blocking(move || answer(querying.look(&question)));
    }

    /// What is found in a brief look, if it is all there is. To wake another thread would take longer.
    fn look_briefly(&self, question: &Question) -> Option<Looked> {
        let LogFilter { id, conversation, .. } = &question.filter;
        if id.is_none() && conversation.is_none() {
            return None;
        }
        let looked = Filling::new(&self.mesh.view(), question).briefly().fill(&self.kept).ok()?;
        looked.page.next_after_seq.is_none().then_some(looked)
    }

    /// Looks until there is something to show or the time is over.
    async fn wait(&self, mut question: Question) -> Answered {
        let mut head = self.head.subscribe();
        let until = Instant::now() + Duration::from_millis(question.wait_ms);
        // Beyond the head is: what comes from here on.
        question.after_seq = question.after_seq.min(self.kept.log.head_seq());
        loop {
            let (querying, asked) = (self.clone(), question.clone());
            let looked = spawn_blocking(move || querying.look(&asked)).await;
            let mut looked = looked.map_err(|_| Box::new(stopping()))??;
            let is_over = Instant::now() >= until;
            if !looked.page.records.is_empty() || is_over {
                looked.page.next_after_seq.get_or_insert(looked.through_seq);
                return Ok(looked);
            }
            question.after_seq = looked.through_seq;
            if looked.page.next_after_seq.is_some() {
                continue;
            }
            tokio::select! {
                grown = head.wait_for(|head| *head > looked.through_seq) => {
                    grown.map_err(|_| Box::new(stopping()))?;
                }
                () = sleep_until(until) => {}
            }
            sleep(LOOK_INTERVAL.min(until.saturating_duration_since(Instant::now()))).await;
        }
    }

    fn look(&self, question: &Question) -> Answered {
        Filling::new(&self.mesh.view(), question).fill(&self.kept)
    }
}

/// Hands over what came of a question.
fn answers(ticket: Ticket, outbox: &Outbox) -> impl FnOnce(Answered) + Send + use<> {
    let outbox = outbox.clone();
    move |answered| {
        let reply = answered.map(|looked| Reply::Log(looked.page)).map_err(|problem| *problem);
        let _ = outbox.send(vec![Outgoing::Reply(ticket.tag, reply)]);
    }
}

fn too_many() -> Box<Problem> {
    let why =
        format!("{WAITING_OF_CONNECTION_MAX} questions of a connection may wait, {WAITING_MAX} of a node");
    Box::new(Problem::new("query.too_many_waiting", why))
}

fn stopping() -> Problem {
    Problem::new("outcome.unknown", "the node is stopping")
}
