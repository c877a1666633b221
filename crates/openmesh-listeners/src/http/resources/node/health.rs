//! `GET /healthz`, `GET /readyz`: whether the process is alive, and whether it serves.

use crate::http::door::busy;
use crate::http::operation::{Answer, Call, Operation, json_answer};
use crate::http::shape::{Shape, required, word};
use axum::http::{Method, StatusCode};
use openmesh_message::frame::Command;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

/// How long the partition's owner may take to answer.
const READY_WAIT: Duration = Duration::from_secs(2);

pub(super) fn alive() -> Operation {
    let status = Shape::Object(vec![required("status", word(&["alive"]), "")]);
    Operation::new(Method::GET, "/healthz", "getHealth", |_| {
        Box::pin(async { Ok(json_answer(StatusCode::OK, &json!({"status": "alive"}))) })
    })
    .about("node", "Says whether the process is alive", "Asks nobody else.")
    .answers(200, "It is", status)
}

pub(super) fn ready() -> Operation {
    let status = Shape::Object(vec![required("status", word(&["ready"]), "")]);
    Operation::new(Method::GET, "/readyz", "getReadiness", |call| Box::pin(run(call)))
        .about("node", "Says whether the node serves", "Asks the owner of the partition.")
        .answers(200, "It does", status)
}

async fn run(call: Call) -> Answer {
    // Whatever the answer is: that there is one shows that the owner takes commands.
    let asked = call.door.ask(call.door.node, Command::CountInbox);
    match timeout(READY_WAIT, asked).await {
        Ok(answer) if answer.as_ref().err().is_none_or(|failure| !failure.status().is_server_error()) => {
            Ok(json_answer(StatusCode::OK, &json!({"status": "ready"})))
        }
        _ => Err(busy()),
    }
}
