//! How much waits in the lanes of deliveries, and how much may.

use openmesh_message::Priority;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

/// Whoever takes out need not tell anyone of room.
const OPEN: u8 = 0;
/// Somebody found too little room, and is to be told when the lane is half empty.
const ASKED: u8 = 1;
/// The same, and until then nothing more that is not kept is let in.
const SHUT: u8 = 2;

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

/// What a lane may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Most {
    pub(super) deliveries: usize,
    pub(super) bytes: usize,
}

/// What waits in all lanes of one connection; by itself, so that whoever passes by a shut lane touches nothing else.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    lanes: [Level; Priority::ALL.len()],
    /// Its reader has taken nothing for long.
    is_slow: AtomicBool,
}

/// What waits in one lane of deliveries.
#[derive(Debug, Default)]
pub(super) struct Level {
    deliveries: AtomicUsize,
    bytes: AtomicUsize,
    gate: AtomicU8,
}

impl Levels {
    pub(super) fn of(&self, lane: Priority) -> &Level {
        let [critical, urgent, normal, bulk] = &self.lanes;
        match lane {
            Priority::Critical => critical,
            Priority::Urgent => urgent,
            Priority::Normal => normal,
            Priority::Bulk => bulk,
        }
    }

    /// Deliveries that wait in a lane, and their bytes.
    #[cfg(test)]
    pub(crate) fn waiting(&self, lane: Priority) -> (usize, usize) {
        self.of(lane).waiting()
    }

    /// Bytes in all lanes.
    pub(super) fn bytes(&self) -> usize {
        self.lanes.iter().map(Level::bytes).sum()
    }

    /// Whether nothing that is not kept is let into a lane until it is half empty, at the cost of one load.
    pub(crate) fn is_shut(&self, lane: Priority) -> bool {
        self.of(lane).gate.load(Ordering::SeqCst) == SHUT
    }

    /// Whether its reader has taken nothing for long.
    pub(super) fn is_slow(&self) -> bool {
        self.is_slow.load(Ordering::Relaxed)
    }

    /// Notes whether its reader takes what is written.
    pub(super) fn note_slow(&self, is_slow: bool) {
        if self.is_slow() != is_slow {
            self.is_slow.store(is_slow, Ordering::Relaxed);
        }
    }
}

impl Most {
    /// What one lane holds where there is memory.
    pub(super) const fn of(lane: Priority) -> Self {
        match lane {
            Priority::Critical | Priority::Urgent | Priority::Bulk => {
                Self { deliveries: 1_024, bytes: 1024 * 1024 }
            }
            Priority::Normal => Self { deliveries: 8_192, bytes: 4 * 1024 * 1024 },
        }
    }
}

impl Level {
    /// How many deliveries of these sizes are taken. One is taken whatever its size.
    pub(super) fn room(&self, most: Most, sizes: impl Iterator<Item = usize>) -> Room {
        let (waiting, held) = self.waiting();
        let mut room = Room { deliveries: 0, bytes: 0, for_all: true };
        for size in sizes {
            let deliveries = waiting + room.deliveries;
            let fits = deliveries < most.deliveries && held + room.bytes + size <= most.bytes;
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

    /// Takes away what is gone.
    pub(super) fn sink(&self, deliveries: usize, bytes: usize) {
        self.deliveries.fetch_sub(deliveries, Ordering::SeqCst);
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// Has whoever takes out say when the lane is half empty.
    pub(super) fn ask_to_know(&self) {
        self.gate.fetch_max(ASKED, Ordering::SeqCst);
    }

    /// The same, and lets nothing more in until then.
    pub(super) fn shut(&self) {
        self.gate.store(SHUT, Ordering::SeqCst);
    }

    /// Lets things in again, before the lane is known to be half empty.
    pub(super) fn reopen(&self) {
        let _ = self.gate.compare_exchange(SHUT, ASKED, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Lets things in, if the lane is half empty; `true` if someone is to be told of it.
    pub(super) fn open(&self, most: Most) -> bool {
        let tells = self.gate.load(Ordering::SeqCst) != OPEN && self.is_low(most);
        tells && self.gate.swap(OPEN, Ordering::SeqCst) != OPEN
    }

    /// Whether the lane is half empty.
    pub(super) fn is_low(&self, most: Most) -> bool {
        let (deliveries, bytes) = self.waiting();
        deliveries <= most.deliveries / 2 && bytes <= most.bytes / 2
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
