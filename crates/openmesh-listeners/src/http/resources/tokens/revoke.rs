//! `DELETE /v1/tokens/{digest}`: makes a token worthless.

use crate::http::operation::{Access, Answer, Call, DIGEST, Operation, no_content};
use crate::http::shape::formed;
use axum::http::Method;
use openmesh_core::Rejection;
use openmesh_message::Digest;
use openmesh_message::frame::Command;

pub(super) fn operation() -> Operation {
    Operation::new(Method::DELETE, "/v1/tokens/{digest}", "revokeToken", |call| Box::pin(run(call)))
        .about("tokens", "Revokes a token", "It is worth nothing from here on.")
        .access(Access::Administrator)
        .in_path("digest", formed(43, DIGEST), "SHA-256 of the token's text.")
        .answers_nothing(204, "It is revoked")
        .problems(&[404])
}

async fn run(call: Call) -> Answer {
    let token: Digest = call.parse("digest")?.ok_or(Rejection::NotFound)?;
    let command = Command::RevokeToken { token, admin_token: call.caller.admin_token() };
    call.door.ask(call.caller.agent, command).await?;
    Ok(no_content())
}
