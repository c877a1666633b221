//! Subscriptions of one connection: live while it keeps up, from the log when it fell behind, with gaps told.
//!
//! A message that is not kept and finds no room is missed, and its number is reported. A kept one is read from
//! the log later: the subscription is then *behind*, and a task of its own hands over records while there is room, until it caught up.

use super::querying::Asking;
use super::reading::Reading;
use openmesh_adapter::{Batch, Matched, Outbox, Reader, counted, message_bytes};
use openmesh_core::{Begin, ConnectionId, Deliver};
use openmesh_message::limits::FRAME_BYTES_MAX;
use openmesh_message::{AgentId, Priority, Timestamp, TopicPattern};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The way to one connection.
pub(super) struct Channel {
    connection: ConnectionId,
    outbox: Outbox,
    asking: Asking,
    subscriptions: BTreeMap<u64, Subscription>,
    generations: u64,
}

/// What a subscription takes in, and who reads it.
#[derive(Clone)]
pub(super) struct DeliverTo {
    pub(super) connection: ConnectionId,
    pub(super) subscription: u64,
    /// Tells a subscription from an ended one that bore the same number.
    pub(super) generation: u64,
    pub(super) agent: AgentId,
    pub(super) pattern: TopicPattern,
    /// Nothing that was decided before.
    pub(super) since: Option<Timestamp>,
}

/// Where a subscription begins to read the log.
pub(super) struct ReadFrom {
    pub(super) subscription: u64,
    pub(super) agent: AgentId,
    pub(super) pattern: TopicPattern,
    pub(super) begin: Begin,
}

#[derive(Default)]
struct Subscription {
    generation: u64,
    /// Shared with the task that reads the log, and with shortcuts.
    matched: Arc<Matched>,
    behind: Option<Behind>,
    /// The last kept message that matched.
    matched_seq: u64,
    /// The last record that a task read for the subscription; its message may still come to be delivered live.
    read_seq: u64,
}

/// How far a subscription has read the log.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    /// Of the subscription that has read.
    pub(crate) generation: u64,
    /// The last record it has seen.
    pub(crate) through_seq: u64,
    /// Whether that is the end of what is synced; else there was no more room.
    pub(crate) to_the_end: bool,
}

struct Behind {
    to: DeliverTo,
    /// The last record seen; `None` until the time to begin with is found in the log.
    after_seq: Option<u64>,
    reading: bool,
}

impl Channel {
    pub(super) fn new(connection: ConnectionId, outbox: Outbox) -> Self {
        let asking = Asking::default();
        Self { connection, outbox, asking, subscriptions: BTreeMap::new(), generations: 0 }
    }

    pub(super) const fn asking(&self) -> &Asking {
        &self.asking
    }

    pub(super) const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub(super) fn send(&self, batch: Batch) {
        if !batch.is_empty() {
            // A closed outbox belongs to a connection whose end is on its way to the owner.
            let _ = self.outbox.send(batch);
        }
    }

    /// Hands over a message now, or notes that the subscription missed it or fell behind.
    pub(super) fn deliver(&mut self, deliver: Deliver, batch: &mut Batch) {
        let Deliver { subscription: id, seq, envelope, agent, pattern, lane, .. } = deliver;
        let (connection, outbox) = (self.connection, self.outbox.clone());
        let subscription = self.subscription(id);
        subscription.matched_seq = seq.unwrap_or(subscription.matched_seq);
        let was_read = seq.is_some_and(|seq| seq <= subscription.read_seq);
        if was_read || (seq.is_some() && subscription.behind.is_some()) {
            return;
        }
        if let (Some(seq), Some(pattern)) = (seq, pattern)
            && !outbox.has_room(lane, message_bytes(&envelope))
        {
            let to = subscription.deliver_to(connection, (id, agent, pattern));
            subscription.behind = Some(Behind { to, after_seq: Some(seq - 1), reading: false });
            return;
        }
        subscription.matched.offer((&outbox, id), lane, envelope, batch);
    }

    /// A subscription as shortcuts know it.
    pub(super) fn reader(&mut self, id: u64) -> Reader {
        let matched = Arc::clone(&self.subscription(id).matched);
        Reader { outbox: self.outbox.downgrade(), subscription: id, matched }
    }

    /// A subscription ended: a task that reads for it stops, and what waits for it is dropped.
    pub(super) fn end(&mut self, id: u64, reading: &Reading) {
        if let Some(subscription) = self.subscriptions.remove(&id) {
            subscription.matched.end();
        }
        if self.outbox.forget(id) {
            self.resume(reading);
        }
    }

    /// A subscription that begins with records kept before.
    pub(super) fn begin_behind(&mut self, from: ReadFrom, reading: &Reading) {
        let ReadFrom { subscription: id, agent, pattern, begin } = from;
        let connection = self.connection;
        let subscription = self.subscription(id);
        let mut to = subscription.deliver_to(connection, (id, agent, pattern));
        let after_seq = match begin {
            Begin::After(seq) => Some(seq),
            Begin::Since(time) => {
                to.since = Some(time);
                None
            }
        };
        subscription.behind = Some(Behind { to, after_seq, reading: false });
        self.read_on(reading);
    }

    fn subscription(&mut self, id: u64) -> &mut Subscription {
        self.generations += 1;
        let generation = self.generations;
        self.subscriptions.entry(id).or_insert_with(|| Subscription { generation, ..Subscription::default() })
    }

    /// There is room again: reports gaps, and has subscriptions that fell behind read the log.
    pub(super) fn resume(&mut self, reading: &Reading) {
        let mut batch = Batch::new();
        for (id, subscription) in &mut self.subscriptions {
            if self.outbox.has_room(Priority::Normal, 0) {
                let gaps = subscription.matched.take_gaps(*id);
                batch.extend(gaps.map(|gap| counted(&self.outbox, Priority::Normal, gap)));
            }
        }
        self.send(batch);
        self.read_on(reading);
    }

    /// A subscription has read up to a record: it is live again if that was the end and no more has matched since.
    pub(super) fn note_progress(&mut self, id: u64, progress: Progress, reading: &Reading) {
        let found = self.subscriptions.get_mut(&id);
        let Some(subscription) = found.filter(|found| found.generation == progress.generation) else {
            return;
        };
        let Some(behind) = &mut subscription.behind else { return };
        behind.after_seq = Some(progress.through_seq);
        behind.reading = false;
        subscription.read_seq = progress.through_seq;
        if progress.to_the_end && subscription.matched_seq <= progress.through_seq {
            subscription.behind = None;
        }
        self.read_on(reading);
    }

    /// Has subscriptions that are behind read the log, if the largest message there can be would find room.
    fn read_on(&mut self, reading: &Reading) {
        for subscription in self.subscriptions.values_mut() {
            let Some(behind) = &mut subscription.behind else { continue };
            if !behind.reading && self.outbox.has_room(Priority::Normal, FRAME_BYTES_MAX) {
                behind.reading = true;
                let matched = Arc::clone(&subscription.matched);
                reading.catch_up(behind.to.clone(), behind.after_seq, matched, &self.outbox);
            }
        }
    }
}

impl Drop for Channel {
    /// Tasks that read for a connection end with it.
    fn drop(&mut self) {
        for subscription in self.subscriptions.values() {
            subscription.matched.end();
        }
    }
}

impl Subscription {
    fn deliver_to(&self, connection: ConnectionId, to: (u64, AgentId, TopicPattern)) -> DeliverTo {
        let (subscription, agent, pattern) = to;
        let generation = self.generation;
        DeliverTo { connection, subscription, generation, agent, pattern, since: None }
    }
}
