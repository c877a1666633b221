//! `GET /v1/tokens`: the tokens of an agent, known by their digests.

use crate::http::components::listing;
use crate::http::operation::{AGENT, Access, Answer, Call, Operation, json_answer};
use crate::http::problem::Failure;
use crate::http::resources::rows;
use crate::http::shape::{Shape, any_text, formed, required, text};
use axum::http::{Method, StatusCode};
use openmesh_core::Rejection;
use openmesh_message::frame::Command;
use openmesh_message::{AgentId, AgentRef};
use serde_json::json;

pub(super) fn operation() -> Operation {
    let token = Shape::Object(vec![
        required("token", text(43), "SHA-256 of its text"),
        required("agent", text(64), ""),
        required("label", any_text(128), ""),
        required("scopes", Shape::List(Box::new(text(16)), 16), ""),
        required("issued", text(40), ""),
        required("expires", text(40), ""),
        required("custodial", Shape::Boolean, ""),
    ]);
    Operation::new(Method::GET, "/v1/tokens", "listTokens", |call| Box::pin(run(call)))
        .about("tokens", "Lists valid tokens", "The caller's own; with the admin token any agent's.")
        .access(Access::Administrator)
        .in_query("agent", formed(64, AGENT), "Whose; the caller's own if not said.")
        .answers(200, "The tokens", listing("tokens", token))
        .problems(&[404])
}

async fn run(call: Call) -> Answer {
    let agent = agent_of(&call, call.text("agent"))?;
    let command = Command::ListTokens { agent, admin_token: call.caller.admin_token() };
    let reply = call.door.ask(call.caller.agent, command).await?;
    Ok(json_answer(StatusCode::OK, &json!({"tokens": rows(reply)})))
}

/// The agent that a name or id means.
pub(super) fn agent_of(call: &Call, text: Option<&str>) -> Result<Option<AgentId>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let reference = text.parse::<AgentRef>().ok();
    let id = reference.and_then(|reference| call.door.mesh.view().directory.resolve(&reference));
    id.map(Some).ok_or_else(|| Rejection::UnknownAgent.into())
}
