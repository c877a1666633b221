//! `GET /v1/inbox/messages`: looks at the caller's inbox without taking anything.

use crate::http::operation::{Access, Answer, Call, Operation, json_answer};
use crate::http::shape::{NUMBER_MAX, Shape, required, text, word};
use axum::http::{Method, StatusCode};
use openmesh_core::Rejection;
use openmesh_message::Scope;
use openmesh_message::cloudevents::to_value;
use openmesh_message::frame::{Command, HeldState, Peeked, Reply};
use serde_json::{Value, json};

/// Messages of one page.
const PAGE_MESSAGES_MAX: i64 = 256;
const PAGE_MESSAGES: u64 = 50;

pub(super) fn operation() -> Operation {
    let nullable = |shape| Shape::Any(vec![shape, Shape::Null]);
    let seen = Shape::Object(vec![
        required("number", Shape::Integer(1, NUMBER_MAX), "in the inbox"),
        required("state", word(&["ready", "delayed", "leased"]), "whether it can be leased"),
        required("until", nullable(text(40)), "until when it is delayed or leased"),
        required("attempts", Shape::Integer(0, i64::from(u32::MAX)), "how often it was leased"),
        required("priority", word(&["critical", "urgent", "normal", "bulk"]), ""),
        required("digest", text(43), "the message's digest, as `parents` names it"),
        required("event", Shape::Named("Event"), "the message"),
    ]);
    let page = Shape::Object(vec![
        required("messages", Shape::List(Box::new(seen), PAGE_MESSAGES_MAX as usize), ""),
        required(
            "next_after",
            nullable(Shape::Integer(1, NUMBER_MAX)),
            "where the next page begins; null at the end",
        ),
    ]);
    Operation::new(Method::GET, "/v1/inbox/messages", "peekInbox", |call| Box::pin(run(call)))
        .about("inbox", "Looks at the inbox", "Nothing is leased, and nothing counts as delivered.")
        .access(Access::Scope(Scope::Inbox))
        .in_query("after", Shape::Integer(0, NUMBER_MAX), "Begin after this number.")
        .in_query("pageSize", Shape::Integer(1, PAGE_MESSAGES_MAX), "At most this many; 50 if not said.")
        .answers(200, "A page", page)
}

async fn run(call: Call) -> Answer {
    let after_number = call.number("after").unwrap_or(0);
    let messages_max = u32::try_from(call.number("pageSize").unwrap_or(PAGE_MESSAGES)).unwrap_or(u32::MAX);
    let Reply::Peeked(page) =
        call.door.ask(call.caller.agent, Command::Peek { after_number, messages_max }).await?
    else {
        return Err(Rejection::NotFound.into());
    };
    let messages: Vec<_> = page.entries.iter().map(seen_json).collect();
    Ok(json_answer(StatusCode::OK, &json!({"messages": messages, "next_after": page.next_after_number})))
}

fn seen_json(seen: &Peeked) -> Value {
    let (state, until) = match seen.state {
        HeldState::Ready => ("ready", None),
        HeldState::Delayed(until) => ("delayed", Some(until.to_string())),
        HeldState::Leased(until) => ("leased", Some(until.to_string())),
    };
    json!({
        "number": seen.number, "state": state, "until": until, "attempts": seen.attempts,
        "priority": seen.priority, "digest": seen.envelope.digest(), "event": to_value(&seen.envelope),
    })
}
