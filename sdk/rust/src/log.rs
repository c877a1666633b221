//! Questions about the log: page by page, or as a tail that goes on with what comes.

use crate::commands::parse_rows;
use crate::{Mesh, SdkError};
use openmesh_message::frame::{Command, LogFilter, LogPage, Reply};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;

const PAGE_RECORDS: u32 = 256;
/// How long one question of a tail waits for a record; the longest there is, less what the way takes.
const TAIL_WAIT: Duration = Duration::from_secs(30);
/// Above every record: a tail that begins there begins with what comes.
const END_OF_LOG: u64 = u64::MAX;

/// The pages of a question to the log.
pub struct LogPages {
    mesh: Mesh,
    filter: LogFilter,
    after_seq: Option<u64>,
    page_records_max: u32,
    newest_first: bool,
    index_building: Option<f64>,
}

/// What matches a filter, as it comes. Loses nothing and repeats nothing while one connection follows another:
/// it asks for what is above the last record it has seen.
pub struct Tail {
    mesh: Mesh,
    filter: LogFilter,
    after_seq: u64,
    records: VecDeque<Value>,
}

impl Mesh {
    /// A question to the log, answered page by page.
    pub fn query_log(&self, filter: LogFilter) -> LogPages {
        LogPages {
            mesh: self.clone(),
            filter,
            after_seq: Some(0),
            page_records_max: PAGE_RECORDS,
            newest_first: false,
            index_building: None,
        }
    }

    /// The records that match a filter, from this moment on.
    pub async fn tail(&self, filter: LogFilter) -> Result<Tail, SdkError> {
        let mut tail = self.tail_after(filter, END_OF_LOG);
        tail.ask(Duration::from_millis(1)).await?;
        Ok(tail)
    }

    /// The records that match a filter, from after a record on: 0 is the beginning of the log.
    pub fn tail_after(&self, filter: LogFilter, seq: u64) -> Tail {
        Tail { mesh: self.clone(), filter, after_seq: seq, records: VecDeque::new() }
    }

    async fn log_page(&self, command: Command, wait: Duration) -> Result<LogPage, SdkError> {
        match self.connection().command("query_log", command, wait).await? {
            Reply::Log(page) => Ok(page),
            _ => Err(SdkError::UnexpectedReply("query_log")),
        }
    }
}

impl LogPages {
    /// Begins after a record; newest first, below it.
    #[must_use]
    pub const fn after(mut self, seq: u64) -> Self {
        self.after_seq = Some(seq);
        self
    }

    /// Begins with the newest record.
    #[must_use]
    pub const fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// At most so many records a page.
    #[must_use]
    pub const fn page_records_max(mut self, records: u32) -> Self {
        self.page_records_max = records;
        self
    }

    /// Where the next page begins; `None` after the last.
    pub const fn next_after_seq(&self) -> Option<u64> {
        self.after_seq
    }

    /// How much of the log the node's index covered at the last page, from 0 to 1; `None` when all of it.
    pub const fn index_building(&self) -> Option<f64> {
        self.index_building
    }

    /// The next page, one JSON object a record; `None` after the last.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Value>>, SdkError> {
        let Some(after_seq) = self.after_seq else {
            return Ok(None);
        };
        let command = Command::QueryLog {
            filter: Box::new(self.filter.clone()),
            after_seq,
            records_max: self.page_records_max,
            wait_ms: 0,
            newest_first: self.newest_first,
        };
        let LogPage { records, next_after_seq, index_building } =
            self.mesh.log_page(command, Duration::ZERO).await?;
        if next_after_seq.is_some_and(|next| !self.goes_on(after_seq, next)) {
            return Err(SdkError::UnexpectedReply("query_log"));
        }
        self.after_seq = next_after_seq;
        self.index_building = index_building.map(|thousandths| f64::from(thousandths) / 1_000.0);
        Ok(Some(parse_rows(&records)?))
    }

    /// Reads pages until there are no more or `records_max` are read.
    pub async fn collect(mut self, records_max: usize) -> Result<Vec<Value>, SdkError> {
        let mut records = Vec::new();
        while records.len() < records_max
            && let Some(page) = self.next_page().await?
        {
            records.extend(page);
        }
        records.truncate(records_max);
        Ok(records)
    }

    /// A node that never comes to an end is found out.
    const fn goes_on(&self, after_seq: u64, next: u64) -> bool {
        if self.newest_first { after_seq == 0 || next < after_seq } else { next > after_seq }
    }
}

impl Tail {
    /// Where to begin again after a break: everything up to this record was handed over or does not match.
    pub fn resume_after(&self) -> u64 {
        let waiting = self.records.front().and_then(seq_of);
        waiting.map_or(self.after_seq, |seq| seq.saturating_sub(1))
    }

    /// The next record, as one JSON object. Waits for as long as it takes; an error leaves the tail where it was, so
    /// that it can be asked again after [`Mesh::reconnect`]. Cancel-safe.
    pub async fn next(&mut self) -> Result<Value, SdkError> {
        loop {
            if let Some(record) = self.records.pop_front() {
                return Ok(record);
            }
            self.ask(TAIL_WAIT).await?;
        }
    }

    /// Asks once for what comes within a time.
    async fn ask(&mut self, wait: Duration) -> Result<(), SdkError> {
        let command = Command::QueryLog {
            filter: Box::new(self.filter.clone()),
            after_seq: self.after_seq,
            records_max: PAGE_RECORDS,
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            newest_first: false,
        };
        let page = self.mesh.log_page(command, wait).await?;
        let goes_on = |next: &u64| match self.after_seq {
            END_OF_LOG => true,
            after => *next > after || (*next == after && page.records.is_empty()),
        };
        let next = page.next_after_seq.filter(goes_on).ok_or(SdkError::UnexpectedReply("query_log"))?;
        self.records.extend(parse_rows(&page.records)?);
        self.after_seq = next;
        Ok(())
    }
}

fn seq_of(record: &Value) -> Option<u64> {
    record.get("seq").and_then(Value::as_u64)
}
