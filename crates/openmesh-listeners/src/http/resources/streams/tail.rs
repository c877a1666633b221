//! `GET /v1/tail`: the log as it grows, as a stream of server-sent events.

use super::sse::{EVENT_STREAM, Source, Told, respond};
use crate::http::door::Line;
use crate::http::operation::{Access, Answer, Call, Operation};
use crate::http::problem::Failure;
use crate::http::resources::log::{expression_of, filter_of, with_filter};
use crate::http::shape::{NUMBER_MAX, Shape};
use axum::http::Method;
use openmesh_core::RowFilter;
use openmesh_message::Scope;
use openmesh_message::frame::{Command, LogFilter, Reply};
use serde_json::Value;
use std::sync::Arc;

/// How long one question waits for a record.
const WAIT_MS: u64 = 10_000;
/// Records of one question.
const RECORDS_MAX: u32 = 100;
/// Stands for the log's head: what comes from here on.
const HEAD: u64 = u64::MAX;

pub(super) fn operation() -> Operation {
    let operation = Operation::new(Method::GET, "/v1/tail", "tailLog", |call| Box::pin(run(call)))
        .about(
            "log",
            "Follows the log",
            "Each event's data is a record, its `id` the record's number: with `Last-Event-ID` a stream goes on after \
             it. All filters given must fit.",
        )
        .access(Access::Scope(Scope::Read));
    with_filter(operation)
        .in_header("Last-Event-ID", Shape::Integer(0, NUMBER_MAX), "Go on after this record.")
        .answers_media(200, "The stream", EVENT_STREAM, Shape::Json)
}

async fn run(call: Call) -> Answer {
    let filter = filter_of(&call)?;
    let expression = expression_of(&call)?;
    let after_seq = call.number("Last-Event-ID").unwrap_or(HEAD);
    let (line, _) = Line::open_stream(call.caller.agent, false, &call.door.mesh).await?;
    let mut tail = Tail { line, filter, expression, after_seq };
    if after_seq == HEAD {
        tail.ask(1).await?;
    }
    let Call { door, caller, .. } = call;
    Ok(respond(door, caller, tail))
}

/// Where a tail is in the log.
struct Tail {
    line: Arc<Line>,
    filter: LogFilter,
    expression: Option<RowFilter>,
    after_seq: u64,
}

impl Tail {
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

impl Source for Tail {
    async fn next(&mut self) -> Option<Vec<Told>> {
        let records = self.ask(WAIT_MS).await.ok()?;
        let tell =
            |record: Value| Told { event: None, id: record.get("seq").and_then(Value::as_u64), data: record };
        Some(records.into_iter().map(tell).collect())
    }
}
