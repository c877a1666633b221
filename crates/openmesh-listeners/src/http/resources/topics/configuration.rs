//! How the topics of a pattern are kept, and the entity tag of that: its version.

use crate::http::operation::json_answer;
use crate::http::problem::Failure;
use crate::http::shape::{NUMBER_MAX, Shape, optional, required, text};
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

/// How much of a topic is handed out.
pub(super) fn retention() -> Shape {
    let limit = || Shape::Any(vec![Shape::Integer(1, NUMBER_MAX), Shape::Null]);
    Shape::Object(vec![
        optional("age_ms", limit(), "nothing older than this"),
        optional("bytes", limit(), "the latest so many bytes of messages"),
        optional("messages", limit(), "the latest so many messages"),
    ])
}

/// How the topics of a pattern are kept.
pub(super) fn setting() -> Shape {
    Shape::Object(vec![
        required("pattern", text(512), "a topic, or a pattern of topics"),
        required("pinned", Shape::Boolean, "whether messages are kept"),
        required("version", Shape::Integer(0, NUMBER_MAX), "0 if nothing was said of just this pattern"),
        optional("retention", retention(), "how much of them is handed out"),
    ])
}

/// A setting as an answer, its version as entity tag.
pub(super) fn answer(status: StatusCode, setting: &Value, body: &Value) -> Response<Body> {
    let mut response = json_answer(status, body);
    let version = setting.get("version").and_then(Value::as_u64).unwrap_or(0);
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The version that an entity tag stands for; `*` stands for any.
pub(super) fn version_of(tag: Option<&str>) -> Result<Option<u64>, Failure> {
    match tag {
        None | Some("*") => Ok(None),
        Some(tag) => {
            let version = tag.trim_matches('"').parse();
            // A tag that is none of ours, and an empty list of them, are the version of nothing that ever was.
            Ok(Some(version.unwrap_or(u64::MAX)))
        }
    }
}
