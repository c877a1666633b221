//! Conversation ids: a UUID in its text form (RFC 9562).

use crate::text_form::as_text;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The id of one run of a protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationId(Uuid);

impl ConversationId {
    /// Wraps 16 bytes that the caller made unique.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl fmt::Debug for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ConversationId {
    type Err = String;

    /// Takes only the hyphenated lower-case form, so that one id has one text.
    fn from_str(text: &str) -> Result<Self, String> {
        Uuid::try_parse(text)
            .ok()
            .map(Self)
            .filter(|id| id.to_string() == text)
            .ok_or_else(|| format!("`{}` is not a lower-case UUID", crate::limits::excerpt(text)))
    }
}

as_text!(ConversationId);
