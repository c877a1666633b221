//! What the node still has to answer: sends, commands, pings. Dropping an entry tells its waiter that none will come.

use crate::{SdkError, Sent};
use openmesh_message::Digest;
use openmesh_message::frame::Reply;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

type CommandAnswer = Result<Reply, SdkError>;

/// Everything unanswered on one connection, by tag.
#[derive(Default)]
pub(crate) struct Awaited {
    ended: bool,
    sends: BTreeMap<u64, AwaitedSend>,
    commands: BTreeMap<u64, oneshot::Sender<CommandAnswer>>,
    pongs: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A send without its outcome; holds its place among those in flight until the node answers.
pub(crate) struct AwaitedSend {
    pub(crate) digest: Digest,
    answer: Option<oneshot::Sender<Sent>>,
    since: Instant,
    _room: OwnedSemaphorePermit,
}

impl Awaited {
    /// Each `await_…` returns `None` when the connection has ended.
    pub(crate) fn await_send(
        &mut self,
        tag: u64,
        digest: Digest,
        room: OwnedSemaphorePermit,
    ) -> Option<oneshot::Receiver<Sent>> {
        let (answer, waiter) = oneshot::channel();
        let send = AwaitedSend { digest, answer: Some(answer), since: Instant::now(), _room: room };
        (!self.ended).then(|| self.sends.insert(tag, send))?;
        Some(waiter)
    }

    pub(crate) fn await_command(&mut self, tag: u64) -> Option<oneshot::Receiver<CommandAnswer>> {
        let (answer, waiter) = oneshot::channel();
        (!self.ended).then(|| self.commands.insert(tag, answer))?;
        Some(waiter)
    }

    pub(crate) fn await_pong(&mut self, number: u64) -> Option<oneshot::Receiver<()>> {
        let (answer, waiter) = oneshot::channel();
        (!self.ended).then(|| self.pongs.insert(number, answer))?;
        Some(waiter)
    }

    pub(crate) fn take_send(&mut self, tag: u64) -> Option<AwaitedSend> {
        self.sends.remove(&tag)
    }

    pub(crate) fn answer_command(&mut self, tag: u64, answer: CommandAnswer) {
        if let Some(waiter) = self.commands.remove(&tag) {
            let _ = waiter.send(answer);
        }
    }

    pub(crate) fn answer_ping(&mut self, number: u64) {
        if let Some(waiter) = self.pongs.remove(&number) {
            let _ = waiter.send(());
        }
    }

    /// Tells those who waited longer than `limit` that the outcome is unknown, and forgets waiters who left.
    pub(crate) fn expire(&mut self, limit: Duration) {
        let now = Instant::now();
        for send in self.sends.values_mut() {
            if now.duration_since(send.since) < limit {
                break;
            }
            send.answer = None;
        }
        self.commands.retain(|_, waiter| !waiter.is_closed());
        self.pongs.retain(|_, waiter| !waiter.is_closed());
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.sends.clear();
        self.commands.clear();
        self.pongs.clear();
    }
}

impl AwaitedSend {
    pub(crate) fn answer(self, sent: Sent) {
        if let Some(waiter) = self.answer {
            let _ = waiter.send(sent);
        }
    }
}
