//! `POST /v1/requests`: sends a request and gathers replies until there are enough, or the time is over.

use super::outcome::{accepted_or_problem, outcome_json};
use super::post::{in_trace_of, read_one};
use crate::http::door::{Line, new_id};
use crate::http::operation::{Access, Answer, Call, Operation, json_answer};
use crate::http::problem::Failure;
use crate::http::shape::{Shape, required};
use axum::http::{Method, StatusCode};
use openmesh_adapter::now;
use openmesh_core::Rejection;
use openmesh_message::cloudevents::{self, JSON, STRUCTURED_JSON};
use openmesh_message::frame::{Delivery, SendOutcome};
use openmesh_message::{Envelope, Scope};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

/// Replies gathered at most.
const REPLIES_MAX: i64 = 256;
/// Longest wait for them.
const WAIT_MS_MAX: i64 = 60_000;
const WAIT_MS: u64 = 10_000;

const ABOUT: &str = "While it waits, the agent counts as connected. Whatever reaches it meanwhile and answers \
something else is returned under `others`.";

pub(super) fn operation() -> Operation {
    let example = json!({"to": "agent:bob", "data": {"ask": "price"}});
    let events = || Shape::List(Box::new(Shape::Named("Event")), 4_096);
    let gathered = Shape::Object(vec![
        required("request", Shape::Named("Outcome"), "how the request itself ended"),
        required("replies", events(), "in the order they came"),
        required("others", events(), "messages that came meanwhile and answer something else"),
        required("complete", Shape::Boolean, "whether as many replies came as were asked for"),
    ]);
    Operation::new(Method::POST, "/v1/requests", "request", |call| Box::pin(run(call)))
        .about("messages", "Sends a request and gathers replies", ABOUT)
        .access(Access::Scope(Scope::Send))
        .takes_raw(vec![
            (STRUCTURED_JSON, Shape::Named("EventToSend"), example.clone()),
            (JSON, Shape::Named("EventToSend"), example),
        ])
        .in_query(
            "replies",
            Shape::Integer(1, REPLIES_MAX),
            "How many final replies to wait for; 1 if not said.",
        )
        .in_query("waitMs", Shape::Integer(1, WAIT_MS_MAX), "How long to wait for them; 10,000 if not said.")
        .with_idempotency_key()
        .answers(200, "The replies that came", gathered)
        .problems(&[404, 409, 410, 415, 422, 507])
}

async fn run(call: Call) -> Answer {
    let wait = Duration::from_millis(call.number("waitMs").unwrap_or(WAIT_MS));
    let wanted = call.number("replies").unwrap_or(1);
    let envelope = as_request(in_trace_of(&call, read_one(&call)?), &call, wait)?;
    let id = envelope.attributes.get("id").map(str::to_owned);
    let until = Instant::now() + wait;
    let (line, mut deliveries) = Line::open_stream(call.caller.agent, true, &call.door.mesh).await?;
    let outcome = line.send(vec![envelope]).await?.pop().unwrap_or(Ok(SendOutcome::Unknown));
    if !matches!(outcome, Ok(SendOutcome::Accepted(_) | SendOutcome::Passed)) {
        return accepted_or_problem(id.as_deref(), outcome);
    }
    let gathered = gather(&mut deliveries, id.as_deref(), wanted, until).await;
    let answer = json!({
        "request": outcome_json(id.as_deref(), outcome),
        "replies": gathered.replies,
        "others": gathered.others,
        "complete": gathered.finals >= wanted,
    });
    Ok(json_answer(StatusCode::OK, &answer))
}

/// A message for which the node signs becomes a request with a deadline, unless it says otherwise.
fn as_request(mut envelope: Envelope, call: &Call, wait: Duration) -> Result<Envelope, Failure> {
    if envelope.proof.is_none() && call.caller.is_custodial() {
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(WAIT_MS_MAX);
        let missing = [
            ("id", new_id()?),
            ("performative", "request".to_owned()),
            ("replyby", now().plus_ms(wait_ms).to_string()),
        ];
        for (name, value) in missing {
            if envelope.attributes.get(name).is_none() {
                envelope.attributes.set(name, &value).map_err(Rejection::from)?;
            }
        }
    }
    call.door.complete(&call.caller, envelope)
}

#[derive(Default)]
struct Gathered {
    replies: Vec<Value>,
    others: Vec<Value>,
    finals: u64,
}

async fn gather(
    deliveries: &mut Receiver<Delivery>,
    id: Option<&str>,
    wanted: u64,
    until: Instant,
) -> Gathered {
    let mut gathered = Gathered::default();
    while gathered.finals < wanted
        && let Ok(Some(delivery)) = timeout_at(until, deliveries.recv()).await
    {
        let Delivery::Message { envelope, .. } = delivery else { continue };
        let attribute = |name: &str| envelope.attributes.get(name);
        let event = cloudevents::to_value(&envelope);
        if attribute("inreplyto") != id {
            gathered.others.push(event);
            continue;
        }
        let performative = attribute("performative").and_then(|text| text.parse().ok());
        let is_final = performative.is_none_or(|act: openmesh_message::Performative| act.is_final_reply());
        gathered.finals += u64::from(is_final && attribute("more") != Some("true"));
        gathered.replies.push(event);
    }
    gathered
}
