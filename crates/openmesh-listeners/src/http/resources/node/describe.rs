//! `GET /.well-known/openmesh`: which domain this is, and where its doors are described.

use crate::http::operation::{Answer, Call, Operation, json_answer};
use crate::http::shape::{Shape, required, text};
use axum::http::{Method, StatusCode};
use openmesh_message::handshake::VERSION;
use serde_json::json;

pub(super) fn operation() -> Operation {
    let described = Shape::Object(vec![
        required("domain", text(64), "the domain's id"),
        required("node", text(64), "the node's id"),
        required("version", text(32), "of the program"),
        required("native", Shape::Integer(1, 65_535), "version of the native protocol"),
        required("openapi", text(64), ""),
        required("asyncapi", text(64), ""),
        required("socket", text(64), ""),
    ]);
    Operation::new(Method::GET, "/.well-known/openmesh", "describeNode", |call| Box::pin(run(call)))
        .about("node", "Describes the node", "What a client needs to know to begin.")
        .answers(200, "The description", described)
}

async fn run(call: Call) -> Answer {
    let described = json!({
        "domain": call.door.mesh.view().domain,
        "node": call.door.node,
        "version": env!("CARGO_PKG_VERSION"),
        "native": VERSION,
        "openapi": "/openapi.json",
        "asyncapi": "/asyncapi.json",
        "socket": "/v1/socket",
    });
    Ok(json_answer(StatusCode::OK, &described))
}
