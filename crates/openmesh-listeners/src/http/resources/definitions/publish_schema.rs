//! `PUT /v1/schemas/{definition}`: publishes a schema under a name and version.

use super::get::tag;
use crate::http::operation::{Access, Answer, Call, DEFINITION, Operation, json_answer, unsupported_media};
use crate::http::problem::Failure;
use crate::http::shape::{Shape, formed, required, text};
use axum::http::{Method, StatusCode};
use openmesh_core::Rejection;
use openmesh_message::Scope;
use openmesh_message::cloudevents::is_json;
use openmesh_message::frame::{Command, Reply};
use serde_json::json;

pub(super) fn operation() -> Operation {
    let example = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    Operation::new(Method::PUT, "/v1/schemas/{definition}", "publishSchema", |call| Box::pin(run(call)))
        .about(
            "definitions",
            "Publishes a schema",
            "JSON Schema 2020-12. What is published never changes: other bytes need another version.",
        )
        .access(Access::Scope(Scope::Publish))
        .in_path("definition", formed(256, DEFINITION), "`namespace/name@v1.0.0`")
        .example("acme/note@v1.0.0")
        .takes_raw(vec![
            ("application/schema+json", Shape::Json, example.clone()),
            ("application/json", Shape::Json, example),
        ])
        .answers(201, "It is published", published())
        .answers(200, "It had been published before", published())
        .problems(&[404, 409, 415, 422, 507])
}

async fn run(call: Call) -> Answer {
    if !call.content_type().is_some_and(|media| is_json(Some(media))) {
        return Err(unsupported_media("application/schema+json or application/json"));
    }
    let (name, definition) = (call.path("definition").to_owned(), text_of(&call)?);
    let before = count(&call);
    let reply = call.door.ask(call.caller.agent, Command::PublishSchema { name, definition }).await?;
    answer(&reply, count(&call) > before)
}

/// What is answered to a publisher.
pub(super) fn published() -> Shape {
    Shape::Object(vec![required("name", text(512), "pinned to its digest")])
}

/// The body as text.
pub(super) fn text_of(call: &Call) -> Result<String, Failure> {
    String::from_utf8(call.body.to_vec()).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Rejection::from(openmesh_message::json::JsonError::NotUtf8(at)).into()
    })
}

pub(super) fn answer(reply: &Reply, is_new: bool) -> Answer {
    let Reply::Definition { name, .. } = reply else { return Err(Rejection::NotFound.into()) };
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = json_answer(status, &json!({"name": name}));
    tag(&mut response, name, false);
    Ok(response)
}

fn count(call: &Call) -> usize {
    call.door.mesh.view().catalog.schemas().count()
}
