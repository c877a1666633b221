//! How postings are written: numbers of seven bits a byte, each record as its distance from the one before.
//!
//! A block is a list of groups, one a term: the term (8 bytes), the group's length (2), its postings. A posting is the
//! distance from where the one before ends, doubled, and one more if many records follow one another; then, if so, how
//! many follow; then where the first lies: one more than its place in units of eight bytes, or 0.

use std::borrow::Cow;

/// Records of a term: one, or some that follow one another, which whoever reads them reads together; and where the first
/// lies, if that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Posting {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) at_byte: Option<u64>,
}

impl Posting {
    pub(crate) const fn one(seq: u64, at_byte: u64) -> Self {
        Self { first: seq, last: seq, at_byte: Some(at_byte) }
    }
}

/// Bytes of a group before its postings.
pub(super) const GROUP_HEAD_BYTES: usize = 10;
const TERM_BYTES: usize = 8;
/// What frames in a log are aligned to.
const AT_UNIT: u64 = 8;

/// Writes a posting that follows what ends before `next`.
pub(super) fn put_posting(out: &mut Vec<u8>, next: u64, posting: &Posting) {
    let (distance, following) = (posting.first.saturating_sub(next) << 1, posting.last - posting.first);
    put_number(out, distance | u64::from(following > 0));
    if following > 0 {
        put_number(out, following);
    }
    put_number(out, posting.at_byte.map_or(0, |at_byte| at_byte / AT_UNIT + 1));
}

/// Reads the postings of a group in a run that begins with `first_seq`; `None` where they are none.
pub(super) fn postings_of(mut group: &[u8], first_seq: u64, found: &mut Vec<Posting>) -> Option<()> {
    let mut next = first_seq;
    while !group.is_empty() {
        let distance = number(&mut group)?;
        let first = next.checked_add(distance >> 1)?;
        let following = if distance & 1 == 0 { 0 } else { number(&mut group)? };
        let at_byte = match number(&mut group)?.checked_sub(1) {
            Some(units) => Some(units.checked_mul(AT_UNIT)?),
            None => None,
        };
        let posting = Posting { first, last: first.checked_add(following)?, at_byte };
        next = posting.last.checked_add(1)?;
        found.push(posting);
    }
    Some(())
}

/// The groups of one block.
#[derive(Default)]
pub(super) struct Groups<'a> {
    bytes: Cow<'a, [u8]>,
    at: usize,
    end: usize,
}

impl<'a> Groups<'a> {
    /// Of a block's bytes, of which the first `end` are groups.
    pub(super) const fn new(bytes: Cow<'a, [u8]>, end: usize) -> Self {
        Self { bytes, at: 0, end }
    }

    /// The next term and its postings, as they are written.
    pub(super) fn next(&mut self) -> Option<(u64, &[u8])> {
        let rest = self.bytes.get(self.at..self.end)?;
        let (head, rest) = rest.split_at_checked(GROUP_HEAD_BYTES)?;
        let (term, length) = head.split_at_checked(TERM_BYTES)?;
        let length = usize::from(u16::from_le_bytes(length.try_into().ok()?));
        self.at += GROUP_HEAD_BYTES + length;
        Some((u64::from_le_bytes(term.try_into().ok()?), rest.get(..length)?))
    }

    /// The postings of a term, as they are written.
    pub(super) fn of_term(&mut self, term: u64) -> Option<&[u8]> {
        loop {
            let at = self.at;
            let (found, _) = self.next()?;
            if found == term {
                self.at = at;
                return self.next().map(|(_, group)| group);
            }
            if found > term {
                return None;
            }
        }
    }
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
