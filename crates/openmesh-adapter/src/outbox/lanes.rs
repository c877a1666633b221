//! What waits for one connection, and which of it goes next.

use super::{ANSWERS_MAX, Outgoing, PATIENCE, TAKEN_BYTES_MAX, TAKEN_MAX, delivery_bytes};
use openmesh_message::Priority;
use openmesh_message::frame::Delivery;
use std::collections::VecDeque;

/// Bytes of a receipt on its way, about.
const RECEIPT_BYTES_ABOUT: usize = 192;

/// Deliveries and their bytes, by lane.
pub(super) type Taken = [(usize, usize); Priority::ALL.len()];

/// A lane for answers, and one for the deliveries of each priority.
#[derive(Debug, Default)]
pub(super) struct Lanes([Lane; 1 + Priority::ALL.len()]);

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
            Outgoing::Deliver(lane, _) => 1 + *lane as usize,
            _ => 0,
        };
        let Some(lane) = self.0.get_mut(place) else { return false };
        let fits = place > 0 || lane.waiting.len() < ANSWERS_MAX;
        if fits {
            lane.waiting.push_back(outgoing);
        }
        fits
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
        for lane in &mut self.0 {
            lane.waiting.retain(|outgoing| {
                let drops = matches!(outgoing, Outgoing::Deliver(_, delivery) if is_of(delivery, ended));
                if drops {
                    note(outgoing, &mut gone);
                }
                !drops
            });
        }
        gone
    }

    fn next(&mut self) -> Option<Outgoing> {
        let is_impatient = |lane: &Lane| !lane.waiting.is_empty() && lane.passed >= PATIENCE;
        let impatient = self.0.iter().rposition(is_impatient);
        let place = impatient.or_else(|| self.0.iter().position(|lane| !lane.waiting.is_empty()))?;
        let (lane, later) = self.0.get_mut(place..)?.split_first_mut()?;
        lane.passed = 0;
        for waiting in later.iter_mut().filter(|lane| !lane.waiting.is_empty()) {
            waiting.passed += 1;
        }
        lane.waiting.pop_front()
    }
}

/// Adds a delivery to those counted; the bytes of what there may be much of.
fn note(outgoing: &Outgoing, counted: &mut Taken) -> usize {
    let (lane, delivery) = match outgoing {
        Outgoing::Deliver(lane, delivery) => (lane, delivery),
        Outgoing::Receipts(run) => return run.len() * RECEIPT_BYTES_ABOUT,
        _ => return 0,
    };
    let size = delivery_bytes(delivery);
    if let Some((deliveries, bytes)) = counted.get_mut(*lane as usize) {
        *deliveries += 1;
        *bytes += size;
    }
    size
}

const fn is_of(delivery: &Delivery, ended: u64) -> bool {
    match delivery {
        Delivery::Message { subscription, .. } | Delivery::Gap { subscription, .. } => *subscription == ended,
    }
}
