//! One page of an answer: records that match and may be read, in order, within its bounds.

use super::candidates::sought;
use super::{Answered, Looked};
use crate::perform::Kept;
use crate::perform::reading::{Ahead, let_go};
use openmesh_adapter::metrics::LOG_LOOKUPS;
use openmesh_adapter::now;
use openmesh_core::{Looking, Question, Stored, View, may_ask_for};
use openmesh_message::Problem;
use openmesh_message::frame::LogPage;
use openmesh_store::{Candidate, Fault, Found, LogReader, PageLimit, ProjectionFault, StoredRecord};

/// Records one question looks at before it answers with what it found so far.
const LOOKED_AT_MAX: u64 = 1_000;
/// Records that a question looks at for which no other thread is woken.
const LOOKED_AT_BRIEFLY_MAX: u64 = 8;
/// Bytes of one answer.
const PAGE_BYTES_MAX: usize = 512 * 1024;
/// Records read at once on the way back through the log.
const BLOCK_RECORDS: u64 = 256;
/// Records that the index may be behind without being called so: they are read from the log for every question.
const BEHIND_MAX: u64 = 2_000;

/// How a look into the index ended.
enum FromIndex {
    /// The page is full, or enough was looked at.
    PageEnds,
    /// There is nothing more in what the index covers, which ends with this record.
    AllThrough(u64),
    /// The index cannot say: the log is left to answer.
    Failed,
}

/// A page being filled.
pub(super) struct Filling<'a> {
    view: &'a View,
    question: &'a Question,
    looking: Looking<'a>,
    page: LogPage,
    bytes: usize,
    /// The last record looked at.
    through_seq: u64,
    looked_at: u64,
    looked_at_max: u64,
    is_full: bool,
}

impl<'a> Filling<'a> {
    pub(super) fn new(view: &'a View, question: &'a Question) -> Self {
        Self {
            view,
            question,
            looking: Looking::new(view, question.agent, &question.filter, now(), PAGE_BYTES_MAX),
            page: LogPage::default(),
            bytes: 0,
            through_seq: question.after_seq,
            looked_at: 0,
            looked_at_max: LOOKED_AT_MAX,
            is_full: false,
        }
    }

    /// Looks at few records, whatever comes of it.
    pub(super) fn briefly(self) -> Self {
        Self { looked_at_max: LOOKED_AT_BRIEFLY_MAX, ..self }
    }

    /// Looks until the page is full, the log ends, or enough was looked at: through the index as far as it goes, through
    /// the log where it does not.
    pub(super) fn fill(mut self, kept: &Kept) -> Answered {
        let head_seq = kept.log.head_seq();
        if self.is_let_go(&kept.log) {
            return Err(Box::new(let_go(self.question.after_seq + 1, &kept.log)));
        }
        self.page.index_building = building(kept.index.covered_seq(), head_seq);
        if !self.may_ask() {
            // As if there were nothing: no record is looked at before this is decided.
            self.through_seq = head_seq;
            return Ok(self.finish(None));
        }
        let filled = if self.question.newest_first {
            self.fill_down(kept, head_seq)
        } else {
            self.fill_up(kept, head_seq)
        };
        count_lookups("log", self.looked_at);
        filled.map_err(|fault| Box::new(Problem::new("store.fault", fault.to_string())))?;
        let is_end = if self.question.newest_first {
            self.through_seq <= kept.log.first_seq()
        } else {
            self.through_seq >= head_seq
        };
        let next = (!is_end).then_some(self.through_seq);
        Ok(self.finish(next))
    }

    fn finish(mut self, next: Option<u64>) -> Looked {
        self.page.next_after_seq = next;
        Looked { page: self.page, through_seq: self.through_seq }
    }

    /// Whoever goes on where it was is told that records in between were let go; whoever begins, begins with the first.
    fn is_let_go(&self, log: &LogReader) -> bool {
        let after_seq = self.question.after_seq;
        !self.question.newest_first && after_seq > 0 && after_seq + 1 < log.first_seq()
    }

    /// A filter that names one topic is decided as that topic; others record by record.
    fn may_ask(&self) -> bool {
        let topic = self.question.filter.topic.as_ref().and_then(|topic| topic.parse().ok());
        topic.is_none_or(|topic| may_ask_for(self.view, &self.question.agent, topic))
    }

    fn fill_up(&mut self, kept: &Kept, head_seq: u64) -> Result<(), Fault> {
        match self.fill_from_index(kept)? {
            FromIndex::PageEnds => return Ok(()),
            FromIndex::AllThrough(seq) => self.through_seq = self.through_seq.max(seq),
            FromIndex::Failed => {}
        }
        let last = head_seq.min(self.through_seq.saturating_add(self.looked_at_max));
        while !self.is_full && self.through_seq < last {
            let records = usize::try_from(last - self.through_seq).unwrap_or(usize::MAX);
            let limit = PageLimit::default();
            let limit = PageLimit { records: records.min(limit.records), ..limit };
            let read = kept.log.scan(self.through_seq + 1, limit)?;
            for stored in &read.records {
                self.take(stored);
                if self.is_full {
                    return Ok(());
                }
            }
            self.through_seq = read.next_seq - 1;
        }
        Ok(())
    }

    fn fill_down(&mut self, kept: &Kept, head_seq: u64) -> Result<(), Fault> {
        let newest = match self.question.after_seq {
            0 => head_seq,
            after => head_seq.min(after - 1),
        };
        self.through_seq = newest + 1;
        let covered_seq = kept.index.covered_seq();
        self.scan_down(&kept.log, (covered_seq + 1).max(kept.log.first_seq()))?;
        if self.is_full || self.through_seq > covered_seq + 1 {
            return Ok(());
        }
        match self.fill_from_index(kept)? {
            FromIndex::PageEnds => Ok(()),
            FromIndex::AllThrough(_) => {
                self.through_seq = 1;
                Ok(())
            }
            FromIndex::Failed => self.scan_down(&kept.log, kept.log.first_seq()),
        }
    }

    /// Looks through the log backwards to a record, or as far as one page looks.
    fn scan_down(&mut self, log: &LogReader, first: u64) -> Result<(), Fault> {
        let last = first.max(self.through_seq.saturating_sub(self.looked_at_max));
        let mut block = BLOCK_RECORDS.min(self.looked_at_max);
        while !self.is_full && self.through_seq > last {
            let from = self.through_seq.saturating_sub(block).max(last);
            let read = read_to(log, from, self.through_seq - 1)?;
            for stored in read.records.iter().rev() {
                self.take(stored);
                if self.is_full {
                    return Ok(());
                }
            }
            // Large records are read in smaller blocks, since what comes before the last page is read again.
            block = if read.from > from { (self.through_seq - read.from).max(1) } else { BLOCK_RECORDS };
            self.through_seq = read.from;
        }
        Ok(())
    }

    /// Takes the candidates that the index has.
    fn fill_from_index(&mut self, kept: &Kept) -> Result<FromIndex, Fault> {
        let mut candidates = kept.index.search(&sought(self.question));
        if !self.is_covered(candidates.covered_seq()) {
            return Ok(FromIndex::Failed);
        }
        let (budget, mut ahead) = (self.looked_at + self.looked_at_max, Ahead::new(&kept.log));
        let ended = loop {
            if self.is_full || self.looked_at >= budget {
                break FromIndex::PageEnds;
            }
            match candidates.next(self.next_seq()) {
                Ok(Found::Candidate(candidate)) => self.take_candidate(&mut ahead, candidate)?,
                Ok(Found::NoneThrough(seq)) => {
                    self.through_seq = seq;
                    break FromIndex::PageEnds;
                }
                Ok(Found::End) => break FromIndex::AllThrough(candidates.covered_seq()),
                Err(fault) => break leave_to_log(&fault),
            }
        };
        count_lookups("index", candidates.lookups());
        Ok(ended)
    }

    /// The next record to look at.
    const fn next_seq(&self) -> u64 {
        if self.question.newest_first { self.through_seq.saturating_sub(1) } else { self.through_seq + 1 }
    }

    /// On the way down the index must begin where the log was left; it may have been thrown away meanwhile.
    const fn is_covered(&self, covered_seq: u64) -> bool {
        !self.question.newest_first || covered_seq >= self.next_seq()
    }

    fn take_candidate(&mut self, ahead: &mut Ahead<'_>, candidate: Candidate) -> Result<(), Fault> {
        let wanted = (self.question.records_max as usize).saturating_sub(self.page.records.len());
        match ahead.get_at(candidate.seq, candidate.at_byte, wanted) {
            Ok(Some(stored)) => self.take(&stored),
            // Lost: as if it had never been.
            Ok(None) | Err(Fault::Damaged { .. }) => self.through_seq = candidate.seq,
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// What the asker is shown of a record.
    fn shown(&mut self, stored: &StoredRecord) -> Option<String> {
        let StoredRecord { header, salt, body, is_erased, .. } = stored;
        let shown = self.looking.show(Stored { header, salt, body, is_erased: *is_erased });
        let told =
            |error: &_| tracing::error!(%error, position = %stored.position, "a record cannot be read");
        shown.inspect_err(told).ok().flatten()
    }

    fn take(&mut self, stored: &StoredRecord) {
        self.looked_at += 1;
        if let Some(text) = self.shown(stored) {
            if self.bytes + text.len() > PAGE_BYTES_MAX && !self.page.records.is_empty() {
                self.is_full = true;
                return;
            }
            self.bytes += text.len();
            self.page.records.push(text);
        }
        self.through_seq = stored.position.seq;
        self.is_full =
            self.page.records.len() >= self.question.records_max as usize || self.bytes >= PAGE_BYTES_MAX;
    }
}

/// Consecutive records.
struct Stretch {
    /// Where it begins.
    from: u64,
    records: Vec<StoredRecord>,
}

/// The records up to `last`, as many before it from `first` on as fit one page of the log.
fn read_to(log: &LogReader, first: u64, last: u64) -> Result<Stretch, Fault> {
    let mut from = first;
    loop {
        let records = usize::try_from(last - from + 1).unwrap_or(usize::MAX);
        let read = log.scan(from, PageLimit { records, ..PageLimit::default() })?;
        if read.next_seq > last || read.next_seq <= from {
            let records = read.records.into_iter().filter(|stored| stored.position.seq <= last);
            return Ok(Stretch { from, records: records.collect() });
        }
        from = read.next_seq;
    }
}

fn leave_to_log(fault: &ProjectionFault) -> FromIndex {
    tracing::warn!(%fault, "a question is answered from the log alone");
    FromIndex::Failed
}

fn count_lookups(place: &'static str, count: u64) {
    metrics::counter!(LOG_LOOKUPS, "in" => place).increment(count);
}

/// Thousandths of the log that the index covers, while it is behind.
fn building(covered_seq: u64, head_seq: u64) -> Option<u16> {
    let is_behind = head_seq.saturating_sub(covered_seq) > BEHIND_MAX;
    is_behind.then(|| u16::try_from(covered_seq.saturating_mul(1_000) / head_seq.max(1)).unwrap_or(1_000))
}
