//! Where deliveries go: a bounded queue for each subscription and for each message whose replies are awaited.
//!
//! A full queue never holds up the reader: what does not fit becomes a gap with its ranges. Numbers may come out of order,
//! since what is urgent overtakes.

use openmesh_message::Envelope;
use openmesh_message::frame::Delivery;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The subscription that every agent has to its own address.
const OWN_SUBSCRIPTION: u64 = 0;
/// Ranges of one gap; beyond it the last one is taken to reach up to what is missed. No honest node gets there.
const RANGES_MAX: usize = 8_192;
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
    places: VecDeque<Place>,
    ended: bool,
}

/// A message, or all that was missed between two messages, as ranges by their first number.
enum Place {
    Message { number: u64, envelope: Arc<Envelope> },
    Missed(BTreeMap<u64, u64>),
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
        match state.next() {
            Some(next) => Some(Some(next)),
            None => state.ended.then_some(None),
        }
    }

    fn push(&self, next: Arrived) {
        {
            let mut state = self.state();
            match next {
                Arrived::Message { number, envelope } if state.places.len() < self.messages_max => {
                    state.places.push_back(Place::Message { number, envelope });
                }
                missed => state.miss(missed.numbers()),
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
    fn next(&mut self) -> Option<Arrived> {
        loop {
            match self.places.front_mut()? {
                Place::Missed(ranges) => {
                    if let Some((first, last)) = ranges.pop_first() {
                        return Some(Arrived::Gap { first, last });
                    }
                    self.places.pop_front();
                }
                Place::Message { .. } => {
                    let Some(Place::Message { number, envelope }) = self.places.pop_front() else {
                        continue;
                    };
                    return Some(Arrived::Message { number, envelope });
                }
            }
        }
    }

    /// A full queue grows by one place at most, which takes in all that is missed until it is read from.
    fn miss(&mut self, missed: (u64, u64)) {
        if let Some(Place::Missed(ranges)) = self.places.back_mut() {
            return join(ranges, missed);
        }
        self.places.push_back(Place::Missed(BTreeMap::from([missed])));
    }
}

/// Adds a range, joined with those it touches.
fn join(ranges: &mut BTreeMap<u64, u64>, (mut first, mut last): (u64, u64)) {
    let before = ranges.range(..=first).next_back().map(|(begin, end)| (*begin, *end));
    if let Some((begin, end)) = before
        && (end.saturating_add(1) >= first || ranges.len() >= RANGES_MAX)
    {
        (first, last) = (begin, last.max(end));
    }
    while let Some((begin, end)) = ranges.range(first..=last.saturating_add(1)).next().map(|(b, e)| (*b, *e))
    {
        ranges.remove(&begin);
        last = last.max(end);
    }
    ranges.insert(first, last);
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

    #[test]
    fn what_overtakes_is_neither_lost_nor_told_twice() {
        let queue = ArrivalQueue::new(2);
        // 4 and 8 overtake; 6 is delivered where there is room for it, and is no part of the gap around it.
        for number in [4, 1, 8, 2, 3] {
            queue.push(message(number));
        }
        let numbers = |queue: &ArrivalQueue| queue.try_next().flatten().map(|next| next.numbers());
        assert_eq!((numbers(&queue), numbers(&queue)), (Some((4, 4)), Some((1, 1))));
        queue.push(message(6));
        queue.push(message(5));
        queue.push(Arrived::Gap { first: 9, last: 12 });
        queue.push(message(7));
        let rest: Vec<_> = std::iter::from_fn(|| numbers(&queue)).collect();
        assert_eq!(rest, [(2, 3), (8, 8), (6, 6), (5, 5), (7, 7), (9, 12)]);
    }
}
