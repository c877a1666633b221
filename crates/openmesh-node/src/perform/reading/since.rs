//! Where in the log a time begins, found by halving.

use super::Reading;
use openmesh_core::record::decode_header;
use openmesh_message::Timestamp;
use openmesh_store::PageLimit;

/// A node's clock may be set back by as much between two records; what was decided in between is looked at one by one.
const CLOCK_BACK_MS_MAX: i64 = 60_000;

impl Reading {
    /// A record before which nothing was decided at or after `since`; what follows may still be older.
    pub(super) fn seq_before(&self, since: Timestamp) -> u64 {
        let since = since.plus_ms(-CLOCK_BACK_MS_MAX);
        let (mut before, mut from) = (0, self.log.head_seq() + 1);
        // Everything up to `before` is older; the record at `from`, if there is one, is not.
        while from - before > 1 {
            let middle = before + (from - before) / 2;
            match self.decided_at(middle) {
                Some((seq, at)) if at < since => before = seq.min(from - 1),
                _ => from = middle,
            }
        }
        before
    }

    /// The first record from `seq` on that can be read, and when it was decided.
    fn decided_at(&self, seq: u64) -> Option<(u64, Timestamp)> {
        let one = PageLimit { records: 1, bytes: usize::MAX };
        let page = self
            .log
            .scan(seq, one)
            .inspect_err(|fault| tracing::error!(%fault, seq, "the log cannot be read"))
            .ok()?;
        let stored = page.records.first()?;
        decode_header(&stored.header).ok().map(|header| (stored.position.seq, header.at))
    }
}
