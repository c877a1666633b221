//! Lets effects happen, after the records they rest on are synced: receipts, replies, deliveries.

mod delivery;
mod querying;
mod reading;

use crate::journey::{Performing, count_leased};
pub(crate) use delivery::Progress;
use delivery::{Channel, ReadFrom};
use openmesh_adapter::{Answers, Batch, Lingering, MeshHandle, Outbox, Outgoing, ShortcutsByTopic};
use openmesh_core::{ConnectionId, Effect, Shorten, Ticket, View};
use openmesh_message::frame::{SendOutcome, StreamEvent};
use openmesh_message::{KeyPair, Problem, Receipt, ReceiptRun};
use openmesh_store::planted::{self, Planted};
use openmesh_store::{LogReader, Projection};
pub(crate) use querying::index;
use querying::{Beside, Querying, Wish};
use reading::Reading;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Performs plans towards the connections it was told of.
pub(crate) struct Performer {
    node: Arc<KeyPair>,
    mesh: MeshHandle,
    reading: Reading,
    querying: Querying,
    /// Kept alive for those who ask it.
    _beside: Arc<dyn Answers>,
    policy_file: PathBuf,
    shortcuts: ShortcutsByTopic,
    channels: BTreeMap<ConnectionId, Channel>,
    lingering: Lingering,
}

/// What is kept, for those who read it.
#[derive(Clone)]
pub(crate) struct Kept {
    /// All of it.
    pub(crate) log: LogReader,
    /// Where to find it.
    pub(crate) index: Arc<Projection>,
}

/// Receipts in one frame.
const RUN_MAX: usize = 256;

/// Receipts, each with the tag of its send.
type Tagged = Vec<(u64, Receipt)>;

/// Outgoing things of one commit, gathered by connection.
type Gathered = BTreeMap<ConnectionId, Batch>;

impl Performer {
    /// A performer that signs as `node` and reads what is kept.
    pub(crate) fn new(node: Arc<KeyPair>, mesh: MeshHandle, kept: Kept, policy_file: PathBuf) -> Self {
        let reading = Reading::new(Arc::clone(&node), mesh.clone(), kept.log.clone());
        let querying = Querying::new(mesh.clone(), kept);
        let beside: Arc<dyn Answers> = Arc::new(Beside(querying.clone()));
        mesh.answer_beside(Arc::downgrade(&beside));
        Self {
            node,
            mesh,
            reading,
            querying,
            _beside: beside,
            policy_file,
            shortcuts: ShortcutsByTopic::default(),
            channels: BTreeMap::new(),
            lingering: Lingering::default(),
        }
    }

    /// A connection was opened.
    pub(crate) fn open(&mut self, connection: ConnectionId, outbox: Outbox) {
        self.channels.insert(connection, Channel::new(connection, outbox));
    }

    /// A connection ended.
    pub(crate) fn close(&mut self, connection: ConnectionId) {
        self.channels.remove(&connection);
    }

    /// A connection's outbox has room again: what its subscriptions missed follows.
    pub(crate) fn resume(&mut self, connection: ConnectionId) {
        if let Some(channel) = self.channels.get_mut(&connection) {
            channel.resume(&self.reading);
        }
    }

    /// A subscription has read the log up to a record.
    pub(crate) fn read_on(&mut self, connection: ConnectionId, subscription: u64, progress: Progress) {
        if let Some(channel) = self.channels.get_mut(&connection) {
            channel.note_progress(subscription, progress, &self.reading);
        }
    }

    /// Everything up to a record is synced: questions that wait look again.
    pub(crate) fn note_head(&self, head_seq: u64) {
        self.querying.note_head(head_seq);
    }

    /// Publishes what admission reads.
    pub(crate) fn publish(&self, view: View) {
        self.mesh.publish(view);
    }

    /// What the rules say, or who is known, has changed: every message is to be decided again.
    pub(crate) fn end_shortcuts(&mut self) {
        self.shortcuts.end_every();
    }

    /// What a connection sent went to so many.
    pub(crate) fn charge(&self, connection: ConnectionId, readers: usize) {
        if let Some(channel) = self.channels.get(&connection) {
            channel.outbox().owe_for(readers);
        }
    }

    /// Performs effects whose records are synced, in order; their receipts share one signature.
    pub(crate) fn perform(&mut self, mut effects: Vec<Effect>, performing: Performing) {
        let mut gathered = self.vouch(&mut effects);
        let mut lingering = Gathered::new();
        for effect in effects {
            match effect {
                // Its receipt is among those signed together.
                Effect::Accept(..) => {}
                Effect::Pass { ticket, in_exchange } => {
                    let into = if in_exchange { &mut lingering } else { &mut gathered };
                    gather(into, ticket, SendOutcome::Passed);
                }
                Effect::Reject(ticket, rejection) => {
                    gather(&mut gathered, ticket, SendOutcome::Rejected(rejection.to_problem()));
                }
                Effect::Reply(ticket, reply) => {
                    let reply = reply.map_err(|rejection| rejection.to_problem());
                    gathered.entry(ticket.connection).or_default().push(Outgoing::Reply(ticket.tag, reply));
                }
                Effect::Deliver(deliver) => {
                    if let Some(channel) = self.channels.get_mut(&deliver.connection) {
                        let batch = gathered.entry(deliver.connection).or_default();
                        if deliver.seq.is_none() && planted::has(Planted::DeliverTwice) {
                            channel.deliver(deliver.clone(), batch);
                        }
                        channel.deliver(deliver, batch);
                    }
                }
                Effect::Stream(_, event) if is_lost(&event) => {}
                Effect::Stream(connection, event) => {
                    gathered.entry(connection).or_default().push(Outgoing::Stream(event));
                }
                Effect::Unsubscribe(connection, subscription) => {
                    if let Some(channel) = self.channels.get_mut(&connection) {
                        // What was gathered for it is dropped with all else that waits.
                        channel.send(gathered.remove(&connection).unwrap_or_default());
                        channel.end(subscription, &self.reading);
                    }
                }
                later => self.perform_later(later),
            }
        }
        performing.end();
        self.send(gathered, lingering);
    }

    /// Hands over what was gathered; of what lingers, that which has nothing to go with waits for it.
    fn send(&mut self, mut gathered: Gathered, lingering: Gathered) {
        for (connection, answers) in lingering {
            if let Some(batch) = gathered.get_mut(&connection) {
                batch.extend(answers);
            } else if let Some(channel) = self.channels.get(&connection) {
                self.lingering.send(channel.outbox(), answers);
            }
        }
        for (connection, batch) in gathered {
            if let Some(channel) = self.channels.get(&connection) {
                channel.send(batch);
            }
        }
    }

    /// Has answers written that have waited long enough for something to go with; how long others still may.
    pub(crate) fn write_lingering(&mut self) -> Option<Duration> {
        self.lingering.write_due()
    }

    /// Tells whom an effect would have told that nobody knows: the log never confirmed what it waited for.
    pub(crate) fn give_up(&self, effect: &Effect) {
        let outgoing = match effect {
            Effect::Accept(ticket, _) | Effect::AcceptAgain(ticket, _) | Effect::Pass { ticket, .. } => {
                Some((ticket, Outgoing::Outcome(ticket.tag, SendOutcome::Unknown)))
            }
            Effect::Reject(ticket, rejection) => {
                let outcome = SendOutcome::Rejected(rejection.to_problem());
                Some((ticket, Outgoing::Outcome(ticket.tag, outcome)))
            }
            Effect::Reply(ticket, _)
            | Effect::Lease { ticket, .. }
            | Effect::Peek { ticket, .. }
            | Effect::Erase { ticket, .. }
            | Effect::FetchReceipt(ticket, _) => {
                let problem = Problem::new("outcome.unknown", "the node cannot say whether this was kept");
                Some((ticket, Outgoing::Reply(ticket.tag, Err(problem))))
            }
            _ => None,
        };
        if let Some((ticket, outgoing)) = outgoing
            && let Some(channel) = self.channels.get(&ticket.connection)
        {
            channel.send(vec![outgoing]);
        }
    }

    /// Takes the receipts out of the effects, and signs them together: those of a connection side by side.
    fn vouch(&self, effects: &mut [Effect]) -> Gathered {
        let mut by_connection: BTreeMap<ConnectionId, Tagged> = BTreeMap::new();
        for effect in effects {
            if let Effect::Accept(ticket, receipt) = effect {
                let receipt = Receipt { logs: std::mem::take(&mut receipt.logs), ..*receipt };
                by_connection.entry(ticket.connection).or_default().push((ticket.tag, receipt));
            }
        }
        let (connections, runs): (Vec<_>, Vec<_>) = by_connection.into_iter().flat_map(in_runs).unzip();
        let mut gathered = Gathered::new();
        if runs.is_empty() {
            return gathered;
        }
        for (connection, run) in connections.into_iter().zip(ReceiptRun::sign_all(&self.node, runs)) {
            gathered.entry(connection).or_default().push(Outgoing::Receipts(run));
        }
        gathered
    }

    /// Effects that read the log or a file: each answers from a task of its own.
    fn perform_later(&mut self, effect: Effect) {
        match effect {
            Effect::AcceptAgain(ticket, taken) => self.answer(ticket, |channel, reading| {
                reading.accept_again(ticket, taken, channel.outbox());
            }),
            Effect::FetchReceipt(ticket, taken) => self.answer(ticket, |channel, reading| {
                reading.fetch_receipt(ticket, taken, channel.outbox());
            }),
            Effect::Lease { ticket, token, items } => self.answer(ticket, |channel, reading| {
                count_leased(items.len());
                reading.lease(ticket, token, items, channel.outbox());
            }),
            Effect::Peek { ticket, items, next_after_number } => self.answer(ticket, |channel, reading| {
                reading.peek(ticket, items, next_after_number, channel.outbox());
            }),
            Effect::Query { ticket, question } => {
                if let Some(channel) = self.channels.get(&ticket.connection) {
                    self.querying.answer(ticket, *question, channel.asking(), channel.outbox());
                }
            }
            Effect::Erase { ticket, agent, message, reason } => {
                if let Some(channel) = self.channels.get(&ticket.connection) {
                    let wish = Wish { ticket, agent, message, reason };
                    self.querying.erase(wish, channel.outbox());
                }
            }
            Effect::CatchUp { connection, subscription, agent, pattern, begin } => {
                if let Some(channel) = self.channels.get_mut(&connection) {
                    let from = ReadFrom { subscription, agent, pattern, begin };
                    channel.begin_behind(from, &self.reading);
                }
            }
            Effect::Shorten(shorten) => self.shorten(shorten),
            Effect::EndShortcuts(pattern) => self.shortcuts.end(&pattern),
            Effect::ReloadPolicy(ticket) => {
                let file = self.policy_file.clone();
                self.answer(ticket, |channel, reading| reading.reload_policy(ticket, file, channel.outbox()));
            }
            _ => {}
        }
    }

    /// Messages of a form go to those readers without being decided one by one.
    fn shorten(&mut self, shorten: Shorten) {
        let Self { channels, shortcuts, .. } = self;
        let Some(outbox) = channels.get(&shorten.connection).map(|channel| channel.outbox().clone()) else {
            return;
        };
        shortcuts.give(&outbox, shorten, |(connection, subscription)| {
            channels.get_mut(&connection).map(|channel| channel.reader(subscription))
        });
    }

    fn answer(&self, ticket: Ticket, answer: impl FnOnce(&Channel, &Reading)) {
        if let Some(channel) = self.channels.get(&ticket.connection) {
            answer(channel, &self.reading);
        }
    }
}

/// Whether the bug that loses items of streams is planted, and this one is lost.
fn is_lost(event: &StreamEvent) -> bool {
    let StreamEvent::Item { item, .. } = event else { return false };
    planted::has(Planted::LoseStreamItem) && item.len().is_multiple_of(97)
}

/// As many of a connection's receipts at a time as go into a frame.
fn in_runs((connection, mut receipts): (ConnectionId, Tagged)) -> Vec<(ConnectionId, Tagged)> {
    let mut runs = Vec::with_capacity(receipts.len().div_ceil(RUN_MAX));
    while receipts.len() > RUN_MAX {
        let later = receipts.split_off(RUN_MAX);
        runs.push((connection, std::mem::replace(&mut receipts, later)));
    }
    runs.push((connection, receipts));
    runs
}

fn gather(gathered: &mut Gathered, ticket: Ticket, outcome: SendOutcome) {
    gathered.entry(ticket.connection).or_default().push(Outgoing::Outcome(ticket.tag, outcome));
}
