//! `POST /v1/inbox:extend`: keeps leased messages longer.

use super::{VISIBILITY_MS_MAX, fencing_token};
use crate::http::operation::{Access, Answer, Call, Operation, no_content};
use crate::http::shape::{Shape, required};
use axum::http::Method;
use openmesh_message::Scope;
use openmesh_message::frame::Command;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Asked {
    token: u64,
    visibility_ms: u64,
}

pub(super) fn operation() -> Operation {
    let asked = Shape::Object(vec![
        required("token", fencing_token(), "the fencing token of the lease"),
        required("visibility_ms", Shape::Integer(1, VISIBILITY_MS_MAX), "for how long from here on"),
    ]);
    Operation::new(Method::POST, "/v1/inbox:extend", "extendInbox", |call| Box::pin(run(call)))
        .about("inbox", "Keeps leased messages longer", "All messages of the lease.")
        .access(Access::Scope(Scope::Inbox))
        .takes(asked, json!({"token": 1, "visibility_ms": 30000}))
        .answers_nothing(204, "Done")
        .problems(&[409, 415])
}

async fn run(call: Call) -> Answer {
    let Asked { token, visibility_ms } = call.json()?;
    call.door.ask(call.caller.agent, Command::Extend { token, visibility_ms }).await?;
    Ok(no_content())
}
