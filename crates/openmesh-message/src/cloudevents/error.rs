//! Why something is no CloudEvent that a message can be made of.

use crate::json::JsonError;
use crate::{AttributeError, TimestampError};

/// Why bytes, headers or JSON are no message in CloudEvents form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The JSON cannot be read within the limits.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The JSON is of another shape than a CloudEvent, or a batch of them.
    #[error("{0}")]
    Shape(String),
    /// An attribute cannot be part of a message.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// An attribute's value cannot be read.
    #[error("the attribute `{name}`: {why}")]
    Value {
        /// The attribute.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

impl EventError {
    pub(crate) fn value(name: &str, why: impl Into<String>) -> Self {
        Self::Value { name: crate::limits::excerpt(name), why: why.into() }
    }

    /// The attribute concerned, if it is one.
    pub fn attribute(&self) -> Option<&str> {
        match self {
            Self::Value { name, .. } => Some(name),
            Self::Attribute(
                AttributeError::Name(name)
                | AttributeError::Reserved(name)
                | AttributeError::Value(name)
                | AttributeError::Order(name),
            ) => Some(name),
            _ => None,
        }
    }
}

impl From<TimestampError> for EventError {
    fn from(error: TimestampError) -> Self {
        Self::value("receivedtime", error.to_string())
    }
}
