//! `GET /v1/agents/{agent}`: one agent.

use crate::http::operation::{AGENT, Access, Answer, Call, Operation, json_answer};
use crate::http::resources::row;
use crate::http::shape::{Shape, formed};
use axum::http::{Method, StatusCode};
use openmesh_message::Scope;
use openmesh_message::frame::Command;

pub(super) fn operation() -> Operation {
    Operation::new(Method::GET, "/v1/agents/{agent}", "getAgent", |call| Box::pin(run(call)))
        .about("agents", "Shows an agent", "By its name or its id.")
        .access(Access::Scope(Scope::Read))
        .in_path("agent", formed(64, AGENT), "Its name or id.")
        .answers(200, "The agent", Shape::Named("Agent"))
        .problems(&[404])
}

async fn run(call: Call) -> Answer {
    let agent = call.path("agent").to_owned();
    let reply = call.door.ask(call.caller.agent, Command::GetAgent { agent }).await?;
    Ok(json_answer(StatusCode::OK, &row(reply)))
}
