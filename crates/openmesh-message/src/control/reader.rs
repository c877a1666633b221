//! Reads values of attributes, each by its name.

use super::ControlError;
use crate::{Address, AddressError, Attributes};
use std::fmt::Display;
use std::str::FromStr;

/// Reads attributes of one message.
pub(super) struct Reader<'a>(pub(super) &'a Attributes);

impl Reader<'_> {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(str::to_owned)
    }

    pub(super) fn by<T, E: Display>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ControlError> {
        read(name, self.0.get(name), parse)
    }

    pub(super) fn optional<T: FromStr<Err: Display>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, ControlError> {
        self.by(name, str::parse)
    }

    pub(super) fn required<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<T, ControlError> {
        read_required(name, self.0.get(name))
    }

    pub(super) fn address(&self, name: &'static str) -> Result<Option<Address>, ControlError> {
        let refused = |error: AddressError| {
            let why = error.to_string();
            match error {
                AddressError::Relative(_) => ControlError::Relative { name, why },
                _ => ControlError::Malformed { name, why },
            }
        };
        self.0.get(name).map(str::parse).transpose().map_err(refused)
    }

    pub(super) fn list<T: PartialEq, E: Display>(
        &self,
        name: &'static str,
        items_max: usize,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, ControlError> {
        read_list(name, self.0.get(name), items_max, parse)
    }
}

/// Reads the value of an attribute.
pub(super) fn read<T, E: Display>(
    name: &'static str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, ControlError> {
    let malformed = |error: E| ControlError::Malformed { name, why: error.to_string() };
    text.map(parse).transpose().map_err(malformed)
}

/// Reads the value of an attribute that every message has.
pub(super) fn read_required<T: FromStr<Err: Display>>(
    name: &'static str,
    text: Option<&str>,
) -> Result<T, ControlError> {
    read(name, text, str::parse)?.ok_or(ControlError::Missing(name))
}

/// Reads a list: joined by single commas, without spaces, none empty or repeated.
pub(super) fn read_list<T: PartialEq, E: Display>(
    name: &'static str,
    text: Option<&str>,
    items_max: usize,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, ControlError> {
    let malformed = |why: String| ControlError::Malformed { name, why };
    let mut list = Vec::new();
    for item in text.into_iter().flat_map(|text| text.split(',')) {
        let item = parse(item).map_err(|error| malformed(error.to_string()))?;
        if list.contains(&item) {
            return Err(malformed("an item stands twice".to_owned()));
        }
        list.push(item);
        if list.len() > items_max {
            return Err(malformed(format!("more than {items_max} items")));
        }
    }
    Ok(list)
}
