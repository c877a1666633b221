//! `GET /v1/conversations/{conversation}`: its state, who owes what, what the caller may do.

use crate::http::operation::{Access, Answer, Call, Operation, UUID, json_answer};
use crate::http::resources::row;
use crate::http::shape::{Shape, formed};
use axum::http::{Method, StatusCode};
use openmesh_core::Rejection;
use openmesh_message::frame::Command;
use openmesh_message::{ConversationId, Scope};

pub(super) fn operation() -> Operation {
    Operation::new(Method::GET, "/v1/conversations/{conversation}", "getConversation", |call| {
        Box::pin(run(call))
    })
    .about("conversations", "Shows a conversation", "Its state, who owes what, and what the caller may do.")
    .access(Access::Scope(Scope::Read))
    .in_path("conversation", formed(36, UUID), "Its id.")
    .answers(200, "The conversation", Shape::Open(Vec::new(), Box::new(Shape::Json)))
    .problems(&[404])
}

async fn run(call: Call) -> Answer {
    let conversation = call.path("conversation").to_owned();
    // A UUID of another kind than ours names nothing.
    conversation.parse::<ConversationId>().map_err(|_| Rejection::NotFound)?;
    let reply = call.door.ask(call.caller.agent, Command::ShowConversation { conversation }).await?;
    Ok(json_answer(StatusCode::OK, &row(reply)))
}
