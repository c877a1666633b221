//! Slots of a table in the order of their times: chunks, so that what comes late finds its place among few. Slots that
//! were given in the order of times, as nearly all are, take no room of their own.

use std::collections::VecDeque;

/// Slots of one chunk.
const CHUNK_SLOTS: usize = 512;

/// Slots in order. Asks the table for the order of slots.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    chunks: VecDeque<Chunk>,
    slots: usize,
}

/// Some slots in order.
#[derive(Clone, Debug)]
enum Chunk {
    /// Each follows the one before.
    Run { first: u32, slots: usize },
    /// Any.
    List(VecDeque<u32>),
}

impl Timeline {
    pub(super) const fn len(&self) -> usize {
        self.slots
    }

    pub(super) fn first(&self) -> Option<u32> {
        self.chunks.front()?.first()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.chunks.iter().flat_map(Chunk::iter)
    }

    pub(super) fn pop_first(&mut self) -> Option<u32> {
        let chunk = self.chunks.front_mut()?;
        let slot = chunk.pop_first();
        if chunk.len() == 0 {
            self.chunks.pop_front();
        }
        self.slots -= usize::from(slot.is_some());
        slot
    }

    /// Takes in a slot whose place in the order is `order`.
    pub(super) fn insert(&mut self, slot: u32, order: (i64, u64), order_of: impl Fn(u32) -> (i64, u64)) {
        self.slots += 1;
        let is_before = |other: u32| order_of(other) <= order;
        let begins_before = |chunk: &Chunk| chunk.first().is_some_and(is_before);
        let is_last = self.chunks.back().is_none_or(begins_before);
        let after = if is_last { self.chunks.len() } else { self.chunks.partition_point(begins_before) };
        let at = after.saturating_sub(1);
        let Some(chunk) = self.chunks.get_mut(at) else { return self.chunks.push_back(Chunk::of(slot)) };
        let place = chunk.place(is_before);
        if chunk.len() < CHUNK_SLOTS {
            return chunk.insert(place, slot);
        }
        if is_last && place == CHUNK_SLOTS {
            return self.chunks.push_back(Chunk::of(slot));
        }
        let mut later = chunk.split_off(CHUNK_SLOTS / 2);
        match place.checked_sub(CHUNK_SLOTS / 2) {
            Some(place) => later.insert(place, slot),
            None => chunk.insert(place, slot),
        }
        self.chunks.insert(at + 1, later);
    }
}

impl Chunk {
    const fn of(slot: u32) -> Self {
        Self::Run { first: slot, slots: 1 }
    }

    fn len(&self) -> usize {
        match self {
            Self::Run { slots, .. } => *slots,
            Self::List(list) => list.len(),
        }
    }

    fn get(&self, place: usize) -> Option<u32> {
        match self {
            Self::Run { first, slots } => (place < *slots).then(|| first + place as u32),
            Self::List(list) => list.get(place).copied(),
        }
    }

    fn first(&self) -> Option<u32> {
        self.get(0)
    }

    fn iter(&self) -> impl Iterator<Item = u32> {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    /// How many of its slots are in order before another.
    fn place(&self, is_before: impl Fn(u32) -> bool) -> usize {
        let (mut from, mut to) = (0, self.len());
        if self.get(to.saturating_sub(1)).is_none_or(&is_before) {
            return to;
        }
        while from < to {
            let middle = from.midpoint(to);
            if self.get(middle).is_some_and(&is_before) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }

    fn insert(&mut self, place: usize, slot: u32) {
        match self {
            Self::Run { first, slots } if place == *slots && slot == *first + *slots as u32 => *slots += 1,
            Self::Run { .. } => {
                let mut list: VecDeque<u32> = self.iter().collect();
                list.insert(place, slot);
                *self = Self::List(list);
            }
            Self::List(list) => list.insert(place, slot),
        }
    }

    fn pop_first(&mut self) -> Option<u32> {
        match self {
            Self::Run { slots: 0, .. } => None,
            Self::Run { first, slots } => {
                (*first, *slots) = (*first + 1, *slots - 1);
                Some(*first - 1)
            }
            Self::List(list) => list.pop_front(),
        }
    }

    /// Takes the slots from a place on.
    fn split_off(&mut self, place: usize) -> Self {
        match self {
            Self::Run { first, slots } => {
                let later = Self::Run { first: *first + place as u32, slots: slots.saturating_sub(place) };
                *slots = place.min(*slots);
                later
            }
            Self::List(list) => Self::List(list.split_off(place.min(list.len()))),
        }
    }
}
