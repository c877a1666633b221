//! The log as it grows: one question after another, each of which waits for a record.

use super::filter::{expression_of, filter_of};
use crate::http::door::Line;
use crate::http::operation::Call;
use crate::http::problem::Failure;
use openmesh_core::RowFilter;
use openmesh_message::frame::{Command, LogFilter, Reply};
use serde_json::Value;
use std::sync::Arc;

/// How long one question waits for a record.
const WAIT_MS: u64 = 10_000;
/// Records of one question.
const RECORDS_MAX: u32 = 100;
/// Stands for the log's head: what comes from here on.
const HEAD: u64 = u64::MAX;

/// Where a caller is in the log.
pub(crate) struct Follow {
    line: Arc<Line>,
    filter: LogFilter,
    expression: Option<RowFilter>,
    after_seq: u64,
}

impl Follow {
    /// Goes on after a record, or begins at the head of this moment, with the filter that the call names.
    pub(crate) async fn open(call: &Call, after_seq: Option<u64>) -> Result<Self, Failure> {
        let filter = filter_of(call)?;
        let expression = expression_of(call)?;
        let (line, _) = Line::open_stream(call.caller.agent, false, &call.door.mesh).await?;
        let mut follow = Self { line, filter, expression, after_seq: after_seq.unwrap_or(HEAD) };
        if after_seq.is_none() {
            follow.ask(1).await?;
        }
        Ok(follow)
    }

    /// The next records, after some time none; `None` when the node does not answer any more.
    pub(crate) async fn next(&mut self) -> Option<Vec<Value>> {
        self.ask(WAIT_MS).await.ok()
    }

    async fn ask(&mut self, wait_ms: u64) -> Result<Vec<Value>, Failure> {
        let command = Command::QueryLog {
            filter: Box::new(self.filter.clone()),
            after_seq: self.after_seq,
            records_max: RECORDS_MAX,
            wait_ms,
            newest_first: false,
        };
        let Reply::Log(page) = self.line.ask(command).await? else { return Ok(Vec::new()) };
        let records = page.records.iter().filter_map(|record| serde_json::from_str(record).ok());
        let fits = |record: &Value| self.expression.as_ref().is_none_or(|expression| expression.fits(record));
        let records: Vec<Value> = records.filter(fits).collect();
        self.after_seq = page.next_after_seq.unwrap_or(self.after_seq);
        Ok(records)
    }
}
