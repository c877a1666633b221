//! `GET /v1/schemas`, `GET /v1/protocols`: what is published.

use crate::http::components::listing;
use crate::http::operation::{Access, Answer, Call, Operation, json_answer};
use crate::http::resources::rows;
use crate::http::shape::Shape;
use axum::http::{Method, StatusCode};
use openmesh_message::Scope;
use openmesh_message::frame::Command;
use serde_json::json;

pub(super) fn schemas() -> Operation {
    Operation::new(Method::GET, "/v1/schemas", "listSchemas", |call| Box::pin(run(call, "schema", "schemas")))
        .about("definitions", "Lists schemas", "Those of the domain, and those that ship with the program.")
        .access(Access::Scope(Scope::Read))
        .answers(200, "The schemas", listing("schemas", Shape::Named("Definition")))
}

pub(super) fn protocols() -> Operation {
    let run = |call| -> std::pin::Pin<Box<dyn Future<Output = Answer> + Send>> {
        Box::pin(run(call, "protocol", "protocols"))
    };
    Operation::new(Method::GET, "/v1/protocols", "listProtocols", run)
        .about("definitions", "Lists protocols", "Those of the domain, and those that ship with the program.")
        .access(Access::Scope(Scope::Read))
        .answers(200, "The protocols", listing("protocols", Shape::Named("Definition")))
}

async fn run(call: Call, kind: &str, member: &str) -> Answer {
    let reply = call.door.ask(call.caller.agent, Command::ListDefinitions).await?;
    let of_kind: Vec<_> =
        rows(reply).into_iter().filter(|row| row.get("kind") == Some(&json!(kind))).collect();
    Ok(json_answer(StatusCode::OK, &json!({member: of_kind})))
}
