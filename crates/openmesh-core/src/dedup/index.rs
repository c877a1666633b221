//! Which slot of a table an id is in: open addressing with linear probing, four bytes a place.

/// Places for each id when it is made anew, in halves.
const ROOM_HALVES: usize = 3;
/// So many of eight places are taken at most.
const TAKEN_EIGHTHS_MAX: usize = 7;
/// No slot.
const EMPTY: u32 = u32::MAX;

/// Slots by id. Asks the table for the ids of slots; its layout shows nowhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    places: Vec<u32>,
    taken: usize,
    key: u64,
}

impl Index {
    pub(super) fn with_room(key: u64, count: usize) -> Self {
        Self { places: vec![EMPTY; room(count)], taken: 0, key }
    }

    pub(super) fn find(&self, id: u64, id_of: impl Fn(u32) -> u64) -> Option<u32> {
        let mut place = self.home(id);
        loop {
            match self.places.get(place).copied().unwrap_or(EMPTY) {
                EMPTY => return None,
                slot if id_of(slot) == id => return Some(slot),
                _ => place = self.after(place),
            }
        }
    }

    /// Notes the slot of an id that is not there.
    pub(super) fn insert(&mut self, id: u64, slot: u32, id_of: impl Fn(u32) -> u64) {
        if (self.taken + 1) * 8 > self.places.len() * TAKEN_EIGHTHS_MAX {
            self.grow(&id_of);
        }
        self.place(id, slot);
        self.taken += 1;
    }

    /// Forgets an id, and moves those up that were put further because of it.
    pub(super) fn remove(&mut self, id: u64, id_of: impl Fn(u32) -> u64) {
        let mut hole = self.home(id);
        loop {
            match self.places.get(hole).copied().unwrap_or(EMPTY) {
                EMPTY => return,
                slot if id_of(slot) == id => break,
                _ => hole = self.after(hole),
            }
        }
        self.taken -= 1;
        let mut next = self.after(hole);
        while let Some(slot) = self.places.get(next).copied().filter(|slot| *slot != EMPTY) {
            let home = self.home(id_of(slot));
            if self.distance(home, next) >= self.distance(hole, next) {
                self.set(hole, slot);
                hole = next;
            }
            next = self.after(next);
        }
        self.set(hole, EMPTY);
    }

    fn grow(&mut self, id_of: &impl Fn(u32) -> u64) {
        let room = room(self.taken + 1);
        let slots = std::mem::replace(&mut self.places, vec![EMPTY; room]);
        for slot in slots.into_iter().filter(|slot| *slot != EMPTY) {
            self.place(id_of(slot), slot);
        }
    }

    fn place(&mut self, id: u64, slot: u32) {
        let mut place = self.home(id);
        while self.places.get(place).is_some_and(|taken| *taken != EMPTY) {
            place = self.after(place);
        }
        self.set(place, slot);
    }

    fn set(&mut self, place: usize, slot: u32) {
        if let Some(held) = self.places.get_mut(place) {
            *held = slot;
        }
    }

    /// Where an id would stand: mixed with the key (the finaliser of SplitMix64, by Steele, Lea and Flood).
    fn home(&self, id: u64) -> usize {
        let mut mixed = id ^ self.key;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * self.places.len() as u128) >> 64) as usize
    }

    const fn after(&self, place: usize) -> usize {
        if place + 1 >= self.places.len() { 0 } else { place + 1 }
    }

    const fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.places.len() - from }
    }
}

const fn room(count: usize) -> usize {
    count * ROOM_HALVES / 2 + 8
}
