//! `GET /openapi.json`, `GET /asyncapi.json`: this API and the socket, described for programs.

use crate::http::operation::{Operation, json_answer, openapi as openapi_of};
use crate::http::shape::Shape;
use crate::http::{asyncapi as socket, components, resources};
use axum::http::{Method, StatusCode};
use std::sync::LazyLock;

static OPENAPI: LazyLock<serde_json::Value> =
    LazyLock::new(|| openapi_of(&resources::operations(), components::schemas()));

pub(super) fn openapi() -> Operation {
    Operation::new(Method::GET, "/openapi.json", "getOpenapi", |_| {
        Box::pin(async { Ok(json_answer(StatusCode::OK, &OPENAPI)) })
    })
    .about("node", "This description", "OpenAPI 3.1.")
    .answers(200, "The document", Shape::Open(Vec::new(), Box::new(Shape::Json)))
}

pub(super) fn asyncapi() -> Operation {
    Operation::new(Method::GET, "/asyncapi.json", "getAsyncapi", |_| {
        Box::pin(async { Ok(json_answer(StatusCode::OK, &socket::document())) })
    })
    .about("node", "The socket's description", "AsyncAPI 3.0.")
    .answers(200, "The document", Shape::Open(Vec::new(), Box::new(Shape::Json)))
}
