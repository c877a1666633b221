//! `POST /v1/protocols`: publishes a protocol; its name stands in it.

use super::publish_schema::{answer, published, text_of};
use crate::http::operation::{Access, Answer, Call, Operation, unsupported_media};
use crate::http::shape::{Shape, any_text};
use axum::http::Method;
use openmesh_message::Scope;
use openmesh_message::cloudevents::essence;
use openmesh_message::frame::Command;
use openmesh_message::limits::FRAME_BYTES_MAX;
use serde_json::json;

pub(super) fn operation() -> Operation {
    let yaml = json!("protocol: acme/ping@v1.0.0\n# see spec/protocols.md");
    Operation::new(Method::POST, "/v1/protocols", "publishProtocol", |call| Box::pin(run(call)))
        .about("definitions", "Publishes a protocol", "YAML or JSON, see spec/protocols.md.")
        .access(Access::Scope(Scope::Publish))
        .takes_raw(vec![
            ("application/yaml", any_text(FRAME_BYTES_MAX), yaml),
            ("application/json", Shape::Json, json!({"protocol": "acme/ping@v1.0.0"})),
        ])
        .answers(201, "It is published", published())
        .answers(200, "It had been published before", published())
        .problems(&[404, 409, 415, 422, 507])
}

async fn run(call: Call) -> Answer {
    let media = call.content_type().map(essence).unwrap_or_default();
    if !["application/yaml", "application/json", "text/yaml"].contains(&media.as_str()) {
        return Err(unsupported_media("application/yaml or application/json"));
    }
    let definition = text_of(&call)?;
    let count = || call.door.mesh.view().catalog.protocols().count();
    let before = count();
    let reply = call.door.ask(call.caller.agent, Command::PublishProtocol { definition }).await?;
    answer(&reply, count() > before)
}
