//! Reads much of a log in order: a segment is walked once, and the kernel is told to read ahead.

use super::filling::Filling;
use super::{Page, PageLimit};
use crate::embedded::published::Published;
use crate::embedded::segment::{Latest, Marks, Segment};
use crate::embedded::walker::Walker;
use crate::fault::Fault;
use std::sync::Arc;

/// Read at a time: what is checked has just been copied, and is in the processor's memory.
const READ_BYTES: usize = 128 * 1024;

/// A place in a log, and what was read there.
#[derive(Debug)]
pub struct Sequence {
    published: Arc<Published>,
    next_seq: u64,
    walk: Option<Walk>,
}

/// A walk through a segment, up to what was synced when it began.
#[derive(Debug)]
struct Walk {
    segment: Arc<Segment>,
    last_seq: u64,
    walker: Walker,
    latest: Latest,
    /// Where records begin, if the segment is walked from its beginning and nobody knows yet.
    marks: Option<Marks>,
    /// Whether it goes to the segment's end.
    is_whole: bool,
}

impl Sequence {
    pub(super) fn new(published: Arc<Published>, next_seq: u64) -> Self {
        Self { published, next_seq, walk: None }
    }

    /// The record that the next page begins with.
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The next records, up to the limit or the head. Errors: `Io`.
    pub fn page(&mut self, limit: PageLimit) -> Result<Page, Fault> {
        self.page_to(self.published.head_seq(), limit)
    }

    /// The same up to a record.
    pub(super) fn page_to(&mut self, last_seq: u64, limit: PageLimit) -> Result<Page, Fault> {
        let mut filling = Filling::new(&self.published, (self.next_seq, last_seq), limit);
        while !filling.is_full() {
            if filling.take_recent(&self.published) {
                self.walk = None;
                continue;
            }
            let seq = filling.next_seq();
            let Some((segment, segment_last)) = self.published.segment_of(seq) else {
                if filling.pass_over_gone(&self.published) {
                    continue;
                }
                break;
            };
            self.take(&segment, segment_last, &mut filling).map_err(|error| segment.fault("read", &error))?;
        }
        self.next_seq = filling.next_seq();
        Ok(filling.into_page())
    }

    fn take(
        &mut self,
        segment: &Arc<Segment>,
        segment_last: u64,
        filling: &mut Filling,
    ) -> std::io::Result<()> {
        let seq = filling.next_seq();
        // Not one that was rewritten meanwhile, and no further than was synced when it was read.
        let goes_on = |walk: &Walk| Arc::ptr_eq(&walk.segment, segment) && seq <= walk.last_seq;
        let mut walk = match self.walk.take().filter(goes_on) {
            Some(walk) => walk,
            None => Walk::begin(segment, segment_last, seq, self.published.head_seq())?,
        };
        let Walk { walker, latest, marks, last_seq, .. } = &mut walk;
        filling.take_from(walker, latest, *last_seq, |seq, at| {
            if let Some(marks) = marks {
                marks.push(seq, at);
            }
        })?;
        if filling.next_seq() <= walk.last_seq {
            self.walk = Some(walk);
        } else {
            walk.end();
        }
        Ok(())
    }

    pub(super) fn file_of(&self, seq: u64) -> String {
        self.published.file_of(seq)
    }
}

impl Walk {
    fn begin(segment: &Arc<Segment>, segment_last: u64, seq: u64, head_seq: u64) -> std::io::Result<Self> {
        let (known, begin) = (segment.marked(seq), segment.data_start());
        let mut walker = segment.walk(known.unwrap_or(begin), READ_BYTES).read_ahead();
        let from_beginning = known.is_none() && seq <= segment.header.first_seq;
        let latest = Latest::after(segment, walker.pass_over(seq)?);
        Ok(Self {
            segment: Arc::clone(segment),
            last_seq: segment_last.min(head_seq),
            walker,
            latest,
            marks: from_beginning.then(Marks::default),
            is_whole: segment_last <= head_seq,
        })
    }

    /// What was learned on the way serves those who look for one record.
    fn end(self) {
        if let Some(marks) = self.marks.filter(|_| self.is_whole) {
            self.segment.set_marks(marks);
        }
    }
}
