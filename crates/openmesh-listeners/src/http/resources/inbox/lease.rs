//! `POST /v1/inbox:lease`: takes messages out of the caller's inbox for a while.

use super::{LEASE_MESSAGES_MAX, VISIBILITY_MS_MAX, fencing_token};
use crate::http::operation::{Access, Answer, Call, Operation, json_answer};
use crate::http::shape::{NUMBER_MAX, Shape, optional, required, text, word};
use axum::http::{Method, StatusCode};
use openmesh_message::cloudevents::to_value;
use openmesh_message::frame::{Command, Leased, Reply};
use openmesh_message::{Priority, Scope};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Longest wait for mail.
const WAIT_MS_MAX: i64 = 60_000;

#[derive(Deserialize)]
struct Asked {
    #[serde(default = "one")]
    messages_max: u32,
    #[serde(default = "half_a_minute")]
    visibility_ms: u64,
    #[serde(default)]
    wait_ms: u64,
    least: Option<Priority>,
}

const fn one() -> u32 {
    1
}

const fn half_a_minute() -> u64 {
    30_000
}

pub(super) fn operation() -> Operation {
    let asked = Shape::Object(vec![
        optional("messages_max", Shape::Integer(1, LEASE_MESSAGES_MAX), "at most this many; 1 if not said"),
        optional("visibility_ms", Shape::Integer(1, VISIBILITY_MS_MAX), "for how long; 30,000 if not said"),
        optional(
            "least",
            word(&["critical", "urgent", "normal", "bulk"]),
            "only messages at least so urgent",
        ),
        optional("wait_ms", Shape::Integer(0, WAIT_MS_MAX), "how long to wait when there is none"),
    ]);
    let leased = Shape::Object(vec![
        required("token", fencing_token(), "the fencing token of the lease"),
        required("number", Shape::Integer(1, NUMBER_MAX), "in the inbox"),
        required("attempt", Shape::Integer(1, i64::from(u32::MAX)), "how often it was leased"),
        required("digest", text(43), "the message's digest, as `parents` names it"),
        required("event", Shape::Named("Event"), "the message"),
    ]);
    let list = Shape::List(Box::new(leased), LEASE_MESSAGES_MAX as usize);
    let messages = Shape::Object(vec![required("messages", list, "none if there is no mail")]);
    Operation::new(Method::POST, "/v1/inbox:lease", "leaseInbox", |call| Box::pin(run(call)))
        .about("inbox", "Leases messages", "What is not acknowledged in time can be leased again.")
        .access(Access::Scope(Scope::Inbox))
        .takes(asked, json!({"messages_max": 10, "visibility_ms": 30_000}))
        .answers(200, "The messages", messages)
        .problems(&[415])
}

async fn run(call: Call) -> Answer {
    let Asked { messages_max, visibility_ms, wait_ms, least } = call.json()?;
    let command = Command::Lease { messages_max, visibility_ms, wait_ms, least };
    let wait = Duration::from_millis(wait_ms);
    let leased = match call.door.ask_within(call.caller.agent, command, wait).await? {
        Reply::Leased(leased) => leased,
        _ => Vec::new(),
    };
    let messages: Vec<_> = leased.iter().map(leased_json).collect();
    Ok(json_answer(StatusCode::OK, &json!({"messages": messages})))
}

fn leased_json(leased: &Leased) -> Value {
    let Leased { token, number, attempt, envelope } = leased;
    let digest = envelope.digest();
    json!({"token": token, "number": number, "attempt": attempt, "digest": digest, "event": to_value(envelope)})
}
