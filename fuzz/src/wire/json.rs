//! Strict JSON beside the lenient reader: what it takes the other takes alike, and its canonical form is final.

use crate::cast::{contract, rfp};
use crate::form::assert_brief;
use crate::targets::{Met, Seed};
use openmesh_message::json::{Document, JsonError, Kind, Part, parse_strict};
use openmesh_message::limits::{JSON_DEPTH_MAX, JSON_KEYS_MAX, JSON_NUMBER_MAX};
use serde_json::Value;

/// A JSON payload.
pub fn target(input: &[u8]) -> Met {
    let lenient = serde_json::from_slice::<Value>(input);
    let document = match Document::read(input) {
        Ok(document) => document,
        Err(error) => {
            assert_brief(&error);
            let is_no_json = matches!(error, JsonError::NotUtf8(_) | JsonError::Malformed(_));
            assert!(!is_no_json || lenient.is_err(), "{error}, but it is JSON");
            return Met::Refused;
        }
    };
    let value = document.to_value();
    assert_eq!(lenient.ok().as_ref(), Some(&value));
    assert_alike(document.root(), &value);
    let (depth, keys) = measure(&value);
    assert!(depth <= JSON_DEPTH_MAX && keys <= JSON_KEYS_MAX);
    let canonical = serde_json_canonicalizer::to_vec(&value).unwrap();
    let again = parse_strict(&canonical).unwrap();
    assert_eq!(serde_json_canonicalizer::to_vec(&again).unwrap(), canonical);
    Met::Taken
}

/// Nothing stands twice in a document, and everything is found in it.
fn assert_alike(part: Part<'_>, value: &Value) {
    match (part.kind(), value) {
        (Kind::Object(object), Value::Object(members)) => {
            assert_eq!((object.len(), object.members().count()), (members.len(), members.len()));
            for (name, value) in members {
                assert_alike(object.get(name).unwrap(), value);
            }
        }
        (Kind::Array(elements), Value::Array(items)) => {
            assert_eq!(elements.len(), items.len());
            elements.zip(items).for_each(|(part, value)| assert_alike(part, value));
        }
        _ => assert_eq!(part, *value),
    }
}

/// Depth and keys; every number is in range.
fn measure(value: &Value) -> (usize, usize) {
    let all = |parts: Vec<(usize, usize)>| {
        let depth = parts.iter().map(|(depth, _)| *depth).max().unwrap_or(0);
        (depth + 1, parts.iter().map(|(_, keys)| *keys).sum())
    };
    match value {
        Value::Array(items) => all(items.iter().map(measure).collect()),
        Value::Object(entries) => {
            let (depth, keys): (usize, usize) = all(entries.values().map(measure).collect());
            (depth, keys + entries.len())
        }
        Value::Number(number) => {
            let size = number.as_f64().unwrap().abs();
            assert!(size <= JSON_NUMBER_MAX as f64, "{number}");
            (0, 0)
        }
        _ => (0, 0),
    }
}

/// Payloads, numbers at the edge, and what is refused.
pub fn seeds() -> Vec<Seed> {
    vec![
        Seed::new("rfp", rfp().to_string()),
        Seed::new("contract", contract(9).to_string()),
        Seed::new("numbers", "[0,-0,1.5,-2e3,1E-7,9007199254740991,-9007199254740991]"),
        Seed::new("texts", r#"{"a":"\u0041\ud83d\ude00","ä":["\n","\\"],"b":{"":null}}"#),
        Seed::new("twice", r#"{"a":1,"a":2}"#),
        Seed::new("large", "[9007199254740992,1e400]"),
        Seed::new("deep", format!("{}1{}", "[".repeat(65), "]".repeat(65))),
    ]
}
