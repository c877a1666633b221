//! What one reader has seen: how many messages, which are missing, and how long some of them took.

use anyhow::{Context, Result, ensure};

/// One message in so many is timed.
const TIMED_EVERY: u64 = 64;
/// A payload begins with when it was written and which message it is, eight bytes each.
pub(crate) const STAMP_BYTES: usize = 16;

/// Reads what a server says.
pub(crate) trait Scan: Send {
    /// Takes what is whole off the front of `bytes`; returns how many bytes that is.
    fn scan(&mut self, bytes: &[u8], seen: &mut Seen) -> Result<usize>;

    /// What is to be said because of it.
    fn answer(&mut self) -> Option<&'static [u8]> {
        None
    }
}

/// What one reader has seen so far.
pub(crate) struct Seen {
    timed_every: u64,
    messages: u64,
    /// The number of the message that comes next where none is lost.
    next: u64,
    /// When the timed ones of the last read were written.
    timed_ns: Vec<u64>,
    latencies_ns: Vec<u64>,
}

impl Default for Seen {
    fn default() -> Self {
        Self::timing_every(TIMED_EVERY)
    }
}

impl Seen {
    /// Nothing yet; one message in so many will be timed.
    pub(crate) const fn timing_every(messages: u64) -> Self {
        Self { timed_every: messages, messages: 0, next: 0, timed_ns: Vec::new(), latencies_ns: Vec::new() }
    }

    /// A message with this payload came.
    #[inline]
    pub(crate) fn message(&mut self, payload: &[u8]) -> Result<()> {
        let stamp = payload.split_first_chunk::<8>();
        let (written, rest) = stamp.context("a message without its stamp")?;
        let number = u64::from_le_bytes(*rest.first_chunk::<8>().context("a message without its number")?);
        self.number(number)?;
        if number.is_multiple_of(self.timed_every) {
            self.timed_ns.push(u64::from_le_bytes(*written));
        }
        Ok(())
    }

    /// The message of this number came.
    pub(crate) fn number(&mut self, number: u64) -> Result<()> {
        ensure!(number >= self.next, "message {number} came where {} was due", self.next);
        self.messages += 1;
        self.next = number + 1;
        Ok(())
    }

    /// The server says that all up to the `upto`th will not come any more, where they have not.
    pub(crate) fn missed(&mut self, upto: u64) {
        self.next = self.next.max(upto);
    }

    /// Everything that came was read now.
    pub(crate) fn read_at(&mut self, now_ns: u64, is_measuring: bool) {
        let timed = self.timed_ns.drain(..);
        if is_measuring {
            self.latencies_ns.extend(timed.map(|written| now_ns.saturating_sub(written)));
        }
    }

    pub(crate) const fn messages(&self) -> u64 {
        self.messages
    }

    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn latencies_ns(&self) -> &[u64] {
        &self.latencies_ns
    }
}
