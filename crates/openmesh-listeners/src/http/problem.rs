//! Problems over HTTP: RFC 9457 documents with the codes of `spec/problems.md`, and the one table of statuses.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use openmesh_core::Rejection;
use openmesh_message::cloudevents::EventError;
use openmesh_message::{AttributeError, Problem};
use serde_json::{Value, json};

/// The media type of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
const TYPE_PREFIX: &str = "urn:openmesh:problem:";

/// A refusal on its way to a caller, with headers that belong to it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) problem: Box<Problem>,
    pub(crate) headers: Vec<(header::HeaderName, HeaderValue)>,
}

/// Status by code. What is not here is not given over HTTP.
#[rustfmt::skip]
pub(crate) const STATUSES: &[(&str, u16)] = &[
    ("message.too_large", 413), ("json.not_utf8", 400), ("json.malformed", 400), ("json.too_deep", 400),
    ("json.too_many_keys", 400), ("json.duplicate_key", 400), ("json.number_out_of_range", 400),
    ("attribute.missing", 400), ("attribute.malformed", 400), ("attribute.unsupported", 422),
    ("address.relative", 400), ("address.foreign_domain", 421), ("address.unknown_agent", 404),
    ("message.expired", 410), ("time.ahead", 400), ("time.outside_window", 409), ("id.conflict", 409),
    ("source.mismatch", 403), ("message.replayed", 403), ("signature.required", 403),
    ("signature.invalid", 403), ("signature.foreign_key", 403), ("policy.denied", 403),
    ("token.invalid", 401), ("token.scope", 403), ("token.too_many", 409), ("custody.unavailable", 503),
    ("query.too_many_waiting", 429), ("name.taken", 409),
    ("schema.unknown", 422), ("schema.invalid", 422), ("protocol.unknown", 422), ("definition.invalid", 422),
    ("definition.conflict", 409),
    ("protocol.other", 409), ("protocol.illegal_step", 409), ("protocol.wrong_schema", 422),
    ("protocol.out_of_turn", 409), ("protocol.too_many", 409), ("protocol.wrong_recipient", 422),
    ("protocol.wrong_parent", 409), ("protocol.guard_failed", 409), ("protocol.requirement_unmet", 422),
    ("protocol.correlation_broken", 422), ("protocol.custodial_signature", 403),
    ("protocol.timer_unusable", 422), ("protocol.no_instance", 409), ("protocol.not_bound", 403),
    ("protocol.role_full", 409), ("protocol.bad_invitation", 422), ("protocol.too_many_agents", 409),
    ("protocol.ended", 409), ("protocol.timer_due", 409), ("conversation.too_many", 503),
    ("topic.ephemeral", 409), ("agent.away", 409), ("inbox.full", 503), ("reply.late", 410),
    ("reply.duplicate", 409), ("lease.stale", 409),
    ("argument.malformed", 400), ("not_found", 404), ("subscription.too_many", 429), ("reply.too_large", 400),
    ("policy.invalid", 422),
    ("agent.quota", 429), ("agent.too_many", 503), ("connection.too_many", 503),
    ("node.busy", 503), ("store.full", 507), ("store.fault", 500), ("outcome.unknown", 504),
    ("frame.malformed", 400),
    ("stream.too_many", 429), ("stream.unknown", 404), ("stream.window", 429), ("stream.taken_over", 409),
    ("stream.peer_gone", 410), ("stream.disorder", 400), ("stream.over_credit", 400), ("stream.items_gone", 410),
    ("stream.reset", 409),
    ("token.missing", 401), ("host.not_allowed", 421), ("origin.not_allowed", 403), ("path.unknown", 404),
    ("method.not_allowed", 405), ("media_type.unsupported", 415), ("event.malformed", 400),
    ("request.timeout", 408), ("version.mismatch", 412), ("inbox.quota", 429), ("recall.late", 409), ("recall.act", 409), ("idempotency.mismatch", 422),
    ("idempotency.in_progress", 409), ("log.let_go", 410), ("erase.ambiguous", 409), ("erase.impossible", 409),
];

impl Failure {
    /// A refusal with a status of its own in the table.
    pub(crate) fn new(problem: Problem) -> Self {
        Self { problem: Box::new(problem), headers: Vec::new() }
    }

    /// A header that goes with it.
    pub(crate) fn with(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// An argument that cannot be read.
    pub(crate) fn argument(pointer: impl Into<String>, why: impl Into<String>) -> Self {
        let mut problem = Rejection::BadArgument("argument", why.into()).to_problem();
        problem.pointer = Some(pointer.into());
        Self::new(problem)
    }

    /// The status that the table gives its code.
    pub(crate) fn status(&self) -> StatusCode {
        status(&self.problem.code)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::new(problem)
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::new(rejection.to_problem())
    }
}

impl From<EventError> for Failure {
    fn from(error: EventError) -> Self {
        let mut problem = match &error {
            EventError::Json(error) => Rejection::from(error.clone()).to_problem(),
            EventError::Shape(why) => Problem::new("event.malformed", why.clone()),
            EventError::Attribute(error) => Rejection::from(error.clone()).to_problem(),
            EventError::Value { .. } => Rejection::from(AttributeError::TooLarge).to_problem(),
        };
        if let Some(attribute) = error.attribute() {
            problem.pointer = Some(attribute.to_owned());
            problem.detail = error.to_string();
        }
        Self::new(problem)
    }
}

/// The status of a code.
pub(crate) fn status(code: &str) -> StatusCode {
    let known = STATUSES.iter().find(|(known, _)| *known == code);
    known
        .and_then(|(_, status)| StatusCode::from_u16(*status).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A problem as JSON, with the members of RFC 9457.
pub(crate) fn to_json(problem: &Problem) -> Value {
    let status = status(&problem.code);
    let mut document = json!({
        "type": format!("{TYPE_PREFIX}{}", problem.code),
        "title": status.canonical_reason().unwrap_or("Problem"),
        "status": status.as_u16(),
    });
    if let (Some(document), Ok(Value::Object(members))) =
        (document.as_object_mut(), serde_json::to_value(problem))
    {
        document.extend(members);
    }
    document
}

/// A refusal as a response.
pub(crate) fn respond(failure: &Failure) -> Response<Body> {
    let mut response = Response::new(Body::from(to_json(&failure.problem).to_string()));
    *response.status_mut() = failure.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    if let Some(ms) = failure.problem.retry_after_ms {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000).max(1)));
    }
    for (name, value) in &failure.headers {
        headers.insert(name, value.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::STATUSES;
    use std::collections::BTreeMap;

    const PAGE: &str = include_str!("../../../../spec/problems.md");

    #[test]
    fn the_table_and_the_page_give_every_code_the_same_status() {
        let rows = PAGE.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() > 1);
        let shown: BTreeMap<&str, &str> = rows
            .map(|row| {
                let code = row.trim_start_matches("| `").split('`').next().unwrap();
                (code, row.trim_end_matches(" |").rsplit(" | ").next().unwrap())
            })
            .collect();
        let given: BTreeMap<_, _> =
            STATUSES.iter().map(|(code, status)| (*code, status.to_string())).collect();
        assert_eq!(given.len(), STATUSES.len(), "a code stands twice");
        for (code, status) in &given {
            assert_eq!(shown.get(code), Some(&status.as_str()), "{code}");
        }
        for code in shown.keys() {
            assert!(given.contains_key(code), "`{code}` has no status in the table");
        }
    }
}
