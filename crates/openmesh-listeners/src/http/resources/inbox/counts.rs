//! `GET /v1/inbox`: counts the caller's inbox.

use crate::http::operation::{Access, Answer, Call, Operation, json_answer};
use crate::http::problem::Failure;
use crate::http::shape::{NUMBER_MAX, Shape, required};
use axum::http::{Method, StatusCode};
use openmesh_message::Scope;
use openmesh_message::frame::{Command, Reply};
use serde_json::json;

pub(super) fn operation() -> Operation {
    let count = |name, about| required(name, Shape::Integer(0, NUMBER_MAX), about);
    let counts = Shape::Open(
        vec![
            count("accepted", "ever put in"),
            count("pending", "waiting or leased"),
            count("acknowledged", "ended as done"),
            count("expired", "ended by their expiry time"),
            count("dead_lettered", "ended by too many deliveries"),
        ],
        Box::new(Shape::Integer(0, NUMBER_MAX)),
    );
    Operation::new(Method::GET, "/v1/inbox", "countInbox", |call| Box::pin(run(call)))
        .about("inbox", "Counts the inbox", "Accepted is the sum of all others.")
        .access(Access::Scope(Scope::Inbox))
        .answers(200, "The counts", counts)
}

async fn run(call: Call) -> Answer {
    match call.door.ask(call.caller.agent, Command::CountInbox).await? {
        Reply::Inbox(counts) => Ok(json_answer(StatusCode::OK, &json!(counts))),
        _ => Err(Failure::from(openmesh_core::Rejection::NotFound)),
    }
}
