//! Where some records of a segment begin, so that one is found without reading all that stands before it.

use super::super::frame::ALIGNMENT;

/// Between two marks: less is read for one record, the more of them there are.
const MARK_EVERY_BYTES: u64 = 4 * 1024;
/// Marks of one block: 4 KiB of them, of which allocators waste nothing.
const BLOCK_MARKS: usize = 512;

/// Marks of one segment, in order: eight bytes each, in blocks that stay where they are.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// What the numbers of records are counted from.
    first_seq: u64,
    blocks: Vec<Vec<Mark>>,
}

/// Where a record begins: its distance from the first that has a mark, and its place in steps of [`ALIGNMENT`].
#[derive(Clone, Copy, Debug)]
struct Mark {
    seq: u32,
    at: u32,
}

impl Mark {
    const fn at(self) -> u64 {
        self.at as u64 * ALIGNMENT as u64
    }
}

impl Marks {
    /// Notes where a record begins, if that is far enough behind the last mark. What cannot be noted is found from there.
    pub(crate) fn push(&mut self, seq: u64, at: u64) {
        let Some(last) = self.blocks.last().and_then(|block| block.last()) else {
            self.first_seq = seq;
            return self.add(seq, at);
        };
        let last_seq = self.first_seq.saturating_add(u64::from(last.seq));
        if at >= last.at() + MARK_EVERY_BYTES && seq > last_seq {
            self.add(seq, at);
        }
    }

    fn add(&mut self, seq: u64, at: u64) {
        let Some(seq) = seq.checked_sub(self.first_seq).and_then(|seq| u32::try_from(seq).ok()) else {
            return;
        };
        let Ok(steps) = u32::try_from(at / ALIGNMENT as u64) else { return };
        if !at.is_multiple_of(ALIGNMENT as u64) {
            return;
        }
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK_MARKS) {
            self.blocks.push(Vec::with_capacity(BLOCK_MARKS));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(Mark { seq, at: steps });
        }
    }

    /// Where the last marked record up to `seq` begins.
    pub(crate) fn before(&self, seq: u64) -> Option<u64> {
        let seq = seq.checked_sub(self.first_seq)?;
        let is_before = |mark: &Mark| u64::from(mark.seq) <= seq;
        let begins_before = |block: &Vec<Mark>| block.first().is_some_and(is_before);
        let block = self.blocks.get(self.blocks.partition_point(begins_before).checked_sub(1)?)?;
        block.get(block.partition_point(is_before).checked_sub(1)?).map(|mark| mark.at())
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_MARKS, MARK_EVERY_BYTES, Marks};

    #[test]
    fn the_last_mark_up_to_a_record_is_found() {
        let mut marks = Marks::default();
        assert_eq!(marks.before(7), None);
        let count = BLOCK_MARKS as u64 * 3 + 5;
        let at = |place: u64| 8_192 + place * MARK_EVERY_BYTES;
        for place in 0..count {
            marks.push(1_000 + place * 10, at(place));
            // Too near, and of no later record.
            marks.push(1_000 + place * 10 + 3, at(place) + MARK_EVERY_BYTES - 8);
            marks.push(1_000 + place * 10, at(place) + MARK_EVERY_BYTES);
        }
        assert_eq!((marks.before(0), marks.before(999)), (None, None));
        for seq in 1_000..1_000 + count * 10 {
            assert_eq!(marks.before(seq), Some(at((seq - 1_000) / 10)), "{seq}");
        }
        assert_eq!(marks.before(u64::MAX), Some(at(count - 1)));
    }

    #[test]
    fn what_cannot_be_noted_is_left_out() {
        let mut marks = Marks::default();
        marks.push(5, 16);
        marks.push(5 + u64::from(u32::MAX) + 1, 1 << 20);
        marks.push(6, (1 << 20) + 1);
        marks.push(7, 1 << 40);
        assert_eq!(marks.before(u64::MAX), Some(16));
        marks.push(8, 1 << 20);
        assert_eq!((marks.before(7), marks.before(8)), (Some(16), Some(1 << 20)));
    }
}
