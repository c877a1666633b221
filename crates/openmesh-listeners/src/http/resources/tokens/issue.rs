//! `POST /v1/tokens`: issues a further token.

use super::{AskedGrant, Issued, granted, issued_shape};
use crate::http::operation::{AGENT, Access, Answer, Call, Operation, json_answer};
use crate::http::problem::Failure;
use crate::http::resources::tokens::list::agent_of;
use crate::http::shape::{Shape, formed, optional};
use axum::http::{Method, StatusCode};
use openmesh_core::Rejection;
use openmesh_message::frame::Command;
use openmesh_message::{Grant, Scope};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Asked {
    agent: Option<String>,
    #[serde(default)]
    custodial: bool,
    #[serde(flatten)]
    grant: AskedGrant,
}

pub(super) fn operation() -> Operation {
    let members = vec![
        optional("agent", formed(64, AGENT), "whom it stands for; the caller if not said"),
        optional("custodial", Shape::Boolean, "whether the node signs for its holder"),
    ];
    Operation::new(Method::POST, "/v1/tokens", "issueToken", |call| Box::pin(run(call)))
        .about(
            "tokens",
            "Issues a token",
            "With a token of scope `admin` for its own agent, and no scope it does not have itself; with the admin \
             token for any agent whose key the node keeps.",
        )
        .access(Access::Administrator)
        .takes(granted(members), json!({"scopes": ["read"], "label": "dashboard"}))
        .answers(201, "The token", issued_shape())
        .problems(&[404, 409, 415])
}

async fn run(call: Call) -> Answer {
    let Asked { agent, custodial, grant } = call.json()?;
    let (token, grant) = grant.draw(custodial, || [Scope::Read].into_iter().collect())?;
    check_scopes(&call, &grant)?;
    let agent = agent_of(&call, agent.as_deref())?;
    let admin_token = call.caller.admin_token();
    let command = Command::IssueToken { agent, grant: grant.clone(), admin_token };
    let reply = call.door.ask(call.caller.agent, command).await?;
    let issued = Issued { token: token.as_ref(), grant: &grant };
    Ok(json_answer(StatusCode::CREATED, &issued.to_json(&reply)))
}

/// Nobody hands on what it does not have.
fn check_scopes(call: &Call, grant: &Grant) -> Result<(), Failure> {
    let Some(own) = call.caller.scopes() else { return Ok(()) };
    let missing = grant.scopes.iter().find(|scope| !own.has(*scope));
    if let Some(scope) = missing {
        return Err(Rejection::OutOfScope(scope).into());
    }
    if grant.custodial && !call.caller.is_custodial() {
        return Err(Rejection::OutOfScope(Scope::Send).into());
    }
    Ok(())
}
