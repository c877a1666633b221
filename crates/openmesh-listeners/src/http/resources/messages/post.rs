//! `POST /v1/messages`: sends a message, or a batch of them.

use super::outcome::{accepted_or_problem, outcome_json};
use crate::http::components;
use crate::http::operation::{Access, Answer, Call, Operation, json_answer, unsupported_media};
use crate::http::problem::Failure;
use crate::http::shape::Shape;
use axum::http::{Method, StatusCode};
use openmesh_message::cloudevents::{
    self, BATCH_JSON, EVENTS_MAX, EventError, HEADER_PREFIX, JSON, STRUCTURED_JSON, essence,
};
use openmesh_message::frame::SendOutcome;
use openmesh_message::{Envelope, Scope};
use serde_json::json;

const ABOUT: &str = "A CloudEvent in structured mode, in binary mode (`ce-…` headers, any body), or a batch. What the \
node signs for its caller it completes: `id`, `source`, `time`, `type`, `performative`, relative addresses, and names \
of schemas and protocols. A message with a proof is taken as it stands.";

pub(super) fn operation() -> Operation {
    let example = json!({"to": "topic:news", "data": {"headline": "hello"}});
    // What is no event is refused in its place, so a batch may hold anything.
    let item = Shape::Any(vec![Shape::Named("EventToSend"), Shape::Json]);
    let batch = Shape::List(Box::new(item), EVENTS_MAX);
    Operation::new(Method::POST, "/v1/messages", "sendMessage", |call| Box::pin(run(call)))
        .about("messages", "Sends a message or a batch", ABOUT)
        .access(Access::Scope(Scope::Send))
        .takes_raw(vec![
            (STRUCTURED_JSON, Shape::Named("EventToSend"), example.clone()),
            (JSON, Shape::Named("EventToSend"), example.clone()),
            (BATCH_JSON, batch, json!([example])),
        ])
        .with_idempotency_key()
        .answers(201, "It was accepted: the receipt", Shape::Named("Outcome"))
        .answers(202, "It was handed over and keeps no receipt", Shape::Named("Outcome"))
        .answers(200, "How each message of the batch ended", components::outcomes())
        .problems(&[404, 409, 410, 415, 422, 507])
}

async fn run(call: Call) -> Answer {
    if call.content_type().map(essence).as_deref() == Some(BATCH_JSON) {
        return send_batch(call).await;
    }
    let envelope = call.door.complete(&call.caller, in_trace_of(&call, read_one(&call)?))?;
    let id = envelope.attributes.get("id").map(str::to_owned);
    let outcome = call.door.send(call.caller.agent, vec![envelope]).await?.pop();
    accepted_or_problem(id.as_deref(), outcome.unwrap_or(Ok(SendOutcome::Unknown)))
}

/// Reads a body in structured or binary mode: `ce-` headers tell that it is binary.
pub(crate) fn read_one(call: &Call) -> Result<Envelope, Failure> {
    let is_binary = call.headers.keys().any(|name| name.as_str().starts_with(HEADER_PREFIX));
    let media = call.content_type().map(essence).unwrap_or_default();
    match media.as_str() {
        STRUCTURED_JSON => Ok(cloudevents::from_json(&call.body)?),
        JSON if !is_binary => Ok(cloudevents::from_json(&call.body)?),
        BATCH_JSON => Err(unsupported_media("one event, not a batch")),
        _ if is_binary => {
            let headers = call.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            Ok(cloudevents::from_headers(headers, call.body.clone())?)
        }
        _ => Err(unsupported_media(
            "application/cloudevents+json, application/json, application/cloudevents-batch+json, \
             or any type with ce- headers",
        )),
    }
}

/// A message that names no trace is part of its request's (W3C Trace Context).
pub(crate) fn in_trace_of(call: &Call, mut envelope: Envelope) -> Envelope {
    let text = |name: &str| call.headers.get(name)?.to_str().ok().map(str::to_owned);
    if envelope.transit.traceparent.is_none() {
        envelope.transit.traceparent = text("traceparent");
        envelope.transit.tracestate = text("tracestate");
    }
    envelope
}

/// Sends what can be read of a batch, in its order; what cannot is refused in its place.
async fn send_batch(call: Call) -> Answer {
    let complete = |read: Result<Envelope, EventError>| {
        let read = read.map(|envelope| in_trace_of(&call, envelope));
        read.map_err(Failure::from).and_then(|envelope| call.door.complete(&call.caller, envelope))
    };
    let read: Vec<_> = cloudevents::from_batch(&call.body)?.into_iter().map(complete).collect();
    let ids: Vec<_> = read.iter().map(|one| id_of(one.as_ref().ok())).collect();
    let good: Vec<_> = read.iter().filter_map(|one| one.as_ref().ok()).cloned().collect();
    let mut sent = if good.is_empty() {
        Vec::new().into_iter()
    } else {
        call.door.send(call.caller.agent, good).await?.into_iter()
    };
    let outcomes = read.into_iter().zip(ids).map(|(one, id)| {
        let outcome = match one {
            Ok(_) => sent.next().unwrap_or(Ok(SendOutcome::Unknown)),
            Err(failure) => Ok(SendOutcome::Rejected(*failure.problem)),
        };
        outcome_json(id.as_deref(), outcome)
    });
    let outcomes: Vec<_> = outcomes.collect();
    Ok(json_answer(StatusCode::OK, &json!({"outcomes": outcomes})))
}

fn id_of(envelope: Option<&Envelope>) -> Option<String> {
    envelope?.attributes.get("id").map(str::to_owned)
}
