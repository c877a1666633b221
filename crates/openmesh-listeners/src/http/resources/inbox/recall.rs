//! `POST /v1/inbox:recall`: calls back a message that its recipient has not taken.

use crate::http::operation::{AGENT, Access, Answer, Call, DIGEST, Operation, no_content};
use crate::http::shape::{NUMBER_MAX, Shape, formed, required, text};
use axum::http::Method;
use openmesh_core::Rejection;
use openmesh_message::frame::Command;
use openmesh_message::limits::MESSAGE_ID_BYTES_MAX;
use openmesh_message::{AgentRef, Digest, Scope};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Asked {
    recipient: String,
    number: u64,
    digest: Digest,
    id: String,
}

pub(super) fn operation() -> Operation {
    let asked = Shape::Object(vec![
        required("recipient", formed(64, AGENT), "whose inbox it is in"),
        required("number", Shape::Integer(1, NUMBER_MAX), "its number there, as its receipt has it"),
        required("digest", formed(43, DIGEST), "of the message"),
        required("id", text(MESSAGE_ID_BYTES_MAX), "of the message"),
    ]);
    let example = json!({
        "recipient": "bob", "number": 1, "digest": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", "id": "m-1",
    });
    Operation::new(Method::POST, "/v1/inbox:recall", "recallFromInbox", |call| Box::pin(run(call)))
        .about(
            "inbox",
            "Recalls a message of the caller's",
            "It ends unread, unless its recipient has taken it.",
        )
        .access(Access::Scope(Scope::Send))
        .takes(asked, example)
        .answers_nothing(204, "Nobody will read it")
        .problems(&[404, 409, 415])
}

async fn run(call: Call) -> Answer {
    let Asked { recipient, number, digest, id } = call.json()?;
    let reference = recipient.parse::<AgentRef>().ok();
    let known = reference.and_then(|reference| call.door.mesh.view().directory.resolve(&reference));
    let recipient = known.ok_or(Rejection::NotFound)?;
    let command = Command::Recall { recipient, number, message: digest, id };
    call.door.ask(call.caller.agent, command).await?;
    Ok(no_content())
}
