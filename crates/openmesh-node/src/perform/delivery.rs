//! Subscriptions of one connection: live while it keeps up, from the log when it fell behind, with gaps told.
//!
//! A message that is not kept and finds no room is missed, and its number is reported. A kept one is read from
//! the log later: the subscription is then *behind*, and a task of its own hands over records until it caught up.

use super::reading::Reading;
use openmesh_adapter::{Batch, Outbox, Outgoing};
use openmesh_core::{ConnectionId, Deliver};
use openmesh_message::frame::Delivery;
use openmesh_message::{AgentId, TopicPattern};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The way to one connection.
pub(super) struct Channel {
    connection: ConnectionId,
    outbox: Outbox,
    subscriptions: BTreeMap<u64, Subscription>,
}

/// What a subscription takes in, and who reads it.
#[derive(Clone)]
pub(super) struct DeliverTo {
    pub(super) connection: ConnectionId,
    pub(super) subscription: u64,
    pub(super) agent: AgentId,
    pub(super) pattern: TopicPattern,
}

#[derive(Default)]
struct Subscription {
    /// Counts what matched; shared with the task that reads the log.
    numbers: Arc<AtomicU64>,
    missed: Option<(u64, u64)>,
    behind: Option<Behind>,
    /// The last kept message that matched.
    matched_seq: u64,
    /// The last record that a task read for the subscription; its message may still come to be delivered live.
    read_seq: u64,
}

struct Behind {
    to: DeliverTo,
    after_seq: u64,
    reading: bool,
}

impl Channel {
    pub(super) const fn new(connection: ConnectionId, outbox: Outbox) -> Self {
        Self { connection, outbox, subscriptions: BTreeMap::new() }
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
        let Deliver { subscription: id, seq, envelope, agent, pattern, .. } = deliver;
        let subscription = self.subscriptions.entry(id).or_default();
        subscription.matched_seq = seq.unwrap_or(subscription.matched_seq);
        let was_read = seq.is_some_and(|seq| seq <= subscription.read_seq);
        if was_read || (seq.is_some() && subscription.behind.is_some()) {
            return;
        }
        let bytes = envelope.payload.len() + envelope.attributes.bytes() + 256;
        if !self.outbox.has_room(bytes) {
            match (seq, pattern) {
                (Some(seq), Some(pattern)) => {
                    let to = DeliverTo { connection: self.connection, subscription: id, agent, pattern };
                    subscription.behind = Some(Behind { to, after_seq: seq - 1, reading: false });
                }
                _ => subscription.miss(),
            }
            return;
        }
        batch.extend(subscription.take_gap(id).map(|gap| counted(&self.outbox, gap)));
        let number = subscription.next_number();
        let message = Delivery::Message { subscription: id, number, envelope };
        batch.push(counted(&self.outbox, message));
    }

    /// A subscription that begins with records kept before.
    pub(super) fn begin_behind(&mut self, to: DeliverTo, after_seq: u64, reading: &Reading) {
        let subscription = self.subscriptions.entry(to.subscription).or_default();
        subscription.behind = Some(Behind { to, after_seq, reading: false });
        self.read_on(reading);
    }

    /// There is room again: reports gaps, and has subscriptions that fell behind read the log.
    pub(super) fn resume(&mut self, reading: &Reading) {
        let mut batch = Batch::new();
        for (id, subscription) in &mut self.subscriptions {
            if self.outbox.has_room(0) {
                batch.extend(subscription.take_gap(*id).map(|gap| counted(&self.outbox, gap)));
            }
        }
        self.send(batch);
        self.read_on(reading);
    }

    /// A subscription has read up to a record: it is live again unless more has matched since.
    pub(super) fn caught_up(&mut self, id: u64, through_seq: u64, reading: &Reading) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        let Some(behind) = &mut subscription.behind else { return };
        behind.after_seq = through_seq;
        subscription.read_seq = through_seq;
        behind.reading = false;
        if subscription.matched_seq <= through_seq {
            subscription.behind = None;
        }
        self.read_on(reading);
    }

    fn read_on(&mut self, reading: &Reading) {
        for subscription in self.subscriptions.values_mut() {
            let Some(behind) = &mut subscription.behind else { continue };
            if !behind.reading && self.outbox.has_room(0) {
                behind.reading = true;
                let numbers = Arc::clone(&subscription.numbers);
                reading.catch_up(behind.to.clone(), behind.after_seq, numbers, &self.outbox);
            }
        }
    }
}

impl Subscription {
    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn miss(&mut self) {
        let number = self.next_number();
        self.missed = Some(self.missed.map_or((number, number), |(first, _)| (first, number)));
    }

    fn take_gap(&mut self, subscription: u64) -> Option<Delivery> {
        let (first, last) = self.missed.take()?;
        Some(Delivery::Gap { subscription, first, last })
    }
}

/// A delivery whose room in the outbox is taken.
pub(super) fn counted(outbox: &Outbox, delivery: Delivery) -> Outgoing {
    let outgoing = Outgoing::Deliver(delivery);
    outbox.count(outgoing.delivery_bytes());
    outgoing
}
