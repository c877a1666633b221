//! The OpenAPI 3.1 document, made from the operations themselves.

use super::{Access, Operation, Parameter, Place};
use crate::http::problem::PROBLEM_JSON;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

/// Problems that any operation can answer.
const COMMON: [u16; 7] = [400, 403, 413, 421, 500, 503, 504];
/// Problems that an operation can answer when callers must say who they are.
const IDENTIFIED: [u16; 3] = [401, 408, 429];

/// The document of these operations, with the shapes they name.
pub(crate) fn openapi(operations: &[Operation], schemas: Value) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations.iter().filter(|operation| !operation.is_socket) {
        let path = paths.entry(operation.path.to_owned()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.as_str().to_ascii_lowercase(), describe(operation));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "OpenMesh node",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The mesh for whoever speaks HTTP.",
            "description": "Messages are CloudEvents. The same checks as at every other door decide; see spec/http.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {
                "type": "http", "scheme": "bearer",
                "description": "A token of an agent (`omt_…`), or the domain's admin token where an operation says so.",
            }},
        },
    })
}

fn describe(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.about,
        "responses": responses(operation),
        "security": security(operation.access),
    });
    let Some(members) = described.as_object_mut() else { return described };
    if !operation.parameters.is_empty() {
        let parameters: Vec<_> = operation.parameters.iter().map(parameter).collect();
        members.insert("parameters".to_owned(), json!(parameters));
    }
    if let Some(body) = &operation.body {
        let media = body.media.iter().map(|(media, shape, example)| {
            ((*media).to_owned(), json!({"schema": shape.to_schema(), "example": example}))
        });
        let content: Map<_, _> = media.collect();
        members.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
    }
    described
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    let mut described = json!({
        "name": parameter.name, "in": place, "required": parameter.is_required,
        "description": parameter.about, "schema": parameter.shape.to_schema(),
    });
    if let (Some(example), Some(members)) = (parameter.example, described.as_object_mut()) {
        members.insert("example".to_owned(), parameter.shape.read(example));
    }
    described
}

fn responses(operation: &Operation) -> Value {
    let mut responses = Map::new();
    for answered in &operation.answers {
        let entry = responses
            .entry(answered.status.to_string())
            .or_insert_with(|| json!({"description": answered.about}));
        let (Some((media, shape)), Some(entry)) = (&answered.media, entry.as_object_mut()) else { continue };
        let content = entry.entry("content").or_insert_with(|| json!({}));
        if let Some(content) = content.as_object_mut() {
            content.insert((*media).to_owned(), json!({"schema": shape.to_schema()}));
        }
    }
    let identified = if operation.access == Access::Open { &[][..] } else { &IDENTIFIED[..] };
    for status in COMMON.iter().chain(identified).chain(&operation.problems) {
        let reason = StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
        responses.entry(status.to_string()).or_insert_with(|| problem(reason.unwrap_or("Problem")));
    }
    Value::Object(responses)
}

fn problem(reason: &str) -> Value {
    json!({
        "description": reason,
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    })
}

fn security(access: Access) -> Value {
    match access {
        Access::Open => json!([]),
        Access::Scope(scope) => json!([{"token": [scope.as_str()]}]),
        Access::Anyone => json!([{}, {"token": []}]),
        Access::Administrator => json!([{"token": ["admin"]}]),
    }
}
