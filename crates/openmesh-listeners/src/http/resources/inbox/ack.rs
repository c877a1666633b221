//! `POST /v1/inbox:ack`: ends leased messages as done.

use super::{fencing_token, numbers};
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
}

pub(super) fn operation() -> Operation {
    let asked = Shape::Object(vec![
        required("token", fencing_token(), "the fencing token of the lease"),
        optional("numbers", numbers(), "the messages; all of the lease if none is named"),
    ]);
    Operation::new(Method::POST, "/v1/inbox:ack", "ackInbox", |call| Box::pin(run(call)))
        .about("inbox", "Acknowledges leased messages", "They are done, and will not be leased again.")
        .access(Access::Scope(Scope::Inbox))
        .takes(asked, json!({"token": 1, "numbers": [1]}))
        .answers_nothing(204, "Done")
        .problems(&[409, 415])
}

async fn run(call: Call) -> Answer {
    let Asked { token, numbers } = call.json()?;
    call.door.ask(call.caller.agent, Command::Ack { token, numbers }).await?;
    Ok(no_content())
}
