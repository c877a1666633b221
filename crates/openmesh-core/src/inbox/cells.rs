//! Where the messages of an inbox are, by number, in chunks of neighbours. What few messages have, such as a time,
//! stands elsewhere.

mod chunk;

use chunk::{CHUNK_BITS, Chunk};
use openmesh_message::Priority;
use std::collections::BTreeMap;
use std::ops::Bound;

const BYTES_BITS: u32 = 22;
const BYTES_MAX: u32 = (1 << BYTES_BITS) - 1;
const ATTEMPTS_AT: u32 = BYTES_BITS;
/// More attempts than that are counted elsewhere.
pub(super) const ATTEMPTS_MAX: u32 = 15;
const STATE_AT: u32 = 26;
const PRIORITY_AT: u32 = 28;
const ACT: u32 = 1 << 30;
const EXPIRES: u32 = 1 << 31;
const NOBODY: u32 = u32::MAX;
const NOTICE: u32 = 1 << 31;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// The record that holds it.
    pub(super) seq: u64,
    from: u32,
    word: u32,
}

/// Whom a message is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The inbox's sender of this number.
    Sender(u32),
    /// The node: this notice of the record's step.
    Notice(u16),
    /// It is not known.
    Nobody,
}

/// Whether a message can be leased; when, and under which token, stands elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Ready,
    Delayed,
    Leased,
}

/// What does not change of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    pub(super) seq: u64,
    pub(super) from: From,
    pub(super) bytes: u32,
    pub(super) priority: Priority,
    pub(super) is_act: bool,
    pub(super) expires: bool,
}

impl Cell {
    /// A message that can be leased and never was.
    pub(super) fn new(traits: Traits) -> Self {
        let from = match traits.from {
            From::Sender(sender) => sender.min(NOTICE - 1),
            From::Notice(notice) => NOTICE | u32::from(notice),
            From::Nobody => NOBODY,
        };
        let mut word = traits.bytes.min(BYTES_MAX) | ((traits.priority as u32) << PRIORITY_AT);
        word |= if traits.is_act { ACT } else { 0 };
        word |= if traits.expires { EXPIRES } else { 0 };
        Self { seq: traits.seq, from, word }
    }

    pub(super) const fn from(&self) -> From {
        match self.from {
            NOBODY => From::Nobody,
            from if from & NOTICE != 0 => From::Notice((from & 0xffff) as u16),
            sender => From::Sender(sender),
        }
    }

    pub(super) const fn bytes(&self) -> u32 {
        self.word & BYTES_MAX
    }

    pub(super) const fn priority(&self) -> Priority {
        match (self.word >> PRIORITY_AT) & 3 {
            0 => Priority::Critical,
            1 => Priority::Urgent,
            2 => Priority::Normal,
            _ => Priority::Bulk,
        }
    }

    pub(super) const fn is_act(&self) -> bool {
        self.word & ACT != 0
    }

    pub(super) const fn expires(&self) -> bool {
        self.word & EXPIRES != 0
    }

    /// How often it was leased, up to [`ATTEMPTS_MAX`].
    pub(super) const fn attempts(&self) -> u32 {
        (self.word >> ATTEMPTS_AT) & ATTEMPTS_MAX
    }

    pub(super) fn set_attempts(&mut self, attempts: u32) {
        self.word =
            (self.word & !(ATTEMPTS_MAX << ATTEMPTS_AT)) | (attempts.min(ATTEMPTS_MAX) << ATTEMPTS_AT);
    }

    pub(super) const fn standing(&self) -> Standing {
        match (self.word >> STATE_AT) & 3 {
            0 => Standing::Ready,
            1 => Standing::Delayed,
            _ => Standing::Leased,
        }
    }

    pub(super) const fn set_standing(&mut self, standing: Standing) {
        self.word = (self.word & !(3 << STATE_AT)) | ((standing as u32) << STATE_AT);
    }
}

/// The messages of an inbox by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    chunks: BTreeMap<u64, Box<Chunk>>,
    held: u64,
}

impl Cells {
    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    pub(super) fn get(&self, number: u64) -> Option<Cell> {
        self.chunks.get(&(number >> CHUNK_BITS))?.get(number)
    }

    /// Puts a message that has changed in the place of what it was.
    pub(super) fn replace(&mut self, number: u64, cell: Cell) {
        if let Some(chunk) = self.chunks.get_mut(&(number >> CHUNK_BITS)) {
            chunk.replace(number, cell);
        }
    }

    /// The token that a message is leased under; 0 if it is not.
    pub(super) fn token(&self, number: u64) -> u64 {
        self.chunks.get(&(number >> CHUNK_BITS)).map_or(0, |chunk| chunk.token(number))
    }

    pub(super) fn set_token(&mut self, number: u64, token: u64) {
        if let Some(chunk) = self.chunks.get_mut(&(number >> CHUNK_BITS)) {
            chunk.set_token(number, token);
        }
    }

    /// Takes in a message whose number is free.
    pub(super) fn insert(&mut self, number: u64, cell: Cell) {
        if self.chunks.entry(number >> CHUNK_BITS).or_default().insert(number, cell) {
            self.held += 1;
        }
    }

    pub(super) fn remove(&mut self, number: u64) {
        let key = number >> CHUNK_BITS;
        let Some(chunk) = self.chunks.get_mut(&key) else { return };
        if chunk.remove(number) {
            self.held -= 1;
        }
        if chunk.is_empty() {
            self.chunks.remove(&key);
        }
    }

    /// Messages with numbers above `after`, in order.
    pub(super) fn after(&self, after: u64) -> impl Iterator<Item = (u64, Cell)> {
        let chunks = self.chunks.range((Bound::Included(after >> CHUNK_BITS), Bound::Unbounded));
        chunks
            .flat_map(|(key, chunk)| chunk.iter(key << CHUNK_BITS))
            .skip_while(move |(number, _)| *number <= after)
    }

    /// Every message, in the order of numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Cell)> {
        self.chunks.iter().flat_map(|(key, chunk)| chunk.iter(key << CHUNK_BITS))
    }
}
