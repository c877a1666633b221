//! Reading one table of the file: texts and lists of texts, with the line of what is wrong.

use crate::error::{PolicyError, Refused};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Most items in one list of a rule.
const ITEMS_MAX: usize = 256;

/// One table of the file, its text beside it for line numbers.
#[derive(Clone, Copy)]
pub(crate) struct Table<'t> {
    text: &'t str,
    entries: &'t DeTable<'t>,
    span_start: usize,
    rule: Option<&'t str>,
}

impl<'t> Table<'t> {
    pub(crate) fn new(text: &'t str, table: &'t Spanned<DeTable<'t>>) -> Self {
        Self { text, entries: table.get_ref(), span_start: table.span().start, rule: None }
    }

    /// The tables under `key`; none when the key is absent.
    pub(crate) fn tables(&self, key: &str) -> Result<Vec<Table<'t>>, PolicyError> {
        let Some(value) = self.entries.get(key) else {
            return Ok(Vec::new());
        };
        let refuse = |at: &Spanned<DeValue<'_>>| {
            self.refuse(
                &at.span(),
                Refused::new(format!("`{key}` is a list of tables"))
                    .hint(format!("begin each with [[{key}]]")),
            )
        };
        let array = value.get_ref().as_array().ok_or_else(|| refuse(value))?;
        let table_of = |item: &'t Spanned<DeValue<'t>>| {
            let entries = item.get_ref().as_table().ok_or_else(|| refuse(item))?;
            let name = entries.get("name").and_then(|name| name.get_ref().as_str());
            Ok(Table { text: self.text, entries, span_start: item.span().start, rule: name })
        };
        array.iter().map(table_of).collect()
    }

    /// Refuses every key that is not one of `known`.
    pub(crate) fn refuse_unknown_keys(&self, known: &[&str]) -> Result<(), PolicyError> {
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                return Err(self.refuse(&key.span(), Refused::unknown("key", name, known)));
            }
        }
        Ok(())
    }

    /// The integer under `key`, in decimal digits as written.
    pub(crate) fn integer(&self, key: &str) -> Result<&'t str, PolicyError> {
        let value = self.value(key)?;
        match value.get_ref().as_integer() {
            Some(number) if number.radix() == 10 => Ok(number.as_str()),
            _ => Err(self.refuse(&value.span(), Refused::new(format!("`{key}` is an integer")))),
        }
    }

    /// The text under `key`, read by `read`.
    pub(crate) fn one<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, Refused>,
    ) -> Result<T, PolicyError> {
        let value = self.value(key)?;
        self.read_item(key, value, &read)
    }

    /// The texts under `key`, a single text standing for a list of one; an error when absent.
    pub(crate) fn some<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, Refused>,
    ) -> Result<Vec<T>, PolicyError> {
        self.value(key).and_then(|value| self.read_items(key, value, read))
    }

    /// The texts under `key`; none when absent.
    pub(crate) fn any<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, Refused>,
    ) -> Result<Option<Vec<T>>, PolicyError> {
        self.entries.get(key).map(|value| self.read_items(key, value, read)).transpose()
    }

    /// A problem with what is under `key`, or with the table where that is absent.
    pub(crate) fn refuse_key(&self, key: &str, refused: Refused) -> PolicyError {
        let place = self.entries.get(key).map(Spanned::span);
        self.refuse(&place.unwrap_or(self.span_start..self.span_start), refused)
    }

    fn value(&self, key: &str) -> Result<&'t Spanned<DeValue<'t>>, PolicyError> {
        self.entries.get(key).ok_or_else(|| self.refuse_key(key, Refused::new(format!("`{key}` is missing"))))
    }

    fn read_items<T>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        read: impl Fn(&str) -> Result<T, Refused>,
    ) -> Result<Vec<T>, PolicyError> {
        let Some(items) = value.get_ref().as_array() else {
            return Ok(vec![self.read_item(key, value, &read)?]);
        };
        if items.is_empty() || items.len() > ITEMS_MAX {
            let problem = format!("`{key}` has {} items", items.len());
            let hint = format!("from 1 to {ITEMS_MAX}; leave the key out to match everything");
            return Err(self.refuse(&value.span(), Refused::new(problem).hint(hint)));
        }
        items.iter().map(|item| self.read_item(key, item, &read)).collect()
    }

    fn read_item<T>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        read: &impl Fn(&str) -> Result<T, Refused>,
    ) -> Result<T, PolicyError> {
        let text = value.get_ref().as_str();
        text.ok_or_else(|| Refused::new(format!("`{key}` takes text in quotes")))
            .and_then(read)
            .map_err(|refused| self.refuse(&value.span(), refused))
    }

    fn refuse(&self, span: &Range<usize>, refused: Refused) -> PolicyError {
        refused.at(Some(line_of(self.text, span.start)), self.rule)
    }
}

/// The line of a byte offset, from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}
