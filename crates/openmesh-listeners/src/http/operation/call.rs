//! One call of an operation: who calls, and what was given, checked against what was declared.

use super::{Operation, Place};
use crate::http::caller::Caller;
use crate::http::door::Door;
use crate::http::problem::Failure;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use openmesh_core::Rejection;
use openmesh_message::Problem;
use openmesh_message::cloudevents::{essence, is_json};
use openmesh_message::json::{self as strict, JsonLimits};
use openmesh_message::limits::{JSON_DEPTH_MAX, JSON_KEYS_MAX};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How an operation ends.
pub(crate) type Answer = Result<Response<Body>, Failure>;

/// One call.
pub(crate) struct Call {
    pub(crate) door: Arc<Door>,
    pub(crate) caller: Caller,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What remains of the request, for operations that take over its connection.
    pub(crate) parts: Option<axum::http::request::Parts>,
    /// Parameters by name, as declared.
    /// The body, if it was declared as JSON.
    pub(super) value: Value,
    pub(super) given: BTreeMap<&'static str, Value>,
}

/// What was given, as text, before it is checked.
pub(super) struct Given<'a> {
    pub(super) path: &'a [(String, String)],
    pub(super) query: &'a [(String, String)],
    pub(super) headers: &'a HeaderMap,
}

impl Call {
    /// A parameter's text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.given.get(name).and_then(Value::as_str)
    }

    /// A part of the path, which is there or the operation would not have been found.
    pub(crate) fn path(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// A parameter's number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.given.get(name).and_then(Value::as_u64)
    }

    /// A parameter's truth; absent is false.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.given.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A parameter read as a type of its own.
    pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Failure> {
        let refused = |error: T::Err| Failure::argument(name, error.to_string());
        self.text(name).map(str::parse).transpose().map_err(refused)
    }

    /// The body, which had the declared shape.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_value(self.value.clone())
            .map_err(|error| Failure::argument("body", error.to_string()))
    }

    /// The media type of the body.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
    }

    /// Whether the caller prefers a media type over what is answered otherwise.
    pub(crate) fn accepts(&self, media: &str) -> bool {
        let accept = self.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        accept.is_some_and(|accept| accept.split(',').any(|one| essence(one) == media))
    }
}

/// Checks every parameter against its declaration; unknown query parameters are refused.
pub(super) fn check_parameters(
    operation: &Operation,
    given: &Given<'_>,
) -> Result<BTreeMap<&'static str, Value>, Failure> {
    for (name, _) in given.query {
        let known = operation.parameters.iter().any(|one| one.place == Place::Query && one.name == name);
        if !known {
            return Err(Failure::argument(name, "this operation has no such parameter"));
        }
        if given.query.iter().filter(|(other, _)| other == name).count() > 1 {
            return Err(Failure::argument(name, "the parameter stands twice"));
        }
    }
    let mut values = BTreeMap::new();
    for parameter in &operation.parameters {
        let Some(text) = given.text(parameter.place, parameter.name)? else {
            if parameter.is_required {
                return Err(Failure::argument(parameter.name, "this is needed"));
            }
            continue;
        };
        let value = parameter.shape.read(&text);
        if let Err(misfit) = parameter.shape.check(&value) {
            return Err(Failure::argument(parameter.name, misfit.why));
        }
        values.insert(parameter.name, value);
    }
    Ok(values)
}

impl Given<'_> {
    fn text(&self, place: Place, name: &str) -> Result<Option<String>, Failure> {
        let find = |pairs: &[(String, String)]| {
            pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
        };
        match place {
            Place::Path => Ok(find(self.path)),
            Place::Query => Ok(find(self.query)),
            Place::Header => {
                let mut values = self.headers.get_all(name).iter();
                let first = values.next();
                if values.next().is_some() {
                    return Err(Failure::argument(name, "the header stands twice"));
                }
                let text = first.map(HeaderValue::to_str).transpose();
                text.map(|text| text.map(str::to_owned))
                    .map_err(|_| Failure::argument(name, "the header is not visible ASCII"))
            }
        }
    }
}

/// Checks a body against its declaration, unless the operation reads it by itself.
pub(super) fn check_body(operation: &Operation, headers: &HeaderMap, body: &Bytes) -> Result<Value, Failure> {
    let Some(declared) = &operation.body else {
        return if body.is_empty() {
            Ok(Value::Null)
        } else {
            Err(Failure::argument("body", "this operation takes no body"))
        };
    };
    if declared.is_raw {
        return Ok(Value::Null);
    }
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if media.is_none_or(|media| !is_json(Some(media))) {
        return Err(unsupported_media("application/json"));
    }
    let limits = JsonLimits { depth: JSON_DEPTH_MAX + 2, keys: JSON_KEYS_MAX + 200 };
    let mut value = strict::parse_within(body, limits).map_err(Rejection::from)?;
    whole(&mut value);
    for (_, shape, _) in &declared.media {
        shape.check(&value).map_err(|misfit| Failure::argument(misfit.pointer, misfit.why))?;
    }
    Ok(value)
}

/// To JSON Schema `2.0` is an integer; here it is from now on.
fn whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            if let Some(float) = float {
                *value = json!(float as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole),
        Value::Object(members) => members.values_mut().for_each(whole),
        _ => {}
    }
}

/// The body is of a media type that the operation does not read.
pub(crate) fn unsupported_media(taken: &str) -> Failure {
    Failure::new(Problem::new("media_type.unsupported", format!("this operation takes {taken}")))
}

/// JSON as an answer.
pub(crate) fn json_answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer without a body.
pub(crate) fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
