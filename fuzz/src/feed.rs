//! Inputs made of parts: `Feed` takes them off, `Script` puts them on. A part that is missing reads as zero or as nothing.

/// Numbers from this byte on are followed by all eight of their bytes.
const WIDE: u8 = 0xf0;

/// Takes parts off an input.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a>(&'a [u8]);

/// Makes an input of parts.
#[derive(Clone, Debug, Default)]
pub struct Script(Vec<u8>);

impl<'a> Feed<'a> {
    /// A feed of a whole input.
    pub const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// One byte as a choice among `count`.
    pub fn choice(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// A number: small ones in a byte, others in nine.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            small if small < WIDE => u64::from(small),
            _ => u64::from_le_bytes(self.array()),
        }
    }

    /// So many bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// A part with its length before it, in two bytes; shorter where the input ends.
    pub fn part(&mut self) -> &'a [u8] {
        let length = usize::from(u16::from_le_bytes(self.array())).min(self.0.len());
        let (part, rest) = self.0.split_at(length);
        self.0 = rest;
        part
    }

    /// What is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

impl Script {
    /// One byte.
    #[must_use]
    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    /// A number, as [`Feed::number`] reads it.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        match u8::try_from(number) {
            Ok(small) if small < WIDE => self.0.push(small),
            _ => {
                self.0.push(WIDE);
                self.0.extend(number.to_le_bytes());
            }
        }
        self
    }

    /// A part with its length before it; at most 65,535 bytes of it.
    #[must_use]
    pub fn part(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_le_bytes());
        self.0.extend(&part[..usize::from(length)]);
        self
    }

    /// The last part, without a length.
    #[must_use]
    pub fn rest(mut self, rest: impl AsRef<[u8]>) -> Self {
        self.0.extend(rest.as_ref());
        self
    }

    /// The input.
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Feed, Script};

    #[test]
    fn what_is_put_on_is_taken_off() {
        let input = Script::default().byte(7).number(3).number(u64::MAX).part("abc").rest([1, 2]).done();
        let mut feed = Feed::new(&input);
        assert_eq!((feed.byte(), feed.number(), feed.number()), (7, 3, u64::MAX));
        assert_eq!((feed.part(), feed.rest()), (&b"abc"[..], &[1, 2][..]));
        assert!(feed.is_empty());
        assert_eq!((feed.byte(), feed.number(), feed.part()), (0, 0, &b""[..]));
    }
}
