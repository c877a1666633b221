//! Batched mode: a JSON array of events in structured mode.

use super::EventError;
use super::structured::{ENVELOPE_KEYS_MAX, from_value, to_value};
use crate::Envelope;
use crate::json::{self, JsonLimits};
use crate::limits::{FRAME_MESSAGES_MAX, JSON_DEPTH_MAX, JSON_KEYS_MAX};
use serde_json::Value;

/// Events of one batch.
pub const EVENTS_MAX: usize = FRAME_MESSAGES_MAX;

/// Reads a batch: an error of the whole, or each event by itself.
///
/// The JSON of the batch is read as one, so what is no JSON, or repeats a key, refuses all of it.
pub fn from_batch(bytes: &[u8]) -> Result<Vec<Result<Envelope, EventError>>, EventError> {
    let limits =
        JsonLimits { depth: JSON_DEPTH_MAX + 2, keys: JSON_KEYS_MAX + EVENTS_MAX * ENVELOPE_KEYS_MAX };
    let Value::Array(events) = json::parse_within(bytes, limits)? else {
        return Err(EventError::Shape("a batch of CloudEvents is an array".to_owned()));
    };
    if events.len() > EVENTS_MAX {
        return Err(EventError::Shape(format!("{} events, at most {EVENTS_MAX} in a batch", events.len())));
    }
    Ok(events.into_iter().map(from_value).collect())
}

/// Messages as a batch.
pub fn to_batch<'a>(envelopes: impl IntoIterator<Item = &'a Envelope>) -> String {
    Value::Array(envelopes.into_iter().map(to_value).collect()).to_string()
}
