//! `POST /v1/policy:reload`: reads the policy file again.

use crate::http::operation::{Access, Answer, Call, Operation, no_content};
use crate::http::problem::Failure;
use axum::http::Method;
use openmesh_core::Rejection;
use openmesh_message::Scope;
use openmesh_message::frame::Command;

pub(super) fn operation() -> Operation {
    Operation::new(Method::POST, "/v1/policy:reload", "reloadPolicy", |call| Box::pin(run(call)))
        .about(
            "node",
            "Reads the policy file again",
            "With the admin token. One that cannot be read changes nothing.",
        )
        .access(Access::Administrator)
        .answers_nothing(204, "The policy is in force")
        .problems(&[422])
}

async fn run(call: Call) -> Answer {
    let Some(token) = call.caller.admin_token() else {
        let mut problem = Rejection::OutOfScope(Scope::Admin).to_problem();
        "this takes the domain's admin token".clone_into(&mut problem.detail);
        return Err(Failure::new(problem));
    };
    call.door.ask(call.caller.agent, Command::ReloadPolicy { token }).await?;
    Ok(no_content())
}
