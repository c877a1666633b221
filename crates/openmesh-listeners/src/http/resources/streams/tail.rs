//! `GET /v1/tail`: the log as it grows, as a stream of server-sent events.

use super::sse::{EVENT_STREAM, Source, Told, respond};
use crate::http::operation::{Access, Answer, Call, Operation};
use crate::http::resources::log::{Follow, with_filter};
use crate::http::shape::{NUMBER_MAX, Shape};
use axum::http::Method;
use openmesh_message::Scope;
use serde_json::Value;

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
    let follow = Follow::open(&call, call.number("Last-Event-ID")).await?;
    let Call { door, caller, .. } = call;
    Ok(respond(door, caller, follow))
}

impl Source for Follow {
    async fn next(&mut self) -> Option<Vec<Told>> {
        let records = Self::next(self).await?;
        let tell =
            |record: Value| Told { event: None, id: record.get("seq").and_then(Value::as_u64), data: record };
        Some(records.into_iter().map(tell).collect())
    }
}
