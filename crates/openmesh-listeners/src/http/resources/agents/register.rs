//! `POST /v1/agents`: registers an agent for which the node keeps a key.

use crate::http::operation::{AGENT_NAME, Access, Answer, Call, Operation, json_answer};
use crate::http::resources::tokens::{AskedGrant, Issued, granted, issued_shape};
use crate::http::shape::{formed, required};
use axum::http::{Method, StatusCode};
use openmesh_message::Scope;
use openmesh_message::frame::Command;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Asked {
    name: String,
    #[serde(flatten)]
    grant: AskedGrant,
}

pub(super) fn operation() -> Operation {
    let name = required("name", formed(64, AGENT_NAME), "the name asked for");
    Operation::new(Method::POST, "/v1/agents", "registerAgent", |call| Box::pin(run(call)))
        .about(
            "agents",
            "Registers an agent without a key",
            "The node makes a key and keeps it; the token answered stands for the agent and is shown only here. With \
             the admin token, or without any where the domain is open.",
        )
        .access(Access::Anyone)
        .takes(granted(vec![name]), json!({"name": "carol", "scopes": ["send", "read", "inbox"]}))
        .answers(201, "The agent and its token", issued_shape())
        .problems(&[409, 415])
}

async fn run(call: Call) -> Answer {
    let Asked { name, grant } = call.json()?;
    let everyday = || [Scope::Send, Scope::Read, Scope::Inbox, Scope::Publish].into_iter().collect();
    let (token, grant) = grant.draw(true, everyday)?;
    let admin_token = call.caller.admin_token();
    let command = Command::RegisterKeyless { name, grant: grant.clone(), admin_token };
    let reply = call.door.ask(call.door.node, command).await?;
    let issued = Issued { token: token.as_ref(), grant: &grant };
    Ok(json_answer(StatusCode::CREATED, &issued.to_json(&reply)))
}
