//! `POST /v1/topics/{topic}/events`: an event of another system, as the payload of a message to a topic.
//!
//! Nothing in the event steers: all of it becomes the payload, so a stranger's `to` or `performative` is data.

use crate::http::door::new_id;
use crate::http::operation::{Access, Answer, Call, Operation, TOPIC};
use crate::http::resources::messages::{accepted_or_problem, in_trace_of, read_one};
use crate::http::shape::{Shape, formed};
use axum::http::Method;
use openmesh_core::Rejection;
use openmesh_message::cloudevents::{JSON, STRUCTURED_JSON, to_value};
use openmesh_message::frame::SendOutcome;
use openmesh_message::limits::TOPIC_BYTES_MAX;
use openmesh_message::{Address, Attributes, Envelope, Scope, Target, TopicPath, Transit};
use serde_json::json;

/// The type of messages that carry an event of another system.
const FOREIGN: &str = "mesh/event.v1";

pub(super) fn operation() -> Operation {
    let example = json!({
        "specversion": "1.0", "id": "7", "source": "/sensors/3", "type": "com.example.reading", "data": {"celsius": 21},
    });
    Operation::new(Method::POST, "/v1/topics/{topic}/events", "postEvent", |call| Box::pin(run(call)))
        .about(
            "topics",
            "Posts an event of another system",
            "A CloudEvent in structured or binary mode. All of it becomes the payload of a message of the caller's.",
        )
        .access(Access::Scope(Scope::Send))
        .in_path("topic", formed(TOPIC_BYTES_MAX, TOPIC), "The topic; its slashes as `%2F`.")
        .example("sensors")
        .takes_raw(vec![
            (STRUCTURED_JSON, Shape::Named("ForeignEvent"), example.clone()),
            (JSON, Shape::Named("ForeignEvent"), example),
        ])
        .with_idempotency_key()
        .answers(201, "It was accepted: the receipt", Shape::Named("Outcome"))
        .answers(202, "It was handed over and keeps no receipt", Shape::Named("Outcome"))
        .problems(&[404, 409, 410, 415, 422, 507])
}

async fn run(call: Call) -> Answer {
    let topic: TopicPath = call.parse("topic")?.ok_or(Rejection::NotFound)?;
    let event = read_one(&call)?;
    require_context(&event)?;
    let to = Address::new(call.door.mesh.view().domain, Target::Topic(topic));
    let payload = serde_json::to_vec(&to_value(&event)).unwrap_or_default();
    let id = new_id()?;
    let mut attributes = Attributes::default();
    for (name, value) in [
        ("specversion", "1.0"),
        ("id", id.as_str()),
        ("source", &call.caller.agent.to_string()),
        ("time", &openmesh_adapter::now().to_string()),
        ("type", FOREIGN),
        ("to", &to.to_string()),
        ("performative", "inform"),
        ("datacontenttype", STRUCTURED_JSON),
    ] {
        attributes.set(name, value).map_err(Rejection::from)?;
    }
    let message = Envelope { attributes, payload: payload.into(), proof: None, transit: Transit::default() };
    let message = call.door.complete(&call.caller, in_trace_of(&call, message))?;
    let outcome = call.door.send(call.caller.agent, vec![message]).await?.pop();
    accepted_or_problem(Some(&id), outcome.unwrap_or(Ok(SendOutcome::Unknown)))
}

/// What CloudEvents asks of every event.
fn require_context(event: &Envelope) -> Result<(), Rejection> {
    use openmesh_message::ControlError::{Malformed, Missing};
    for name in ["specversion", "id", "source", "type"] {
        if event.attributes.get(name).is_none() {
            return Err(Rejection::MissingAttribute(Missing(name)));
        }
    }
    if event.attributes.get("specversion") != Some("1.0") {
        let why = "only CloudEvents 1.0 is read".to_owned();
        return Err(Rejection::MalformedAttribute(Malformed { name: "specversion", why }));
    }
    Ok(())
}
