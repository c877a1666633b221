//! `GET /v1/agents`: who is registered.

use crate::http::components::listing;
use crate::http::operation::{Access, Answer, Call, Operation, json_answer};
use crate::http::resources::rows;
use crate::http::shape::Shape;
use axum::http::{Method, StatusCode};
use openmesh_message::Scope;
use openmesh_message::frame::Command;
use serde_json::json;

pub(super) fn operation() -> Operation {
    Operation::new(Method::GET, "/v1/agents", "listAgents", |call| Box::pin(run(call)))
        .about("agents", "Lists the domain's agents", "Every agent that is registered.")
        .access(Access::Scope(Scope::Read))
        .answers(200, "The agents", listing("agents", Shape::Named("Agent")))
}

async fn run(call: Call) -> Answer {
    let reply = call.door.ask(call.caller.agent, Command::ListAgents).await?;
    Ok(json_answer(StatusCode::OK, &json!({"agents": rows(reply)})))
}
