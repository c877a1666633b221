//! Strict JSON: bounded depth, bounded keys, no duplicate keys, no number that another reader could round.
//!
//! `reader.rs` reads it, into `document.rs`; what it does not take, `objection.rs` says why.

mod building;
mod document;
mod objection;
mod reader;

pub use document::{Document, Elements, Kind, Members, Object, Part};

use crate::limits::{JSON_DEPTH_MAX, JSON_KEYS_MAX};
use serde_json::Value;

/// Why bytes are no acceptable JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not UTF-8.
    #[error("the payload is not UTF-8 (first bad byte at {0})")]
    NotUtf8(usize),
    /// Not JSON.
    #[error("the payload is not JSON: {0}")]
    Malformed(String),
    /// Nested deeper than [`JSON_DEPTH_MAX`].
    #[error("the payload is nested deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
    /// More object keys than [`JSON_KEYS_MAX`].
    #[error("the payload has more than {JSON_KEYS_MAX} keys")]
    TooManyKeys,
    /// A key stands twice in one object.
    #[error("the key `{0}` stands twice in one object")]
    DuplicateKey(String),
    /// A number that is not finite or beyond ±(2^53 − 1).
    #[error("the number {0} is beyond ±(2^53 − 1), where readers round differently")]
    NumberOutOfRange(String),
}

/// How much structure JSON may have.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimits {
    /// Deepest nesting.
    pub depth: usize,
    /// Object keys in all.
    pub keys: usize,
}

/// The limits of a payload.
const PAYLOAD: JsonLimits = JsonLimits { depth: JSON_DEPTH_MAX, keys: JSON_KEYS_MAX };

/// Reads a JSON payload into a value, under the limits of this crate.
pub fn parse_strict(bytes: &[u8]) -> Result<Value, JsonError> {
    Document::read(bytes).map(|document| document.to_value())
}

/// Reads JSON that has payloads within it, under limits of its own and otherwise as strictly.
pub fn parse_within(bytes: &[u8], limits: JsonLimits) -> Result<Value, JsonError> {
    read_within(bytes, limits).map(|document| document.to_value())
}

fn read_within(bytes: &[u8], limits: JsonLimits) -> Result<Document, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::NotUtf8(error.valid_up_to()))?;
    reader::read(text, limits).ok_or_else(|| objection::to(text, limits))
}

impl Document {
    /// Reads a JSON payload under the limits of this crate.
    pub fn read(bytes: &[u8]) -> Result<Self, JsonError> {
        read_within(bytes, PAYLOAD)
    }
}

#[cfg(test)]
mod tests;
