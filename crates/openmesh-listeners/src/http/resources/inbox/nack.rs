//! `POST /v1/inbox:nack`: gives leased messages back.

use super::{VISIBILITY_MS_MAX, fencing_token, numbers};
use crate::http::operation::{Access, Answer, Call, Operation, no_content};
use crate::http::shape::{Shape, optional, required};
use axum::http::Method;
use openmesh_message::Scope;
use openmesh_message::frame::Command;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Asked {
    token: u64,
    #[serde(default)]
    numbers: Vec<u64>,
    #[serde(default)]
    delay_ms: u64,
}

pub(super) fn operation() -> Operation {
    let asked = Shape::Object(vec![
        required("token", fencing_token(), "the fencing token of the lease"),
        optional("numbers", numbers(), "the messages; all of the lease if none is named"),
        optional("delay_ms", Shape::Integer(0, VISIBILITY_MS_MAX), "when they may be leased again"),
    ]);
    Operation::new(Method::POST, "/v1/inbox:nack", "nackInbox", |call| Box::pin(run(call)))
        .about(
            "inbox",
            "Gives leased messages back",
            "After too many attempts a message goes to the dead letters.",
        )
        .access(Access::Scope(Scope::Inbox))
        .takes(asked, json!({"token": 1, "delay_ms": 1000}))
        .answers_nothing(204, "Done")
        .problems(&[409, 415])
}

async fn run(call: Call) -> Answer {
    let Asked { token, numbers, delay_ms } = call.json()?;
    call.door.ask(call.caller.agent, Command::Nack { token, numbers, delay_ms }).await?;
    Ok(no_content())
}
