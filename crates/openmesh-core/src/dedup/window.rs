//! What is remembered of one sender: few ids in a list, many in a table with its index and its order.
//!
//! Of many, each takes sixteen bytes in the table, eight more where numbers or times are uneven, and six to eleven in the
//! index; in the order of times four, where it came out of it.

use super::index::Index;
use super::pages::{Cell, Pages};
use super::timeline::Timeline;
use openmesh_message::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// Ids that need no index.
const FEW_MAX: usize = 16;
/// So few of many are few again.
const FEW_AGAIN: usize = 4;
/// A table of which not this part is used is made anew.
const USED_PART: usize = 4;
/// Numbers and times that lie too far from the others for their cells stand elsewhere.
const FAR: u32 = u32::MAX;
/// How far below the first message those of a table may be.
const BELOW_MS: i64 = 1 << 30;
const BELOW_SEQS: u64 = 1 << 30;

/// A message that was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Of the id.
    pub(super) id: u64,
    /// Of the message's digest.
    pub(super) check: u64,
    pub(super) seq: u64,
    pub(super) time: Timestamp,
}

/// The ids of one sender, in the order of times and then of records.
#[derive(Clone, Debug)]
pub(super) struct Window {
    floor: Option<Timestamp>,
    key: u64,
    ids: Ids,
}

#[derive(Clone, Debug)]
enum Ids {
    Few(Vec<Seen>),
    Many(Box<Table>),
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.floor == other.floor && self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Window {
    pub(super) const fn keyed(key: u64) -> Self {
        Self { floor: None, key, ids: Ids::Few(Vec::new()) }
    }

    /// What was forgotten is at or below it.
    pub(super) const fn floor(&self) -> Option<Timestamp> {
        self.floor
    }

    pub(super) const fn set_floor(&mut self, floor: Option<Timestamp>) {
        self.floor = floor;
    }

    pub(super) fn len(&self) -> usize {
        match &self.ids {
            Ids::Few(few) => few.len(),
            Ids::Many(table) => table.timeline.len(),
        }
    }

    pub(super) fn find(&self, id: u64) -> Option<Seen> {
        match &self.ids {
            Ids::Few(few) => few.iter().find(|seen| seen.id == id).copied(),
            Ids::Many(table) => table.find(id).map(|slot| table.seen(slot)),
        }
    }

    /// All that is remembered, the earliest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Seen> {
        let (few, table) = match &self.ids {
            Ids::Few(few) => (few.as_slice(), None),
            Ids::Many(table) => ([].as_slice(), Some(table)),
        };
        let many = table.into_iter().flat_map(|table| table.timeline.iter().map(|slot| table.seen(slot)));
        few.iter().copied().chain(many)
    }

    /// Remembers a message; of two with one id, which no log of ours has, the first.
    pub(super) fn insert(&mut self, seen: Seen) {
        if self.find(seen.id).is_some() {
            return;
        }
        if let Ids::Few(few) = &mut self.ids {
            let at = few.partition_point(|other| order(other) < order(&seen));
            few.insert(at, seen);
            if few.len() > FEW_MAX {
                let table = Table::of(self.key, few.iter().copied(), few.len());
                self.ids = Ids::Many(Box::new(table));
            }
        } else if let Ids::Many(table) = &mut self.ids {
            table.insert(seen);
            if table.far.len() > table.timeline.len() / 2
                && table.far.len() > FEW_MAX
                && table.is_far_because_old()
            {
                self.rebuild();
            }
        }
    }

    pub(super) fn forget_before(&mut self, start: Timestamp) {
        while self.first().is_some_and(|first| first.time < start) {
            self.forget_first();
        }
    }

    pub(super) fn shrink_to(&mut self, ids_max: usize) {
        while self.len() > ids_max {
            self.forget_first();
        }
    }

    fn first(&self) -> Option<Seen> {
        match &self.ids {
            Ids::Few(few) => few.first().copied(),
            Ids::Many(table) => table.timeline.first().map(|slot| table.seen(slot)),
        }
    }

    /// What is forgotten raises the floor, by age too: clocks go back at a restart, and admission asks another
    /// moment's clock. At or below the floor nothing can be told apart any more.
    fn forget_first(&mut self) {
        let Some(first) = self.first() else { return };
        self.floor = self.floor.max(Some(first.time));
        match &mut self.ids {
            Ids::Few(few) => _ = few.remove(0),
            Ids::Many(table) => {
                table.forget_first();
                let left = table.timeline.len();
                if left <= FEW_AGAIN || left < table.cells.len() / USED_PART {
                    self.rebuild();
                }
            }
        }
    }

    fn rebuild(&mut self) {
        let left = self.len();
        self.ids = if left <= FEW_AGAIN {
            Ids::Few(self.iter().collect())
        } else {
            Ids::Many(Box::new(Table::of(self.key, self.iter(), left)))
        };
    }

    /// Makes room for so many ids in an empty window.
    pub(super) fn make_room(&mut self, count: usize) {
        if count > FEW_MAX {
            self.ids = Ids::Many(Box::new(Table::with_room(self.key, count)));
        }
    }
}

const fn order(seen: &Seen) -> (i64, u64) {
    (seen.time.millis(), seen.seq)
}

/// Many ids. Numbers and times are kept as distances from a base.
#[derive(Clone, Debug, Default)]
struct Table {
    cells: Pages,
    /// The longest free first: slots go on being given in the order of times.
    free: VecDeque<u32>,
    index: Index,
    timeline: Timeline,
    base: Option<(u64, i64)>,
    far: BTreeMap<u32, (u64, Timestamp)>,
}

impl Table {
    fn with_room(key: u64, count: usize) -> Self {
        Self { index: Index::with_room(key, count), ..Self::default() }
    }

    fn of(key: u64, ordered: impl Iterator<Item = Seen>, count: usize) -> Self {
        let mut table = Self::with_room(key, count);
        ordered.for_each(|seen| table.insert(seen));
        table
    }

    /// What distances are from: below the first message, so that some that come later may lie before it.
    fn base_for(&mut self, seen: &Seen) -> (u64, i64) {
        let below = || (seen.seq.saturating_sub(BELOW_SEQS), seen.time.millis().saturating_sub(BELOW_MS));
        *self.base.get_or_insert_with(below)
    }

    /// Whether the base lies far behind the latest message: a window goes on for longer than a base serves.
    fn is_far_because_old(&self) -> bool {
        let first = self.timeline.first().map(|slot| self.seen(slot));
        first.zip(self.base).is_some_and(|(first, (seq, millis))| {
            let ms = first.time.millis().saturating_sub(millis);
            ms > BELOW_MS * 2 || first.seq.saturating_sub(seq) > BELOW_SEQS * 2
        })
    }

    fn find(&self, id: u64) -> Option<u32> {
        self.index.find(id, |slot| self.cells.id(slot))
    }

    fn seen(&self, slot: u32) -> Seen {
        let Cell { id, check, seq, time } = self.cells.get(slot).unwrap_or_default();
        let base = self.base.unwrap_or_default();
        let near = (base.0.saturating_add(seq.into()), Timestamp::from_millis(base.1).plus_ms(time.into()));
        let (seq, time) = if time == FAR { self.far.get(&slot).copied().unwrap_or(near) } else { near };
        Seen { id, check, seq, time }
    }

    fn insert(&mut self, seen: Seen) {
        let slot = self.free.pop_front().unwrap_or(self.cells.len() as u32);
        self.write(slot, seen);
        let Self { cells, index, timeline, .. } = self;
        index.insert(seen.id, slot, |slot| cells.id(slot));
        let mut timeline = std::mem::take(timeline);
        timeline.insert(slot, order(&seen), |slot| order(&self.seen(slot)));
        self.timeline = timeline;
    }

    fn write(&mut self, slot: u32, seen: Seen) {
        let near = |distance: i128| u32::try_from(distance).ok().filter(|near| *near != FAR);
        let base = self.base_for(&seen);
        let seq = near(i128::from(seen.seq) - i128::from(base.0));
        let time = near(i128::from(seen.time.millis()) - i128::from(base.1));
        self.far.remove(&slot);
        let (seq, time) = seq.zip(time).unwrap_or_else(|| {
            self.far.insert(slot, (seen.seq, seen.time));
            (FAR, FAR)
        });
        self.cells.set(slot, Cell { id: seen.id, check: seen.check, seq, time });
    }

    fn forget_first(&mut self) {
        let Some(slot) = self.timeline.pop_first() else { return };
        let id = self.cells.id(slot);
        let Self { cells, index, .. } = self;
        index.remove(id, |slot| cells.id(slot));
        self.far.remove(&slot);
        self.free.push_back(slot);
    }
}
