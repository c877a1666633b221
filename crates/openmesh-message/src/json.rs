//! Strict JSON: bounded depth, bounded keys, no duplicate keys, no number that another reader could round.

use crate::limits::{JSON_DEPTH_MAX, JSON_KEYS_MAX, JSON_NUMBER_MAX};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::{Cell, RefCell};
use std::fmt;

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

/// Parses a JSON payload under the limits of this crate.
pub fn parse_strict(bytes: &[u8]) -> Result<Value, JsonError> {
    parse_within(bytes, PAYLOAD)
}

/// Parses JSON that has payloads within it, under limits of its own and otherwise as strictly.
pub fn parse_within(bytes: &[u8], limits: JsonLimits) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::NotUtf8(error.valid_up_to()))?;
    let budget = Budget { limits, keys: Cell::new(0), refused: RefCell::new(None) };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = Strict { budget: &budget, depth: 0 }.deserialize(&mut deserializer);
    let parsed = parsed.and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| {
        let refused = budget.refused.borrow_mut().take();
        refused.unwrap_or_else(|| explain(&error))
    })
}

fn explain(error: &serde_json::Error) -> JsonError {
    let text = error.to_string();
    if text.starts_with("number out of range") {
        return JsonError::NumberOutOfRange(format!("at line {} column {}", error.line(), error.column()));
    }
    if text.starts_with("recursion limit") {
        return JsonError::TooDeep;
    }
    JsonError::Malformed(text)
}

struct Budget {
    limits: JsonLimits,
    keys: Cell<usize>,
    refused: RefCell<Option<JsonError>>,
}

impl Budget {
    fn refuse<E: Error>(&self, why: JsonError) -> E {
        let error = E::custom(&why);
        *self.refused.borrow_mut() = Some(why);
        error
    }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    budget: &'a Budget,
    depth: usize,
}

impl Strict<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == self.budget.limits.depth {
            return Err(self.budget.refuse(JsonError::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn count_key<E: Error>(self) -> Result<(), E> {
        let keys = self.budget.keys.get() + 1;
        self.budget.keys.set(keys);
        if keys > self.budget.limits.keys {
            return Err(self.budget.refuse(JsonError::TooManyKeys));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        if value > JSON_NUMBER_MAX {
            return Err(self.budget.refuse(JsonError::NumberOutOfRange(value.to_string())));
        }
        Ok(Value::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > JSON_NUMBER_MAX {
            return Err(self.budget.refuse(JsonError::NumberOutOfRange(value.to_string())));
        }
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let in_range = value.abs() <= JSON_NUMBER_MAX as f64;
        match Number::from_f64(value).filter(|_| in_range) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(self.budget.refuse(JsonError::NumberOutOfRange(value.to_string()))),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.count_key()?;
            if object.contains_key(&key) {
                return Err(self.budget.refuse(JsonError::DuplicateKey(crate::limits::excerpt(&key))));
            }
            object.insert(key, entries.next_value_seed(inner)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::{JsonError, parse_strict};

    #[test]
    fn ordinary_json_is_read_as_it_is() {
        let value = parse_strict(br#"{"a":[1,-2.5,"x",null,true],"b":{}}"#).unwrap();
        assert_eq!(value, serde_json::json!({"a": [1, -2.5, "x", null, true], "b": {}}));
    }

    #[test]
    fn each_excess_has_its_own_error() {
        let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
        let depth_64 = format!("{}1{}", "[".repeat(64), "]".repeat(64));
        let keys: Vec<_> = (0..10_001).map(|i| format!("\"k{i}\":1")).collect();
        let keys = format!("{{{}}}", keys.join(","));
        assert!(parse_strict(depth_64.as_bytes()).is_ok());
        assert_eq!(parse_strict(deep.as_bytes()), Err(JsonError::TooDeep));
        assert_eq!(parse_strict(keys.as_bytes()), Err(JsonError::TooManyKeys));
        assert_eq!(parse_strict(br#"{"a":1,"a":2}"#), Err(JsonError::DuplicateKey("a".into())));
        assert_eq!(parse_strict(b"\"\xff\""), Err(JsonError::NotUtf8(1)));
        for number in ["9007199254740992", "-9007199254740992", "1e400", "1e17", "18446744073709551616"] {
            assert!(
                matches!(parse_strict(number.as_bytes()), Err(JsonError::NumberOutOfRange(_))),
                "{number}"
            );
        }
        assert!(matches!(parse_strict(b"{} {}"), Err(JsonError::Malformed(_))));
        assert!(parse_strict(b"9007199254740991").is_ok());
    }
}
