//! Why [`super::reader`] does not take a text: the same rules again, in serde's words and places, and no value made.

use super::{JsonError, JsonLimits};
use crate::limits::JSON_NUMBER_MAX;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;

/// What speaks against a text first.
pub(super) fn to(text: &str, limits: JsonLimits) -> JsonError {
    find(text, limits).unwrap_or_else(|| JsonError::Malformed("it cannot be read".to_owned()))
}

/// `None` if nothing does.
pub(super) fn find(text: &str, limits: JsonLimits) -> Option<JsonError> {
    let budget = Budget { limits, keys: Cell::new(0), refused: RefCell::new(None) };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let walked = Strict { budget: &budget, depth: 0 }.deserialize(&mut deserializer);
    let error = walked.and_then(|()| deserializer.end()).err()?;
    Some(budget.refused.take().unwrap_or_else(|| explain(&error)))
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
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        if value > JSON_NUMBER_MAX {
            return Err(self.budget.refuse(JsonError::NumberOutOfRange(value.to_string())));
        }
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        if value.unsigned_abs() > JSON_NUMBER_MAX {
            return Err(self.budget.refuse(JsonError::NumberOutOfRange(value.to_string())));
        }
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if value.abs() <= JSON_NUMBER_MAX as f64 {
            return Ok(());
        }
        Err(self.budget.refuse(JsonError::NumberOutOfRange(value.to_string())))
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut names = BTreeSet::new();
        while let Some(name) = entries.next_key::<String>()? {
            self.count_key()?;
            if names.contains(&name) {
                return Err(self.budget.refuse(JsonError::DuplicateKey(crate::limits::excerpt(&name))));
            }
            names.insert(name);
            entries.next_value_seed(inner)?;
        }
        Ok(())
    }
}
