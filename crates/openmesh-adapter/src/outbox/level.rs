//! How much waits in one lane of deliveries, and how much may.

use openmesh_message::Priority;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Room in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// For so many of the deliveries asked about.
    pub deliveries: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Whether that is all of them.
    pub for_all: bool,
}

/// What waits in one lane of deliveries.
#[derive(Debug, Default)]
pub(super) struct Level {
    deliveries: AtomicUsize,
    bytes: AtomicUsize,
    wants_to_know: AtomicBool,
}

/// Deliveries and bytes that one lane holds.
pub(super) const fn room_of(lane: Priority) -> (usize, usize) {
    match lane {
        Priority::Critical | Priority::Urgent | Priority::Bulk => (1_024, 1024 * 1024),
        Priority::Normal => (8_192, 4 * 1024 * 1024),
    }
}

impl Level {
    /// How many deliveries of these sizes are taken. One is taken whatever its size.
    pub(super) fn room(&self, lane: Priority, sizes: impl Iterator<Item = usize>) -> Room {
        let (deliveries_max, bytes_max) = room_of(lane);
        let (waiting, held) = self.waiting();
        let mut room = Room { deliveries: 0, bytes: 0, for_all: true };
        for size in sizes {
            let deliveries = waiting + room.deliveries;
            let fits = deliveries < deliveries_max && held + room.bytes + size <= bytes_max;
            if !fits && deliveries > 0 {
                return Room { for_all: false, ..room };
            }
            room.deliveries += 1;
            room.bytes += size;
        }
        room
    }

    /// Adds what is about to be sent.
    pub(super) fn count(&self, deliveries: usize, bytes: usize) {
        self.deliveries.fetch_add(deliveries, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Takes away what is gone; `true` if someone who found the lane full should be told of the room.
    pub(super) fn sink(&self, lane: Priority, deliveries: usize, bytes: usize) -> bool {
        self.deliveries.fetch_sub(deliveries, Ordering::SeqCst);
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.is_low(lane) && self.wants_to_know.swap(false, Ordering::SeqCst)
    }

    /// Has whoever takes out say when the lane is half empty.
    pub(super) fn ask_to_know(&self) {
        self.wants_to_know.store(true, Ordering::SeqCst);
    }

    /// Whether the lane is half empty.
    pub(super) fn is_low(&self, lane: Priority) -> bool {
        let (deliveries_max, bytes_max) = room_of(lane);
        let (deliveries, bytes) = self.waiting();
        deliveries <= deliveries_max / 2 && bytes <= bytes_max / 2
    }

    /// Deliveries that wait, and their bytes.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.deliveries.load(Ordering::SeqCst), self.bytes())
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }
}
