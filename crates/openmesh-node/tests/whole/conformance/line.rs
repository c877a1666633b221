//! The lines of scenarios: who, verb, words, and `key=value` with JSON values and variables.

use super::stage::Stage;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// One line, its variables replaced; what is read is taken out, so that what nobody reads is found.
pub(crate) struct Line {
    pub(crate) place: String,
    pub(crate) who: String,
    pub(crate) verb: String,
    words: VecDeque<String>,
    values: BTreeMap<String, Value>,
}

impl Line {
    pub(crate) fn parse(place: String, text: &str, stage: &mut Stage) -> Self {
        let mut parts = text.trim().splitn(3, ' ');
        let who = parts.next().unwrap().to_owned();
        let verb = parts.next().unwrap_or_else(|| panic!("{place}: no verb")).to_owned();
        let mut line = Self { place, who, verb, words: VecDeque::new(), values: BTreeMap::new() };
        let mut left = parts.next().unwrap_or_default().trim_start();
        while !left.is_empty() {
            left = match split_key(left) {
                Some((key, rest)) => {
                    let (value, rest) = split_value(rest);
                    line.values.insert(key.to_owned(), replace(value, stage));
                    rest
                }
                None => {
                    let (word, rest) = left.split_once(' ').unwrap_or((left, ""));
                    line.words.push_back(word.to_owned());
                    rest
                }
            };
            left = left.trim_start();
        }
        line
    }

    pub(crate) fn word(&mut self) -> String {
        self.words.pop_front().unwrap_or_else(|| panic!("{}: a word is missing", self.place))
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.values.remove(key)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        let value = self.take(key)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    pub(crate) fn needed(&mut self, key: &str) -> String {
        self.text(key).unwrap_or_else(|| panic!("{}: {key} is missing", self.place))
    }

    pub(crate) fn number(&mut self, key: &str) -> Option<i64> {
        self.text(key).map(|text| text.parse().unwrap())
    }

    pub(crate) fn unsigned(&mut self, key: &str) -> Option<u64> {
        self.text(key).map(|text| text.parse().unwrap())
    }

    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        self.take(key).and_then(|value| value.as_bool())
    }

    pub(crate) fn texts(&mut self, key: &str) -> Vec<String> {
        let value = self.take(key).unwrap_or_default();
        let items = value.as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    }

    /// The keys that are JSON pointers, and their values.
    pub(crate) fn pointers(&mut self) -> Vec<(String, Value)> {
        let (pointers, rest) =
            std::mem::take(&mut self.values).into_iter().partition(|(key, _)| key.starts_with('/'));
        self.values = rest;
        let pointers: BTreeMap<_, _> = pointers;
        pointers.into_iter().collect()
    }

    pub(crate) fn done(&self) {
        assert!(self.words.is_empty(), "{}: words nobody reads: {:?}", self.place, self.words);
        assert!(self.values.is_empty(), "{}: keys nobody reads: {:?}", self.place, self.values);
    }
}

fn split_key(text: &str) -> Option<(&str, &str)> {
    let (key, rest) = text.split_once('=')?;
    let fits = key.starts_with(|c: char| c.is_ascii_lowercase() || c == '/')
        && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "/_-".contains(c));
    fits.then_some((key, rest))
}

/// JSON where it looks like it, else a word.
fn split_value(text: &str) -> (Value, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    if word == "true" || word == "false" {
        return (Value::Bool(word == "true"), rest);
    }
    if text.starts_with(|c: char| "{[\"-".contains(c) || c.is_ascii_digit()) {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let value = values.next().unwrap().unwrap();
        return (value, &text[values.byte_offset()..]);
    }
    (Value::String(word.to_owned()), rest)
}

fn replace(value: Value, stage: &mut Stage) -> Value {
    match value {
        Value::String(text) => Value::String(replace_in(&text, stage)),
        Value::Array(items) => items.into_iter().map(|item| replace(item, stage)).collect(),
        Value::Object(entries) => {
            entries.into_iter().map(|(key, value)| (key, replace(value, stage))).collect()
        }
        other => other,
    }
}

fn replace_in(text: &str, stage: &mut Stage) -> String {
    let Some((before, after)) = text.split_once('$') else {
        return text.to_owned();
    };
    if !after.starts_with(|c: char| c.is_ascii_lowercase()) {
        return format!("{before}${}", replace_in(after, stage));
    }
    let end = after.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '-');
    let (name, rest) = after.split_at(end.unwrap_or(after.len()));
    let (meant, rest) = if let Some(part) = rest.strip_prefix('.') {
        let end = part.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(part.len());
        let (part, rest) = part.split_at(end);
        (stage.meaning(name, Some(part)), rest)
    } else if name == "now" {
        let later = rest.strip_prefix('+').unwrap_or_default();
        let end = later.find(|c: char| !c.is_ascii_digit()).unwrap_or(later.len());
        let (later, rest) = later.split_at(end);
        (openmesh_sdk::now().plus_ms(later.parse().unwrap_or(0)).to_string(), rest)
    } else {
        (stage.meaning(name, None), rest)
    };
    format!("{before}{meant}{}", replace_in(rest, stage))
}
