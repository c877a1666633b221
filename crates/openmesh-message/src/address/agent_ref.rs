//! How an agent is named in an address: by its id, or by the name its domain gave it.

use crate::AgentId;
use crate::limits::{AGENT_NAME_BYTES_MAX, excerpt};
use crate::text_form::as_text;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name a domain gave an agent: `a-z 0-9 - . _`, beginning with a letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentName(Arc<str>);

/// An agent by id or by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgentRef {
    /// By its `did:key`.
    Id(AgentId),
    /// By the name its domain gave it.
    Name(AgentName),
}

impl AgentName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AgentName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = text.len() <= AGENT_NAME_BYTES_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b));
        if fits {
            return Ok(Self(text.into()));
        }
        Err(format!(
            "`{}` is not an agent name: a letter, then a-z 0-9 - . _ , at most {AGENT_NAME_BYTES_MAX} characters",
            excerpt(text)
        ))
    }
}

impl FromStr for AgentRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("did:") {
            return text.parse().map(Self::Id).map_err(|error| format!("{error}"));
        }
        text.parse().map(Self::Name)
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for AgentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => write!(f, "{name}"),
        }
    }
}

as_text!(AgentName);
as_text!(AgentRef);
