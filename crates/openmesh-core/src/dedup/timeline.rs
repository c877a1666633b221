//! Slots of a table in the order of their times: chunks, so that what comes late finds its place among few.

use std::collections::VecDeque;

/// Slots of one chunk.
const CHUNK_SLOTS: usize = 512;

/// Slots in order. Asks the table for the order of slots.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    chunks: VecDeque<VecDeque<u32>>,
    slots: usize,
}

impl Timeline {
    pub(super) const fn len(&self) -> usize {
        self.slots
    }

    pub(super) fn first(&self) -> Option<u32> {
        self.chunks.front()?.front().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.chunks.iter().flatten().copied()
    }

    pub(super) fn pop_first(&mut self) -> Option<u32> {
        let chunk = self.chunks.front_mut()?;
        let slot = chunk.pop_front();
        if chunk.is_empty() {
            self.chunks.pop_front();
        }
        self.slots -= usize::from(slot.is_some());
        slot
    }

    /// Takes in a slot whose place in the order is `order`.
    pub(super) fn insert(&mut self, slot: u32, order: (i64, u64), order_of: impl Fn(u32) -> (i64, u64)) {
        self.slots += 1;
        let begins_before =
            |chunk: &VecDeque<u32>| chunk.front().is_some_and(|first| order_of(*first) <= order);
        let is_last = self.chunks.back().is_none_or(begins_before);
        let after = if is_last { self.chunks.len() } else { self.chunks.partition_point(begins_before) };
        let at = after.saturating_sub(1);
        let goes_last = |chunk: &VecDeque<u32>| chunk.back().is_some_and(|last| order_of(*last) <= order);
        let Some(chunk) = self.chunks.get_mut(at) else { return self.chunks.push_back(with_slot(slot)) };
        let place = if goes_last(chunk) {
            chunk.len()
        } else {
            chunk.partition_point(|other| order_of(*other) <= order)
        };
        if chunk.len() < CHUNK_SLOTS {
            return chunk.insert(place, slot);
        }
        if is_last && place == CHUNK_SLOTS {
            return self.chunks.push_back(with_slot(slot));
        }
        let mut later = chunk.split_off(CHUNK_SLOTS / 2);
        match place.checked_sub(CHUNK_SLOTS / 2) {
            Some(place) => later.insert(place, slot),
            None => chunk.insert(place, slot),
        }
        self.chunks.insert(at + 1, later);
    }
}

fn with_slot(slot: u32) -> VecDeque<u32> {
    VecDeque::from([slot])
}
