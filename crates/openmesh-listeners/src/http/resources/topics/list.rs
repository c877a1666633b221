//! `GET /v1/topics`: the patterns that say how topics are kept.

use super::configuration::setting;
use crate::http::components::listing;
use crate::http::operation::{Access, Answer, Call, Operation, json_answer};
use crate::http::resources::rows;
use axum::http::{Method, StatusCode};
use openmesh_message::Scope;
use openmesh_message::frame::Command;
use serde_json::json;

pub(super) fn operation() -> Operation {
    Operation::new(Method::GET, "/v1/topics", "listTopics", |call| Box::pin(run(call)))
        .about("topics", "Lists topic patterns that were set", "Topics of no pattern here keep nothing.")
        .access(Access::Scope(Scope::Read))
        .answers(200, "The patterns", listing("topics", setting()))
}

async fn run(call: Call) -> Answer {
    let reply = call.door.ask(call.caller.agent, Command::ListTopics).await?;
    Ok(json_answer(StatusCode::OK, &json!({"topics": rows(reply)})))
}
