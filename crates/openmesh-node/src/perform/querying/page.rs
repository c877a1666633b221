//! One page of an answer: records that match and may be read, in order, within its bounds.

use super::{Answered, Looked};
use crate::perform::reading::decode;
use openmesh_adapter::now;
use openmesh_core::record::{Record, to_json};
use openmesh_core::{Matcher, Question, View, as_seen_by, may_ask_for, may_read};
use openmesh_message::Problem;
use openmesh_message::frame::LogPage;
use openmesh_store::{Fault, LogReader, PageLimit, StoredRecord};

/// Records one question looks at before it answers with what it found so far.
const LOOKED_AT_MAX: u64 = 50_000;
/// Bytes of one answer.
const PAGE_BYTES_MAX: usize = 512 * 1024;
/// Records read at once on the way back through the log.
const BLOCK_RECORDS: u64 = 256;

/// A page being filled.
pub(super) struct Filling<'a> {
    view: &'a View,
    question: &'a Question,
    matcher: Matcher,
    page: LogPage,
    bytes: usize,
    /// The last record looked at.
    through_seq: u64,
    is_full: bool,
}

impl<'a> Filling<'a> {
    pub(super) fn new(view: &'a View, question: &'a Question) -> Self {
        Self {
            view,
            question,
            matcher: Matcher::new(&question.filter),
            page: LogPage::default(),
            bytes: 0,
            through_seq: question.after_seq,
            is_full: false,
        }
    }

    /// Looks through the log until the page is full, the log ends, or enough was looked at.
    pub(super) fn fill(mut self, log: &LogReader) -> Answered {
        let head_seq = log.head_seq();
        if !self.may_ask() {
            // As if there were nothing: no record is looked at before this is decided.
            return Ok(Looked { page: LogPage::default(), through_seq: head_seq });
        }
        let filled = if self.question.newest_first {
            self.fill_down(log, head_seq)
        } else {
            self.fill_up(log, head_seq)
        };
        filled.map_err(|fault| Box::new(Problem::new("store.fault", fault.to_string())))?;
        let is_end =
            if self.question.newest_first { self.through_seq <= 1 } else { self.through_seq >= head_seq };
        self.page.next_after_seq = (!is_end).then_some(self.through_seq);
        Ok(Looked { page: self.page, through_seq: self.through_seq })
    }

    /// A filter that names one topic is decided as that topic; others record by record.
    fn may_ask(&self) -> bool {
        let topic = self.question.filter.topic.as_ref().and_then(|topic| topic.parse().ok());
        topic.is_none_or(|topic| may_ask_for(self.view, &self.question.agent, topic))
    }

    fn fill_up(&mut self, log: &LogReader, head_seq: u64) -> Result<(), Fault> {
        let last = head_seq.min(self.through_seq.saturating_add(LOOKED_AT_MAX));
        while !self.is_full && self.through_seq < last {
            let read = log.scan(self.through_seq + 1, PageLimit::default())?;
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

    fn fill_down(&mut self, log: &LogReader, head_seq: u64) -> Result<(), Fault> {
        let newest = match self.question.after_seq {
            0 => head_seq,
            after => head_seq.min(after - 1),
        };
        self.through_seq = newest + 1;
        let last = newest.saturating_sub(LOOKED_AT_MAX) + 1;
        let mut block = BLOCK_RECORDS;
        while !self.is_full && self.through_seq > last {
            let first = self.through_seq.saturating_sub(block).max(1);
            let read = read_to(log, first, self.through_seq - 1)?;
            let reached = read.first().map_or(first, |stored| stored.position.seq);
            for stored in read.iter().rev() {
                self.take(stored);
                if self.is_full {
                    return Ok(());
                }
            }
            // Large records are read in smaller blocks, since what comes before the last page is read again.
            block = if reached > first { (self.through_seq - reached).max(1) } else { BLOCK_RECORDS };
            self.through_seq = reached;
        }
        Ok(())
    }

    fn take(&mut self, stored: &StoredRecord) {
        let record = decode(stored).filter(|record| self.matcher.matches(record));
        if let Some(record) = record.filter(|record| may_read(self.view, &self.question.agent, record, now()))
        {
            let text = render(&as_seen_by(self.view, &self.question.agent, &record));
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

/// The records up to `last`, as many before it from `first` on as fit one page of the log.
fn read_to(log: &LogReader, first: u64, last: u64) -> Result<Vec<StoredRecord>, Fault> {
    let mut from = first;
    loop {
        let records = usize::try_from(last - from + 1).unwrap_or(usize::MAX);
        let read = log.scan(from, PageLimit { records, ..PageLimit::default() })?;
        if read.next_seq > last || read.next_seq <= from {
            return Ok(read.records);
        }
        from = read.next_seq;
    }
}

/// A record as text; one that would not fit an answer is shown without its payload.
fn render(record: &Record) -> String {
    let mut row = to_json(record);
    let text = row.to_string();
    if text.len() <= PAGE_BYTES_MAX {
        return text;
    }
    if let Some(payload) = row.pointer_mut("/message/payload") {
        *payload = serde_json::Value::Null;
    }
    if let Some(row) = row.as_object_mut() {
        row.insert("truncated".to_owned(), serde_json::Value::Bool(true));
    }
    row.to_string()
}
