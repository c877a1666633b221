//! `GET /v1/receipts/{digest}`: the receipt of a message that was sent earlier.

use super::outcome::receipt_json;
use crate::http::operation::{Access, Answer, Call, DIGEST, Operation, json_answer};
use crate::http::shape::{Shape, formed, text};
use axum::http::{Method, StatusCode};
use openmesh_core::Rejection;
use openmesh_message::frame::{Command, Reply};
use openmesh_message::limits::MESSAGE_ID_BYTES_MAX;
use openmesh_message::{Digest, Scope};

pub(super) fn operation() -> Operation {
    Operation::new(Method::GET, "/v1/receipts/{digest}", "getReceipt", |call| Box::pin(run(call)))
        .about(
            "messages",
            "Gets the receipt of an earlier message",
            "For whom a send timed out: was it kept?",
        )
        .access(Access::Scope(Scope::Send))
        .in_path("digest", formed(43, DIGEST), "The digest of the message.")
        .in_query("id", text(MESSAGE_ID_BYTES_MAX), "The id of the message.")
        .needed()
        .answers(200, "The receipt", Shape::Named("Receipt"))
        .problems(&[404])
}

async fn run(call: Call) -> Answer {
    let message: Digest = call.parse("digest")?.ok_or(Rejection::NotFound)?;
    let id = call.text("id").unwrap_or_default().to_owned();
    let reply = call.door.ask(call.caller.agent, Command::GetReceipt { message, id }).await?;
    match reply {
        Reply::Receipt(Some(receipt)) => Ok(json_answer(StatusCode::OK, &receipt_json(&receipt))),
        _ => Err(Rejection::NotFound.into()),
    }
}
