//! Structured mode: one JSON object with every attribute and the data (CloudEvents JSON event format 1.0.2).
//!
//! A payload whose bytes are RFC 8785 stands as `data`, text as a string, anything else as `data_base64`; what
//! comes in as JSON `data` becomes its RFC 8785 form. So what a sender signs is the same in every form.

use super::media_type::{is_json, is_text};
use super::{EventError, fields};
use crate::json::{self, JsonLimits};
use crate::limits::{ATTRIBUTES_MAX, JSON_DEPTH_MAX, JSON_KEYS_MAX};
use crate::{Attributes, Envelope, Transit};
use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::{Map, Value};

/// Keys an event has around its payload: attributes, the transit part, the data.
pub const ENVELOPE_KEYS_MAX: usize = ATTRIBUTES_MAX + 6;
/// The largest magnitudes of CloudEvents' Integer: 32 bits, signed.
const INTEGER_RANGE: std::ops::RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;

/// Reads an event in structured mode.
pub fn from_json(bytes: &[u8]) -> Result<Envelope, EventError> {
    let limits = JsonLimits { depth: JSON_DEPTH_MAX + 1, keys: JSON_KEYS_MAX + ENVELOPE_KEYS_MAX };
    from_value(json::parse_within(bytes, limits)?)
}

/// Reads an event from JSON that was parsed strictly.
pub fn from_value(value: Value) -> Result<Envelope, EventError> {
    let Value::Object(mut members) = value else {
        return Err(EventError::Shape("a CloudEvent in JSON is an object".to_owned()));
    };
    let data = (members.remove("data"), members.remove("data_base64"));
    let mut envelope = Envelope {
        attributes: Attributes::default(),
        payload: Bytes::new(),
        proof: None,
        transit: Transit::default(),
    };
    for (name, value) in &members {
        if let Some(value) = attribute_text(name, value)? {
            fields::set(&mut envelope, name, &value)?;
        }
    }
    envelope.payload = payload(data, envelope.attributes.get("datacontenttype"))?;
    Ok(envelope)
}

/// Writes a message as an event in structured mode.
pub fn to_json(envelope: &Envelope) -> String {
    to_value(envelope).to_string()
}

/// A message as an event in structured mode.
pub fn to_value(envelope: &Envelope) -> Value {
    let attributes = fields::all(envelope).map(|(name, value)| (name, Value::String(value)));
    let mut members: Map<_, _> = attributes.collect();
    if let Some((name, data)) = shown_data(&envelope.payload, envelope.attributes.get("datacontenttype")) {
        members.insert(name.to_owned(), data);
    }
    Value::Object(members)
}

/// The RFC 8785 form of a payload that is JSON; `None` if it is none.
pub fn canonical_json(payload: &[u8]) -> Option<Bytes> {
    canonical(&json::parse_strict(payload).ok()?).ok()
}

/// The text of an attribute's value: of a boolean or integer its canonical form; `None` of null, which is absence.
fn attribute_text(name: &str, value: &Value) -> Result<Option<String>, EventError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Bool(truth) => Ok(Some(truth.to_string())),
        Value::Number(number) if number.as_i64().is_some_and(|n| INTEGER_RANGE.contains(&n)) => {
            Ok(Some(number.to_string()))
        }
        _ => Err(EventError::value(name, "an attribute is a string, a boolean or an integer of 32 bits")),
    }
}

fn payload(data: (Option<Value>, Option<Value>), media_type: Option<&str>) -> Result<Bytes, EventError> {
    match data {
        (None, None) => Ok(Bytes::new()),
        (Some(_), Some(_)) => {
            Err(EventError::Shape("`data` and `data_base64` exclude each other".to_owned()))
        }
        (None, Some(Value::String(encoded))) => {
            let decoded = BASE64.decode(encoded.as_bytes());
            let why = "it is not base64 with padding (RFC 4648 §4)";
            decoded.map(Bytes::from).map_err(|_| EventError::value("data_base64", why))
        }
        (None, Some(_)) => Err(EventError::value("data_base64", "it is a string")),
        (Some(value), None) if is_json(media_type) => canonical(&value),
        (Some(Value::String(text)), None) => Ok(Bytes::from(text)),
        (Some(_), None) => {
            let why = "data of a type that is not JSON is a string, or stands in `data_base64`";
            Err(EventError::value("data", why))
        }
    }
}

fn canonical(value: &Value) -> Result<Bytes, EventError> {
    let bytes = serde_json_canonicalizer::to_vec(value);
    bytes.map(Bytes::from).map_err(|error| EventError::Shape(error.to_string()))
}

/// The member that shows a payload, so that reading it gives the same bytes.
fn shown_data(payload: &Bytes, media_type: Option<&str>) -> Option<(&'static str, Value)> {
    if payload.is_empty() {
        return None;
    }
    if is_json(media_type)
        && let Ok(value) = json::parse_strict(payload)
        && canonical(&value).is_ok_and(|bytes| bytes == *payload)
    {
        return Some(("data", value));
    }
    if is_text(media_type)
        && let Ok(text) = std::str::from_utf8(payload)
    {
        return Some(("data", Value::String(text.to_owned())));
    }
    Some(("data_base64", Value::String(BASE64.encode(payload))))
}
