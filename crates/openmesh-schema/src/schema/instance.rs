//! Payloads as the validator sees them: parts of the document that was read, no values.

use jsonschema::json::{self, Json, NodeIdentity};
use jsonschema::types::JsonType;
use openmesh_message::json::{Document, Elements, Kind, Members, Object, Part};
use serde_json::{Number, Value};
use std::borrow::Cow;

/// Members a pass may look at for each look-up it saves: a look-up is a pass, too.
const KEYS_PER_LOOKUP: usize = 8;

/// The form that payloads have.
pub(super) struct Instance;

impl Json for Instance {
    type Node<'a> = Part<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = Document;

    const KEYS_PER_LOOKUP: usize = KEYS_PER_LOOKUP;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>(buffer: &mut Document, string: &str, f: impl FnOnce(Part<'_>) -> T) -> T {
        buffer.hold(string);
        f(buffer.root())
    }
}

impl<'a> json::Node<'a, Instance> for Part<'a> {
    type Object = Object<'a>;
    type Array = Elements<'a>;
    type Number = Number;

    fn as_object(&self) -> Option<Object<'a>> {
        match self.kind() {
            Kind::Object(object) => Some(object),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        match self.kind() {
            Kind::Array(elements) => Some(elements),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self.kind() {
            Kind::Text(text) => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<Number> {
        match self.kind() {
            Kind::Number(number) => Some(number),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.kind() {
            Kind::Bool(value) => Some(value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.kind(), Kind::Null)
    }

    fn json_type(&self) -> JsonType {
        match self.kind() {
            Kind::Null => JsonType::Null,
            Kind::Bool(_) => JsonType::Boolean,
            Kind::Number(_) => JsonType::Number,
            Kind::Text(_) => JsonType::String,
            Kind::Array(_) => JsonType::Array,
            Kind::Object(_) => JsonType::Object,
        }
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        let Kind::Text(text) = self.kind() else {
            return None;
        };
        // A character takes one to four bytes, so most texts need not be counted.
        let (bytes, fewest) = (text.len() as u64, text.len().div_ceil(4) as u64);
        if bytes < min || fewest > max {
            return Some(false);
        }
        let is_clear = min <= fewest && bytes <= max;
        Some(is_clear || (min..=max).contains(&(text.chars().count() as u64)))
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self.kind(), expected) {
            (Kind::Text(text), Value::String(expected)) => text == expected,
            (Kind::Text(_), _) | (_, Value::String(_)) => false,
            _ => json::cmp::equal(&self.to_value(), expected),
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(Part::to_value(*self))
    }

    fn identity(&self) -> Option<NodeIdentity> {
        let address = std::ptr::from_ref(self.document()) as usize;
        Some(NodeIdentity::tagged(address, u32::try_from(self.place()).ok()?))
    }
}

impl<'a> json::Object<'a, Instance> for Object<'a> {
    type Node = Part<'a>;
    type MemberName = &'a str;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        Object::len(*self)
    }

    fn get(&self, key: &Box<str>) -> Option<Part<'a>> {
        Object::get(*self, key)
    }

    fn members(&self) -> Members<'a> {
        Object::members(*self)
    }
}

impl<'a> json::Array<'a, Instance> for Elements<'a> {
    type Node = Part<'a>;
    type ElementsIter = Elements<'a>;

    fn len(&self) -> usize {
        ExactSizeIterator::len(self)
    }

    fn elements(&self) -> Elements<'a> {
        self.clone()
    }
}
