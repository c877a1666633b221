//! The compact form of what a state has most of: whole numbers of seven bits a byte, and plain bytes. For snapshots.

use openmesh_message::{AgentId, Timestamp};

/// Appends a number, seven bits a byte, the lowest first.
pub(crate) fn put_uint(out: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends how far a number is from another, small distances in few bytes.
pub(crate) fn put_from(out: &mut Vec<u8>, number: u64, from: u64) {
    let distance = number.wrapping_sub(from).cast_signed();
    put_uint(out, ((distance << 1) ^ (distance >> 63)).cast_unsigned());
}

/// Appends how far a time is from another.
pub(crate) fn put_time(out: &mut Vec<u8>, time: Timestamp, from: Timestamp) {
    put_from(out, time.millis().cast_unsigned(), from.millis().cast_unsigned());
}

/// Reads what the functions above have written; `None` where it ends too early or is longer than it can be.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// How many bytes are left: no more items than that can follow.
    pub(crate) const fn left(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn uint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn uint_from(&mut self, from: u64) -> Option<u64> {
        let folded = self.uint()?;
        let distance = (folded >> 1) ^ (folded & 1).wrapping_neg();
        Some(from.wrapping_add(distance))
    }

    pub(crate) fn time(&mut self, from: Timestamp) -> Option<Timestamp> {
        let millis = self.uint_from(from.millis().cast_unsigned())?;
        Some(Timestamp::from_millis(millis.cast_signed()))
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// An agent that was one when it was written.
    pub(crate) fn agent(&mut self) -> Option<AgentId> {
        self.array().map(AgentId::from_kept)
    }

    /// How many items follow, each of at least one byte.
    pub(crate) fn count(&mut self) -> Option<usize> {
        usize::try_from(self.uint()?).ok().filter(|count| *count <= self.left())
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, put_from, put_uint};

    #[test]
    fn numbers_and_distances_come_back() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        let mut bytes = Vec::new();
        for number in numbers {
            put_uint(&mut bytes, number);
            put_from(&mut bytes, number, 128);
        }
        let mut reader = Reader::new(&bytes);
        for number in numbers {
            assert_eq!((reader.uint(), reader.uint_from(128)), (Some(number), Some(number)));
        }
        assert_eq!((reader.left(), reader.uint()), (0, None));
        assert_eq!(Reader::new(&[0xff; 12]).uint(), None);
    }
}
