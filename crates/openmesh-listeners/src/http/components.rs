//! Shapes that several operations answer, by name.

use super::shape::{NUMBER_MAX, Shape, any_text, optional, required, text, word};
use openmesh_message::cloudevents::EVENTS_MAX;
use openmesh_message::limits::{FRAME_BYTES_MAX, PROOF_PATH_MAX};
use serde_json::{Value, json};

/// Steps from a receipt to the root of its commit.
const RECEIPT_PATH_MAX: usize = 20;

/// Every named shape.
pub(crate) fn schemas() -> Value {
    json!({
        "Problem": problem().to_schema(),
        "Event": event(&[]),
        "EventToSend": event(&["to"]),
        "ForeignEvent": event(&["specversion", "id", "source", "type"]),
        "Receipt": receipt().to_schema(),
        "Outcome": outcome().to_schema(),
        "Agent": agent().to_schema(),
        "Definition": definition().to_schema(),
    })
}

/// A problem, RFC 9457.
fn problem() -> Shape {
    let next = Shape::Object(vec![
        required("performative", text(64), ""),
        optional("schema", text(512), ""),
        optional("instance", text(512), ""),
    ]);
    Shape::Object(vec![
        required("type", text(128), "`urn:openmesh:problem:` and the code"),
        required("title", text(64), ""),
        required("status", Shape::Integer(400, 599), ""),
        required("code", text(64), "stable; see spec/problems.md"),
        required("detail", any_text(FRAME_BYTES_MAX), "what happened, for people"),
        optional("pointer", any_text(4_096), "the attribute, argument, or JSON pointer concerned"),
        optional("state", text(1_024), "where the conversation is"),
        optional("allowed_next", Shape::List(Box::new(next), 4_096), "what the caller may do next"),
        optional("retry_after_ms", Shape::Integer(0, i64::from(u32::MAX)), "when another try makes sense"),
    ])
}

/// A CloudEvent in structured mode; members that are no data are attributes.
fn event(required: &[&str]) -> Value {
    let attribute = |about: &str| {
        json!({
            "description": about,
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": 8192, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$"},
                {"type": "boolean"},
                {"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX},
            ],
        })
    };
    let mut schema = json!({
        "type": "object",
        "properties": {
            "specversion": {"type": "string", "enum": ["1.0"]},
            "id": attribute("the sender's own name for the message, used once"),
            "source": attribute("the sender, `did:key:…`"),
            "type": attribute("CloudEvents' type"),
            "time": attribute("when the sender made it"),
            "to": attribute("where it goes: `topic:news`, `agent:bob`, `inbox:bob`, or absolute"),
            "performative": attribute("what it does: `inform`, `request` …"),
            "datacontenttype": attribute("the media type of the data"),
            "dataschema": attribute("the schema of the data"),
            "proof": attribute("the sender's proof (spec/cloudevents.md)"),
            "data": {"description": "JSON, or a string where `datacontenttype` is text"},
            "data_base64": {"type": "string", "format": "byte", "description": "data that is not JSON"},
        },
        "patternProperties": {"^[a-z0-9]{1,20}$": {}},
        "additionalProperties": false,
    });
    if let (false, Some(schema)) = (required.is_empty(), schema.as_object_mut()) {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn receipt() -> Shape {
    let digests = Shape::List(Box::new(text(43)), RECEIPT_PATH_MAX.max(PROOF_PATH_MAX));
    let log = Shape::Object(vec![
        required("log", text(1_024), ""),
        required("seq", Shape::Integer(1, NUMBER_MAX), ""),
    ]);
    let proof = Shape::Object(vec![
        required("node", text(64), "the node that signed"),
        required("signature", text(86), "over the root of the commit's receipts"),
        required("index", Shape::Integer(0, i64::from(u32::MAX)), ""),
        required("path", digests, "from this receipt up to the root"),
    ]);
    Shape::Object(vec![
        required("digest", text(43), "of the message"),
        required("level", word(&["received", "durable"]), "how safely it is kept"),
        required("position", Shape::Any(vec![text(64), Shape::Null]), "partition.epoch.seq"),
        required("logs", Shape::List(Box::new(log), 1_024), ""),
        required("duplicate", Shape::Boolean, "whether it had been taken in before"),
        required("policy_version", text(43), ""),
        required("at", text(40), "when it was decided"),
        required("at_ms", Shape::Integer(0, NUMBER_MAX), "the same, as it is signed"),
        required("proof", proof, ""),
    ])
}

fn outcome() -> Shape {
    Shape::Object(vec![
        required("status", Shape::Integer(100, 599), ""),
        required("outcome", word(&["accepted", "passed", "rejected", "unknown"]), ""),
        required("id", Shape::Any(vec![any_text(8_192), Shape::Null]), "the message's"),
        optional("receipt", Shape::Named("Receipt"), "if it was accepted"),
        optional("problem", Shape::Named("Problem"), "if it was not"),
    ])
}

fn agent() -> Shape {
    Shape::Open(
        vec![
            required("agent", text(64), "its id"),
            required("name", text(64), ""),
            required("registered", text(40), "when"),
            required("connected", Shape::Boolean, ""),
        ],
        Box::new(Shape::Json),
    )
}

fn definition() -> Shape {
    Shape::Object(vec![
        required("kind", word(&["schema", "protocol"]), ""),
        required("name", text(256), "authority/namespace/name@version"),
        required("digest", text(43), ""),
    ])
}

/// A list of a named shape under one member.
pub(crate) fn listing(member: &'static str, item: Shape) -> Shape {
    Shape::Object(vec![required(member, Shape::List(Box::new(item), FRAME_BYTES_MAX), "")])
}

/// The outcomes of a batch, in its order.
pub(crate) fn outcomes() -> Shape {
    let list = Shape::List(Box::new(Shape::Named("Outcome")), EVENTS_MAX);
    Shape::Object(vec![required("outcomes", list, "in the order of the batch")])
}
