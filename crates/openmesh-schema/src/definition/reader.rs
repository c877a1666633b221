//! Reads a definition's tree of values, knowing at every point where it is: an error names its path.

use super::Label;
use crate::definition_error::{DefinitionError, DefinitionErrorKind as Kind};
use crate::limits::LABEL_BYTES_MAX;
use serde_json::{Map, Value};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Reader<'v> {
    path: String,
    value: &'v Value,
}

/// An object of which every key is known.
#[derive(Clone, Debug)]
pub(super) struct Fields<'v> {
    path: String,
    object: &'v Map<String, Value>,
}

impl<'v> Reader<'v> {
    pub(super) fn root(value: &'v Value) -> Self {
        Self { path: String::new(), value }
    }

    pub(super) fn error(&self, kind: Kind, message: impl Into<String>) -> DefinitionError {
        DefinitionError::new(self.path.clone(), kind, message)
    }

    /// The object, if it has no keys but `known`.
    pub(super) fn fields(&self, known: &[&str]) -> Result<Fields<'v>, DefinitionError> {
        let object = self.object()?;
        if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(DefinitionError::new(
                join(&self.path, key),
                Kind::UnknownKey,
                format!("`{key}` is no key here; known are: {}", known.join(", ")),
            ));
        }
        Ok(Fields { path: self.path.clone(), object })
    }

    /// The entries of an object whose keys are labels of the definition's own.
    pub(super) fn labelled(
        &self,
        what: &str,
        max: usize,
    ) -> Result<Vec<(String, Reader<'v>)>, DefinitionError> {
        let entries = self.entries()?;
        if entries.len() > max {
            return Err(self.error(Kind::Budget, format!("at most {max} of these")));
        }
        if let Some((key, at)) = entries.iter().find(|(key, _)| !is_label(key)) {
            return Err(at.error(
                Kind::BadName,
                format!("`{key}` is no name of a {what} (a-z, 0-9, - and _, at most {LABEL_BYTES_MAX})"),
            ));
        }
        Ok(entries)
    }

    /// The entries of an object, by key.
    pub(super) fn entries(&self) -> Result<Vec<(String, Reader<'v>)>, DefinitionError> {
        let object = self.object()?;
        let entries = object.iter().map(|(key, value)| {
            let path = join(&self.path, key);
            (key.clone(), Reader { path, value })
        });
        Ok(entries.collect())
    }

    /// The items of a list.
    pub(super) fn items(&self, max: usize) -> Result<Vec<Reader<'v>>, DefinitionError> {
        let Value::Array(items) = self.value else {
            return Err(self.wrong("a list"));
        };
        if items.len() > max {
            return Err(self.error(Kind::Budget, format!("at most {max} of these")));
        }
        let readers = items
            .iter()
            .enumerate()
            .map(|(index, value)| Reader { path: format!("{}[{index}]", self.path), value });
        Ok(readers.collect())
    }

    /// One text or a list of them; at least one, none twice.
    pub(super) fn texts(&self, max: usize) -> Result<Vec<(&'v str, Reader<'v>)>, DefinitionError> {
        let readers = match self.value {
            Value::String(_) => vec![self.clone()],
            _ => self.items(max)?,
        };
        if readers.is_empty() {
            return Err(self.error(Kind::MissingKey, "at least one is needed"));
        }
        let mut texts: Vec<(&'v str, Reader<'v>)> = Vec::new();
        for reader in readers {
            let text = reader.text()?;
            if texts.iter().any(|(earlier, _)| *earlier == text) {
                return Err(reader.error(Kind::Inconsistent, format!("`{text}` stands here twice")));
            }
            texts.push((text, reader));
        }
        Ok(texts)
    }

    pub(super) fn text(&self) -> Result<&'v str, DefinitionError> {
        self.value.as_str().ok_or_else(|| self.wrong("a text"))
    }

    pub(super) fn label(&self, what: &str) -> Result<Label, DefinitionError> {
        let text = self.text()?;
        if !is_label(text) {
            return Err(self.error(Kind::BadName, format!("`{text}` is no name of a {what}")));
        }
        Ok(text.into())
    }

    /// One of `choices`.
    pub(super) fn choice(&self, choices: &[&str]) -> Result<&'v str, DefinitionError> {
        let text = self.text()?;
        if choices.contains(&text) {
            return Ok(text);
        }
        let message = format!("`{text}` is not one of: {}", choices.join(", "));
        Err(self.error(Kind::WrongType, message))
    }

    pub(super) fn whole_number(&self, min: u64, max: u64) -> Result<u64, DefinitionError> {
        match self.value.as_u64() {
            Some(number) if (min..=max).contains(&number) => Ok(number),
            _ => Err(self.wrong(&format!("a whole number from {min} to {max}"))),
        }
    }

    /// The value itself, for what has two forms.
    pub(super) fn value(&self) -> &'v Value {
        self.value
    }

    pub(super) fn wrong(&self, expected: &str) -> DefinitionError {
        let found = match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.error(Kind::WrongType, format!("expected {expected}, found {found}"))
    }

    fn object(&self) -> Result<&'v Map<String, Value>, DefinitionError> {
        self.value.as_object().ok_or_else(|| self.wrong("an object"))
    }
}

impl<'v> Fields<'v> {
    pub(super) fn get(&self, key: &str) -> Option<Reader<'v>> {
        self.object.get(key).map(|value| Reader { path: join(&self.path, key), value })
    }

    pub(super) fn need(&self, key: &str) -> Result<Reader<'v>, DefinitionError> {
        self.get(key).ok_or_else(|| {
            DefinitionError::new(self.path.clone(), Kind::MissingKey, format!("`{key}` is missing"))
        })
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        return key.to_owned();
    }
    format!("{path}.{key}")
}

fn is_label(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    text.len() <= LABEL_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(known)
}
