//! A hierarchical timing wheel: timers in the order of their times, without a scan and without turning.
//!
//! A ring has sixteen slots, each a sixteenth of the ring's span. A slot holds few timers in order, or, when they become
//! many, a finer ring; rings are only made where timers are. So a timer costs a walk through a bounded number of rings
//! and a place among few others, however many there are and whatever clocks do. What is in it is derived from a
//! state, so it is not kept.

use openmesh_message::Timestamp;

/// Bits of a timer's key that choose a ring's slot.
const SLOT_BITS: u32 = 4;
/// Slots of a ring.
const SLOTS: usize = 1 << SLOT_BITS;
/// Timers of a slot without a finer ring.
const FEW_MAX: usize = 64;
/// A ring with no more timers becomes a slot again.
const FEW_AGAIN: usize = FEW_MAX / 4;

/// Something at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timer {
    /// When it is due.
    pub(crate) time: Timestamp,
    /// What is due; among timers of one time the lowest is first.
    pub(crate) what: u64,
}

/// Timers, each at most once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wheel {
    all: Slot,
}

#[derive(Clone, Debug)]
enum Slot {
    Few(Vec<u128>),
    Finer(Box<Ring>),
}

#[derive(Clone, Debug)]
struct Ring {
    /// The lowest key it spans.
    from: u128,
    /// Below these bits its slots differ.
    shift: u32,
    held: usize,
    slots: [Slot; SLOTS],
}

impl Timer {
    /// Time and what is due, in one number of the same order.
    const fn key(self) -> u128 {
        let time = self.time.millis().cast_unsigned() ^ (1 << 63);
        ((time as u128) << 64) | self.what as u128
    }

    const fn of(key: u128) -> Self {
        let time = ((key >> 64) as u64) ^ (1 << 63);
        Self { time: Timestamp::from_millis(time.cast_signed()), what: key as u64 }
    }
}

impl Wheel {
    /// Sets a timer; one that is set already stays.
    pub(crate) fn insert(&mut self, timer: Timer) {
        self.all.insert(timer.key());
    }

    /// Takes a timer out.
    pub(crate) fn remove(&mut self, timer: Timer) {
        self.all.remove(timer.key());
    }

    /// The earliest timer.
    pub(crate) fn first(&self) -> Option<Timer> {
        self.all.first().map(Timer::of)
    }

    /// Shows what is due at `now`, the earliest first, until `visit` has seen enough.
    pub(crate) fn due(&self, now: Timestamp, mut visit: impl FnMut(Timer) -> bool) {
        let last = Timer { time: now, what: u64::MAX }.key();
        self.all.visit(last, &mut |key| visit(Timer::of(key)));
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Slot {
    fn insert(&mut self, key: u128) -> bool {
        match self {
            Self::Few(keys) => {
                let Err(at) = keys.binary_search(&key) else { return false };
                keys.insert(at, key);
                if keys.len() > FEW_MAX {
                    *self = Self::Finer(Box::new(Ring::of(keys)));
                }
                true
            }
            Self::Finer(ring) if ring.spans(key) => ring.insert(key),
            Self::Finer(_) => {
                let inner = std::mem::take(self);
                *self = Self::Finer(Box::new(Ring::around(inner, key)));
                true
            }
        }
    }

    fn remove(&mut self, key: u128) -> bool {
        match self {
            Self::Few(keys) => {
                let Ok(at) = keys.binary_search(&key) else { return false };
                keys.remove(at);
                if keys.is_empty() {
                    *keys = Vec::new();
                }
                true
            }
            Self::Finer(ring) => {
                let removed = ring.spans(key) && ring.remove(key);
                if ring.held <= FEW_AGAIN {
                    *self = Self::Few(ring.keys());
                }
                removed
            }
        }
    }

    fn first(&self) -> Option<u128> {
        match self {
            Self::Few(keys) => keys.first().copied(),
            Self::Finer(ring) => ring.slots.iter().find_map(Self::first),
        }
    }

    /// False once `visit` has seen enough, or `last` is passed.
    fn visit(&self, last: u128, visit: &mut impl FnMut(u128) -> bool) -> bool {
        match self {
            Self::Few(keys) => keys.iter().all(|key| *key <= last && visit(*key)),
            Self::Finer(ring) => ring.slots.iter().all(|slot| slot.visit(last, visit)),
        }
    }

    fn held(&self) -> usize {
        match self {
            Self::Few(keys) => keys.len(),
            Self::Finer(ring) => ring.held,
        }
    }

    /// The lowest key that it could hold.
    fn from(&self) -> u128 {
        match self {
            Self::Few(keys) => keys.first().copied().unwrap_or_default(),
            Self::Finer(ring) => ring.from,
        }
    }
}

impl Ring {
    /// The narrowest ring around keys in order, which are several.
    fn of(keys: &[u128]) -> Self {
        let (first, last) =
            (keys.first().copied().unwrap_or_default(), keys.last().copied().unwrap_or_default());
        let mut ring = Self::spanning(first, last);
        for key in keys {
            ring.insert(*key);
        }
        ring
    }

    /// The narrowest ring around a ring and a key beside it.
    fn around(inner: Slot, key: u128) -> Self {
        let from = inner.from();
        let mut ring = Self::spanning(from, key);
        ring.held = inner.held();
        if let Some(slot) = ring.slot(from) {
            *slot = inner;
        }
        ring.insert(key);
        ring
    }

    fn spanning(one: u128, other: u128) -> Self {
        let differing = u128::BITS - (one ^ other).leading_zeros().min(u128::BITS - 1) - 1;
        let shift = differing / SLOT_BITS * SLOT_BITS;
        let from = (one >> shift >> SLOT_BITS) << shift << SLOT_BITS;
        Self { from, shift, held: 0, slots: std::array::from_fn(|_| Slot::default()) }
    }

    const fn spans(&self, key: u128) -> bool {
        (self.from ^ key) >> self.shift >> SLOT_BITS == 0
    }

    fn slot(&mut self, key: u128) -> Option<&mut Slot> {
        self.slots.get_mut((key >> self.shift) as usize % SLOTS)
    }

    fn insert(&mut self, key: u128) -> bool {
        let inserted = self.slot(key).is_some_and(|slot| slot.insert(key));
        self.held += usize::from(inserted);
        inserted
    }

    fn remove(&mut self, key: u128) -> bool {
        let removed = self.slot(key).is_some_and(|slot| slot.remove(key));
        self.held -= usize::from(removed);
        removed
    }

    fn keys(&self) -> Vec<u128> {
        let mut keys = Vec::with_capacity(self.held);
        for slot in &self.slots {
            slot.visit(u128::MAX, &mut |key| {
                keys.push(key);
                true
            });
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::{Timer, Wheel};
    use openmesh_message::Timestamp;
    use std::collections::BTreeSet;

    fn timer(ms: i64, what: u64) -> Timer {
        Timer { time: Timestamp::from_millis(ms), what }
    }

    /// A generator of Steele, Lea and Flood (SplitMix64).
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    #[test]
    fn it_is_a_set_in_order_whatever_clocks_do() {
        for seed in 0..200 {
            let mut random = seed;
            let mut wheel = Wheel::default();
            let mut naive = BTreeSet::new();
            let spread = [1, 1_000, 100_000_000, i64::MAX / 2][seed as usize % 4];
            for _ in 0..600 {
                let ms = (next(&mut random) % (spread.cast_unsigned() * 2)).cast_signed() - spread;
                let what = next(&mut random) % 3;
                if !next(&mut random).is_multiple_of(3) || naive.is_empty() {
                    wheel.insert(timer(ms, what));
                    naive.insert((ms, what));
                } else {
                    let at = next(&mut random) as usize % naive.len();
                    let (ms, what) = *naive.iter().nth(at).unwrap();
                    wheel.remove(timer(ms, what));
                    naive.remove(&(ms, what));
                }
                let first = wheel.first().map(|timer| (timer.time.millis(), timer.what));
                assert_eq!(first, naive.first().copied(), "seed {seed}");
            }
            let now = naive.iter().nth(naive.len() / 2).copied().unwrap_or_default().0;
            let mut due = Vec::new();
            wheel.due(Timestamp::from_millis(now), |timer| {
                due.push((timer.time.millis(), timer.what));
                true
            });
            let expected: Vec<_> = naive.iter().copied().take_while(|(ms, _)| *ms <= now).collect();
            assert_eq!(due, expected, "seed {seed}");
            while let Some(first) = wheel.first() {
                wheel.remove(first);
                naive.pop_first().unwrap();
            }
            assert!(naive.is_empty(), "seed {seed}");
        }
    }

    #[test]
    fn it_stops_when_enough_was_seen() {
        let mut wheel = Wheel::default();
        (0..500).for_each(|what| wheel.insert(timer(7, what)));
        let mut seen = 0;
        wheel.due(Timestamp::from_millis(7), |timer| {
            assert_eq!(timer.what, seen);
            seen += 1;
            seen < 100
        });
        assert_eq!(seen, 100);
    }
}
