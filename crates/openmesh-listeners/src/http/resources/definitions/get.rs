//! `GET /v1/schemas/{definition}`, `GET /v1/protocols/{definition}`: one definition, in its stored form.

use crate::http::operation::{Access, Answer, Call, ETAG, Operation};
use crate::http::shape::{Shape, formed_or_empty, text};
use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use openmesh_core::Rejection;
use openmesh_message::Scope;
use openmesh_message::frame::{Command, Reply};

/// Longest name that is looked up.
const NAME_CHARS_MAX: usize = 256;
const NAME: &str = "`namespace/name@v1.0.0`, a range `namespace/name@^1`, or `sha256-` and a digest.";
/// What is published under a digest or an exact version never changes.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

pub(super) fn schema() -> Operation {
    Operation::new(Method::GET, "/v1/schemas/{definition}", "getSchema", |call| {
        Box::pin(async move {
            let name = call.path("definition").to_owned();
            run(call, Command::GetSchema { name }, "application/schema+json").await
        })
    })
    .about("definitions", "Gets a schema", "The newest that fits a range.")
    .access(Access::Scope(Scope::Read))
    .in_path("definition", text(NAME_CHARS_MAX), NAME)
    .example("market/rfp@^1")
    .in_header("If-None-Match", formed_or_empty(70, ETAG), "The entity tag of what the caller has.")
    .answers_media(200, "The schema", "application/schema+json", Shape::Json)
    .answers_nothing(304, "The caller has it")
    .problems(&[404])
}

pub(super) fn protocol() -> Operation {
    Operation::new(Method::GET, "/v1/protocols/{definition}", "getProtocol", |call| {
        Box::pin(async move {
            let name = call.path("definition").to_owned();
            run(call, Command::GetProtocol { name }, "application/json").await
        })
    })
    .about("definitions", "Gets a protocol", "The newest that fits a range.")
    .access(Access::Scope(Scope::Read))
    .in_path("definition", text(NAME_CHARS_MAX), NAME)
    .example("market/negotiation@^1")
    .in_header("If-None-Match", formed_or_empty(70, ETAG), "The entity tag of what the caller has.")
    .answers_media(200, "The protocol", "application/json", Shape::Json)
    .answers_nothing(304, "The caller has it")
    .problems(&[404])
}

async fn run(call: Call, command: Command, media: &'static str) -> Answer {
    let reply = call.door.ask(call.caller.agent, command).await.map_err(|failure| {
        // What is no name of a definition is the name of none.
        let is_no_name = failure.problem.code == "argument.malformed";
        if is_no_name { Rejection::NotFound.into() } else { failure }
    })?;
    let Reply::Definition { name, stored } = reply else {
        return Err(Rejection::NotFound.into());
    };
    let asked = call.path("definition");
    let is_exact = asked.starts_with("sha256-") || asked.contains("@v");
    let has_it = call
        .text("If-None-Match")
        .is_some_and(|tag| tag == "*" || tag.trim_start_matches("W/").trim_matches('"') == digest_of(&name));
    let mut response = if has_it { not_modified() } else { Response::new(Body::from(stored)) };
    tag(&mut response, &name, is_exact);
    if !has_it {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    }
    Ok(response)
}

/// Says which definition it is: its name and digest, the latter as entity tag.
pub(super) fn tag(response: &mut Response<Body>, pinned: &str, is_exact: bool) {
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", digest_of(pinned))) {
        headers.insert(header::ETAG, etag);
    }
    if let Ok(name) = HeaderValue::from_str(pinned) {
        headers.insert("openmesh-definition", name);
    }
    if is_exact {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
    }
}

fn digest_of(pinned: &str) -> &str {
    pinned.rsplit_once("#sha256-").map_or("", |(_, digest)| digest)
}

fn not_modified() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}
