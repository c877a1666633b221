//! Where deliveries go: a bounded queue for each subscription and for each message whose replies are awaited.
//!
//! A full queue never holds up the reader: what does not fit becomes a gap with its range.

use openmesh_message::Envelope;
use openmesh_message::frame::Delivery;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The subscription that every agent has to its own address.
const OWN_SUBSCRIPTION: u64 = 0;
/// Unread replies to one message.
const REPLIES_MAX: usize = 1_024;

/// The queues of one connection.
pub(crate) struct Routes {
    ended: bool,
    messages_max: usize,
    subscriptions: BTreeMap<u64, Arc<ArrivalQueue>>,
    replies: BTreeMap<String, Arc<ArrivalQueue>>,
}

/// What arrived for one reader and is unread; a gap stands where messages are missing.
pub(crate) struct ArrivalQueue {
    messages_max: usize,
    state: Mutex<Unread>,
    changed: Notify,
}

/// One thing that arrived.
#[derive(Debug, PartialEq)]
pub(crate) enum Arrived {
    Message { number: u64, envelope: Arc<Envelope> },
    Gap { first: u64, last: u64 },
}

#[derive(Default)]
struct Unread {
    arrived: VecDeque<Arrived>,
    ended: bool,
}

impl Routes {
    pub(crate) fn new(messages_max: usize) -> Self {
        let own = Arc::new(ArrivalQueue::new(messages_max));
        Self {
            ended: false,
            messages_max,
            subscriptions: BTreeMap::from([(OWN_SUBSCRIPTION, own)]),
            replies: BTreeMap::new(),
        }
    }

    pub(crate) fn open(&mut self, subscription: u64) -> Option<Arc<ArrivalQueue>> {
        if self.ended {
            return None;
        }
        let fresh = || Arc::new(ArrivalQueue::new(self.messages_max));
        let queue = self.subscriptions.entry(subscription).or_insert_with(fresh);
        Some(Arc::clone(queue))
    }

    pub(crate) fn close(&mut self, subscription: u64) -> bool {
        self.subscriptions.remove(&subscription).is_some()
    }

    pub(crate) fn await_replies<'a>(
        &mut self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Option<Arc<ArrivalQueue>> {
        if self.ended {
            return None;
        }
        let queue = Arc::new(ArrivalQueue::new(REPLIES_MAX));
        for id in ids {
            self.replies.insert(id.to_owned(), Arc::clone(&queue));
        }
        Some(queue)
    }

    pub(crate) fn forget_replies(&mut self, id: &str) {
        self.replies.remove(id);
    }

    pub(crate) fn deliver(&self, delivery: Delivery) {
        match delivery {
            Delivery::Message { subscription, number, envelope } => {
                if let Some(queue) = self.queue_for(subscription, &envelope) {
                    queue.push(Arrived::Message { number, envelope });
                }
            }
            Delivery::Gap { subscription, first, last } => {
                if let Some(queue) = self.subscriptions.get(&subscription) {
                    queue.push(Arrived::Gap { first, last });
                }
            }
        }
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
        let queues = self.subscriptions.values().chain(self.replies.values());
        queues.for_each(|queue| queue.end());
        self.subscriptions.clear();
        self.replies.clear();
    }

    fn queue_for(&self, subscription: u64, envelope: &Envelope) -> Option<&Arc<ArrivalQueue>> {
        let answered = envelope.attributes.get("inreplyto");
        if subscription == OWN_SUBSCRIPTION
            && let Some(queue) = answered.and_then(|id| self.replies.get(id))
        {
            return Some(queue);
        }
        self.subscriptions.get(&subscription)
    }
}

impl ArrivalQueue {
    fn new(messages_max: usize) -> Self {
        Self { messages_max: messages_max.max(1), state: Mutex::default(), changed: Notify::new() }
    }

    /// The next thing that arrived; `None` when the connection has ended and all is read. For one reader.
    pub(crate) async fn next(&self) -> Option<Arrived> {
        loop {
            if let Some(next) = self.try_next() {
                return next;
            }
            self.changed.notified().await;
        }
    }

    /// `None`: nothing yet.
    pub(crate) fn try_next(&self) -> Option<Option<Arrived>> {
        let mut state = self.state();
        match state.arrived.pop_front() {
            Some(next) => Some(Some(next)),
            None => state.ended.then_some(None),
        }
    }

    fn push(&self, next: Arrived) {
        {
            let mut state = self.state();
            if state.arrived.len() < self.messages_max {
                state.arrived.push_back(next);
            } else {
                state.miss(next.numbers());
            }
        }
        self.changed.notify_one();
    }

    fn end(&self) {
        self.state().ended = true;
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, Unread> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unread {
    /// A full queue grows by one gap at most, which takes in all that follows.
    fn miss(&mut self, (first, last): (u64, u64)) {
        if let Some(Arrived::Gap { last: end, .. }) = self.arrived.back_mut() {
            *end = last.max(*end);
            return;
        }
        self.arrived.push_back(Arrived::Gap { first, last });
    }
}

impl Arrived {
    const fn numbers(&self) -> (u64, u64) {
        match self {
            Self::Message { number, .. } => (*number, *number),
            Self::Gap { first, last } => (*first, *last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ArrivalQueue, Arrived};
    use openmesh_message::{Attributes, Envelope, Transit};
    use std::sync::Arc;

    fn message(number: u64) -> Arrived {
        let envelope = Arc::new(Envelope {
            attributes: Attributes::default(),
            payload: bytes::Bytes::new(),
            proof: None,
            transit: Transit::default(),
        });
        Arrived::Message { number, envelope }
    }

    #[test]
    fn a_full_queue_says_exactly_what_is_missing() {
        let queue = ArrivalQueue::new(3);
        (1..=10).for_each(|number| queue.push(message(number)));
        let numbers = |queue: &ArrivalQueue| queue.try_next().flatten().map(|next| next.numbers());
        assert_eq!(numbers(&queue), Some((1, 1)));
        // Three things are still unread, so that the next message lengthens the gap.
        queue.push(message(11));
        assert_eq!(numbers(&queue), Some((2, 2)));
        queue.push(message(12));
        queue.push(Arrived::Gap { first: 13, last: 20 });
        queue.push(message(21));
        let rest: Vec<_> = std::iter::from_fn(|| numbers(&queue)).collect();
        assert_eq!(rest, [(3, 3), (4, 11), (12, 12), (13, 21)]);
        queue.end();
        assert_eq!(queue.try_next(), Some(None));
    }
}
