//! What waits for one connection, and which of it goes next.

use super::{
    ANSWERS_MAX, Outgoing, PATIENCE, STREAM_EVENTS_MAX, TAKEN_BYTES_MAX, TAKEN_MAX, alike_bytes,
    delivery_bytes,
};
use crate::matched::count_missed;
use openmesh_message::Priority;
use openmesh_message::frame::{Delivery, RunDelivery};
use std::collections::{BTreeMap, VecDeque};

/// Bytes of a receipt on its way, about.
const RECEIPT_BYTES_ABOUT: usize = 192;

/// Deliveries and their bytes, by lane.
pub(super) type Taken = [(usize, usize); Priority::ALL.len()];

/// The place of streams among the lanes: after what is urgent, before what is normal.
const STREAMS: usize = 1 + Priority::Normal as usize;

/// A lane for answers, one for the deliveries of each priority, and one for streams.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: [Lane; 2 + Priority::ALL.len()],
    lost_of_a_stream: bool,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Outgoing>,
    /// How often in a row something more urgent went first.
    passed: u32,
}

impl Lanes {
    /// `false` if there is no room: then there are more answers than can be owed, or pings.
    pub(super) fn push(&mut self, outgoing: Outgoing) -> bool {
        let place = match &outgoing {
            Outgoing::Deliver(lane, _) | Outgoing::DeliverRun(lane, _) => place_of(*lane),
            Outgoing::Stream(_) => STREAMS,
            _ => 0,
        };
        let Some(lane) = self.lanes.get_mut(place) else { return false };
        let fits = match place {
            0 => lane.waiting.len() < ANSWERS_MAX,
            STREAMS => lane.waiting.len() < STREAM_EVENTS_MAX,
            _ => true,
        };
        if fits {
            lane.waiting.push_back(outgoing);
        }
        self.lost_of_a_stream |= !fits && place == STREAMS;
        fits
    }

    /// Whether there was no room for something of a stream.
    pub(super) const fn lost_of_a_stream(&self) -> bool {
        self.lost_of_a_stream
    }

    /// What goes next, up to a bound; adds the deliveries among it to `taken`.
    pub(super) fn take(&mut self, taken: &mut Taken) -> Vec<Outgoing> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < TAKEN_MAX
            && bytes < TAKEN_BYTES_MAX
            && let Some(outgoing) = self.next()
        {
            bytes += note(&outgoing, taken);
            batch.push(outgoing);
        }
        batch
    }

    /// Drops the deliveries of a subscription; how many they were.
    pub(super) fn forget(&mut self, ended: u64) -> Taken {
        let mut gone = Taken::default();
        for lane in &mut self.lanes {
            lane.waiting.retain(|outgoing| {
                let drops = subscription_of(outgoing) == Some(ended);
                if drops {
                    note(outgoing, &mut gone);
                }
                !drops
            });
        }
        gone
    }

    /// Puts word of what is missed in the place of what is not kept; what goes, and what is said of it.
    pub(super) fn miss(&mut self) -> (Taken, Taken) {
        let (mut gone, mut said) = (Taken::default(), Taken::default());
        for lane in &mut self.lanes {
            let mut left = VecDeque::new();
            // By subscription, where the last word of it is.
            let mut words: BTreeMap<u64, usize> = BTreeMap::new();
            for outgoing in std::mem::take(&mut lane.waiting) {
                let Some((priority, gap)) = gap_of(&outgoing) else {
                    left.push_back(outgoing);
                    continue;
                };
                note(&outgoing, &mut gone);
                let before = words.get(&gap.subscription).and_then(|place| left.get_mut(*place));
                if !before.is_some_and(|before| gap.goes_on(before)) {
                    words.insert(gap.subscription, left.len());
                    let word = gap.into_outgoing(priority);
                    note(&word, &mut said);
                    left.push_back(word);
                }
            }
            lane.waiting = left;
        }
        (gone, said)
    }

    fn next(&mut self) -> Option<Outgoing> {
        let is_impatient = |lane: &Lane| !lane.waiting.is_empty() && lane.passed >= PATIENCE;
        let impatient = self.lanes.iter().rposition(is_impatient);
        let place = impatient.or_else(|| self.lanes.iter().position(|lane| !lane.waiting.is_empty()))?;
        let (lane, later) = self.lanes.get_mut(place..)?.split_first_mut()?;
        lane.passed = 0;
        for waiting in later.iter_mut().filter(|lane| !lane.waiting.is_empty()) {
            waiting.passed += 1;
        }
        lane.waiting.pop_front()
    }
}

/// Numbers of one subscription in a row that are missed.
struct Gap {
    subscription: u64,
    first: u64,
    last: u64,
}

/// What is missed if a delivery goes that is not kept, or that is word of what was missed before.
fn gap_of(outgoing: &Outgoing) -> Option<(Priority, Gap)> {
    match outgoing {
        Outgoing::Deliver(lane, Delivery::Message { subscription, number, envelope })
            if envelope.transit.position.is_none() =>
        {
            count_missed(1);
            Some((*lane, Gap { subscription: *subscription, first: *number, last: *number }))
        }
        Outgoing::Deliver(lane, Delivery::Gap { subscription, first, last }) => {
            Some((*lane, Gap { subscription: *subscription, first: *first, last: *last }))
        }
        Outgoing::DeliverRun(lane, RunDelivery { subscription, number, messages, .. }) => {
            count_missed(*messages as u64);
            let last = number + (*messages as u64).saturating_sub(1);
            Some((*lane, Gap { subscription: *subscription, first: *number, last }))
        }
        _ => None,
    }
}

impl Gap {
    /// Has word of what was missed go on to the end of this, if this is what comes next.
    const fn goes_on(&self, before: &mut Outgoing) -> bool {
        match before {
            Outgoing::Deliver(_, Delivery::Gap { last, .. }) if *last + 1 == self.first => {
                *last = self.last;
                true
            }
            _ => false,
        }
    }

    const fn into_outgoing(self, lane: Priority) -> Outgoing {
        let Self { subscription, first, last } = self;
        Outgoing::Deliver(lane, Delivery::Gap { subscription, first, last })
    }
}

const fn place_of(lane: Priority) -> usize {
    let place = 1 + lane as usize;
    if place < STREAMS { place } else { place + 1 }
}

/// The deliveries of a batch, counted.
pub(super) fn taken_by(batch: &[Outgoing]) -> Taken {
    let mut taken = Taken::default();
    for outgoing in batch {
        note(outgoing, &mut taken);
    }
    taken
}

/// Adds deliveries to those counted; the bytes of what there may be much of.
fn note(outgoing: &Outgoing, counted: &mut Taken) -> usize {
    let (lane, count, size) = match outgoing {
        Outgoing::Deliver(lane, delivery) => (lane, 1, delivery_bytes(delivery)),
        Outgoing::DeliverRun(lane, run) => (lane, run.messages, run.sizes().map(alike_bytes).sum()),
        Outgoing::Stream(event) => return event.bytes(),
        Outgoing::Receipts(run) => return run.len() * RECEIPT_BYTES_ABOUT,
        _ => return 0,
    };
    if let Some((deliveries, bytes)) = counted.get_mut(*lane as usize) {
        *deliveries += count;
        *bytes += size;
    }
    size
}

const fn subscription_of(outgoing: &Outgoing) -> Option<u64> {
    match outgoing {
        Outgoing::Deliver(_, Delivery::Message { subscription, .. } | Delivery::Gap { subscription, .. })
        | Outgoing::DeliverRun(_, RunDelivery { subscription, .. }) => Some(*subscription),
        _ => None,
    }
}
