//! `GET /v1/conversations`: those that the caller takes part in.

use crate::http::components::listing;
use crate::http::operation::{Access, Answer, Call, Operation, json_answer};
use crate::http::resources::rows;
use crate::http::shape::Shape;
use axum::http::{Method, StatusCode};
use openmesh_message::Scope;
use openmesh_message::frame::Command;
use serde_json::json;

pub(super) fn operation() -> Operation {
    let conversation = Shape::Open(Vec::new(), Box::new(Shape::Json));
    Operation::new(Method::GET, "/v1/conversations", "listConversations", |call| Box::pin(run(call)))
        .about("conversations", "Lists conversations", "Those in which the caller has a role.")
        .access(Access::Scope(Scope::Read))
        .answers(200, "The conversations", listing("conversations", conversation))
}

async fn run(call: Call) -> Answer {
    let reply = call.door.ask(call.caller.agent, Command::ListConversations).await?;
    Ok(json_answer(StatusCode::OK, &json!({"conversations": rows(reply)})))
}
