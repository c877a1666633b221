//! Up to 128 neighbours of an inbox: five bytes a message and less, since what many of them share is kept once.

use super::Cell;
use crate::state::column::Column;

/// Numbers of one chunk, as a power of two.
pub(super) const CHUNK_BITS: u32 = 7;
const CHUNK_NUMBERS: u64 = 1 << CHUNK_BITS;
/// Kinds that a chunk may have beyond its messages, before those are looked for that no message is of any more.
const SPARE_KINDS_MAX: usize = 32;

/// Neighbours: all of them in the order of numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    /// Which numbers are there.
    present: [u64; 2],
    count: usize,
    /// The low half of each message's record.
    lows: Column<1>,
    /// Which of `kinds` each message is of.
    kind_of: Column<0>,
    /// No two alike; some may be of no message.
    kinds: Vec<Kind>,
    leased: Option<Box<Leased>>,
}

/// All of a message but what differs between neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    high: u32,
    from: u32,
    word: u32,
}

/// The tokens of a chunk's messages, while some of them are leased; 0 is no token.
#[derive(Clone, Debug)]
struct Leased {
    tokens: Vec<u64>,
    count: usize,
}

impl Kind {
    const fn of(cell: Cell) -> Self {
        Self { high: (cell.seq >> 32) as u32, from: cell.from, word: cell.word }
    }

    const fn cell(self, low: u32) -> Cell {
        Cell { seq: (self.high as u64) << 32 | low as u64, from: self.from, word: self.word }
    }
}

impl Chunk {
    pub(super) const fn is_empty(&self) -> bool {
        self.present[0] | self.present[1] == 0
    }

    pub(super) fn get(&self, number: u64) -> Option<Cell> {
        self.at(self.place(number)?)
    }

    pub(super) fn replace(&mut self, number: u64, cell: Cell) {
        let Some(place) = self.place(number) else { return };
        let kind = self.kind(Kind::of(cell));
        self.lows.set(place, cell.seq as u32);
        self.kind_of.set(place, kind);
    }

    pub(super) fn token(&self, number: u64) -> u64 {
        let token = || self.leased.as_ref()?.tokens.get(self.place(number)?).copied();
        token().unwrap_or_default()
    }

    pub(super) fn set_token(&mut self, number: u64, token: u64) {
        let Some(place) = self.place(number) else { return };
        if self.leased.is_none() && token == 0 {
            return;
        }
        let messages = self.count;
        let leased =
            self.leased.get_or_insert_with(|| Box::new(Leased { tokens: vec![0; messages], count: 0 }));
        if let Some(held) = leased.tokens.get_mut(place) {
            leased.count =
                leased.count + usize::from(*held == 0 && token != 0) - usize::from(*held != 0 && token == 0);
            *held = token;
        }
        if leased.count == 0 {
            self.leased = None;
        }
    }

    /// Takes in a message whose number is free; whether it was.
    pub(super) fn insert(&mut self, number: u64, cell: Cell) -> bool {
        let (word, bit) = split(number);
        let Some(held) = self.present.get_mut(word).filter(|held| **held & bit == 0) else { return false };
        *held |= bit;
        let place = self.before(number);
        let kind = self.kind(Kind::of(cell));
        self.lows.insert(place, cell.seq as u32);
        self.kind_of.insert(place, kind);
        self.count += 1;
        if let Some(leased) = &mut self.leased {
            leased.tokens.insert(place, 0);
        }
        true
    }

    /// Takes a message out; whether it was there.
    pub(super) fn remove(&mut self, number: u64) -> bool {
        self.set_token(number, 0);
        let Some(place) = self.place(number) else { return false };
        let (word, bit) = split(number);
        if let Some(held) = self.present.get_mut(word) {
            *held &= !bit;
        }
        self.lows.remove(place);
        self.kind_of.remove(place);
        if let Some(leased) = &mut self.leased {
            leased.tokens.remove(place);
        }
        self.count -= 1;
        true
    }

    /// Its messages, the first of its numbers being `from`.
    pub(super) fn iter(&self, from: u64) -> impl Iterator<Item = (u64, Cell)> {
        let has = |number: &u64| {
            let (word, bit) = split(*number);
            self.present.get(word).is_some_and(|held| held & bit != 0)
        };
        let numbers = (0..CHUNK_NUMBERS).filter(has).map(move |number| from + number);
        numbers.zip((0..self.count).filter_map(|place| self.at(place)))
    }

    fn at(&self, place: usize) -> Option<Cell> {
        Some(self.kinds.get(self.kind_of.get(place) as usize)?.cell(self.lows.get(place)))
    }

    /// Where a number that is there stands among them.
    fn place(&self, number: u64) -> Option<usize> {
        let (word, bit) = split(number);
        self.present.get(word).filter(|held| **held & bit != 0)?;
        Some(self.before(number))
    }

    /// How many are there before a number.
    const fn before(&self, number: u64) -> usize {
        let (word, bit) = split(number);
        let [first, second] = self.present;
        let count = match word {
            0 => (first & (bit - 1)).count_ones(),
            _ => first.count_ones() + (second & (bit - 1)).count_ones(),
        };
        count as usize
    }

    /// Which of the kinds one is; it is added, if there is none like it.
    fn kind(&mut self, kind: Kind) -> u32 {
        // What came last is what comes next.
        if let Some(found) = self.kinds.iter().rposition(|held| *held == kind) {
            return found as u32;
        }
        if self.kinds.len() >= self.count + SPARE_KINDS_MAX {
            self.forget_kinds();
        }
        self.kinds.push(kind);
        (self.kinds.len() - 1) as u32
    }

    /// Lets go of the kinds that no message is of.
    fn forget_kinds(&mut self) {
        let kinds = std::mem::take(&mut self.kinds);
        for place in 0..self.count {
            let Some(kind) = kinds.get(self.kind_of.get(place) as usize) else { continue };
            let kept = self.kinds.iter().position(|held| held == kind).unwrap_or(self.kinds.len());
            if kept == self.kinds.len() {
                self.kinds.push(*kind);
            }
            self.kind_of.set(place, kept as u32);
        }
    }
}

/// Which word of those that say what is present has a number's bit, and that bit.
const fn split(number: u64) -> (usize, u64) {
    let within = number % CHUNK_NUMBERS;
    ((within / 64) as usize, 1 << (within % 64))
}

#[cfg(test)]
mod tests {
    use super::{CHUNK_NUMBERS, Cell, Chunk, SPARE_KINDS_MAX};
    use std::collections::BTreeMap;

    /// Every message of a kind of its own, changed again and again, beside a map.
    #[test]
    fn it_holds_what_a_map_holds_however_many_kinds_there_were() {
        let (mut chunk, mut naive) = (Chunk::default(), BTreeMap::new());
        let mut random: u64 = 11;
        for round in 0..50_000_u32 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (random >> 33) % CHUNK_NUMBERS;
            let few = (random >> 20).is_multiple_of(3);
            let word = if few { 7 } else { round };
            let cell = Cell { seq: random >> (random % 40), from: round % 3, word };
            match (random >> 50) % 4 {
                0 => assert_eq!(chunk.remove(number), naive.remove(&number).is_some()),
                1 => {
                    chunk.replace(number, cell);
                    naive.entry(number).and_modify(|(held, _)| *held = cell);
                }
                2 => {
                    let token = random >> 60;
                    chunk.set_token(number, token);
                    naive.entry(number).and_modify(|(_, held)| *held = token);
                }
                _ => {
                    assert_eq!(chunk.insert(number, cell), !naive.contains_key(&number));
                    naive.entry(number).or_insert((cell, 0));
                }
            }
            let held = naive.iter().map(|(number, (cell, _))| (*number, *cell));
            assert!(chunk.iter(0).eq(held));
            let tokens = (0..CHUNK_NUMBERS).map(|number| naive.get(&number).map_or(0, |(_, token)| *token));
            assert!((0..CHUNK_NUMBERS).map(|number| chunk.token(number)).eq(tokens));
            assert_eq!(chunk.get(number), naive.get(&number).map(|(cell, _)| *cell));
            assert!(chunk.kinds.len() <= CHUNK_NUMBERS as usize + SPARE_KINDS_MAX);
            assert_eq!(chunk.leased.is_some(), naive.values().any(|(_, token)| *token != 0));
        }
    }
}
