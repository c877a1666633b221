//! A page being filled, from memory or from a segment's frames.

use super::{Page, PageLimit};
use crate::embedded::published::Published;
use crate::embedded::segment::Latest;
use crate::embedded::walker::{Item, Walker};
use crate::record::{SeqRange, StoredRecord};
use openmesh_message::PartitionId;

pub(super) struct Filling {
    page: Page,
    partition: PartitionId,
    last_seq: u64,
    limit: PageLimit,
    bytes: usize,
    /// Read from the disk at a time.
    read_bytes: usize,
    /// Where the first record may begin.
    first_at_byte: Option<(u64, u64)>,
}

impl Filling {
    /// From one record to another, as far as the limit lets it.
    pub(super) fn new(published: &Published, (from_seq, last_seq): (u64, u64), limit: PageLimit) -> Self {
        let next_seq = from_seq.max(published.first_seq().min(last_seq + 1));
        let limit = PageLimit { records: limit.records.max(1), ..limit };
        let page = Page { next_seq, ..Page::default() };
        Self {
            page,
            partition: published.partition,
            last_seq,
            limit,
            bytes: 0,
            read_bytes: 0,
            first_at_byte: None,
        }
    }

    pub(super) fn reading(self, read_bytes: usize) -> Self {
        Self { read_bytes, ..self }
    }

    /// The first record may begin at this byte of its segment.
    pub(super) fn told(self, at: Option<u64>) -> Self {
        let first_at_byte = at.map(|at| (self.page.next_seq, at));
        Self { first_at_byte, ..self }
    }

    /// Where the next record may begin.
    pub(super) fn told_at_byte(&self) -> Option<u64> {
        self.first_at_byte.filter(|(seq, _)| *seq == self.page.next_seq).map(|(_, at)| at)
    }

    pub(super) const fn read_bytes(&self) -> usize {
        self.read_bytes
    }

    pub(super) const fn next_seq(&self) -> u64 {
        self.page.next_seq
    }

    pub(super) fn into_page(self) -> Page {
        self.page
    }

    pub(super) fn is_full(&self) -> bool {
        self.page.next_seq > self.last_seq
            || self.page.records.len() >= self.limit.records
            || (self.bytes >= self.limit.bytes && !self.page.records.is_empty())
    }

    /// Takes what stands in memory; false when the next record does not.
    pub(super) fn take_recent(&mut self, published: &Published) -> bool {
        let seq = self.page.next_seq;
        let Some(batch) = published.recent_batch(seq) else {
            return false;
        };
        while !self.is_full()
            && let Some(record) = batch.get(self.page.next_seq, self.partition)
        {
            self.push(record);
        }
        self.page.next_seq > seq
    }

    /// What was let go while it was read is no more: the log begins later than it did. False when it does not.
    pub(super) fn pass_over_gone(&mut self, published: &Published) -> bool {
        let first_seq = published.first_seq();
        let is_gone = self.page.next_seq < first_seq;
        if is_gone {
            self.page.next_seq = first_seq.min(self.last_seq + 1);
        }
        is_gone
    }

    /// Takes what a walk through a segment comes to, whose last record can be `segment_last`; each record's number and
    /// place are noted.
    pub(super) fn take_from(
        &mut self,
        walker: &mut Walker,
        latest: &mut Latest,
        segment_last: u64,
        mut note: impl FnMut(u64, u64),
    ) -> std::io::Result<()> {
        let last = segment_last.min(self.last_seq);
        while !self.is_full() && self.page.next_seq <= last {
            let (at, head, frame) = match walker.next()? {
                Some(item) if latest.is_before(&item) => continue,
                Some(Item::Record { at, head, frame }) => (at, head, frame),
                Some(_) => continue,
                None => {
                    self.lose_through(last);
                    break;
                }
            };
            note(head.seq, at);
            if head.seq < self.page.next_seq {
                continue;
            }
            self.lose_through((head.seq - 1).min(last));
            if head.seq <= last
                && let Some(record) = head.cut(&frame, self.partition, at)
            {
                self.push(record);
            }
        }
        Ok(())
    }

    fn push(&mut self, record: StoredRecord) {
        self.bytes = self.bytes.saturating_add(record.header.len() + record.body.len());
        self.page.next_seq = record.position.seq + 1;
        self.page.records.push(record);
    }

    fn lose_through(&mut self, last: u64) {
        if self.page.next_seq <= last {
            self.page.lost.push(SeqRange { first: self.page.next_seq, last });
            self.page.next_seq = last + 1;
        }
    }
}
