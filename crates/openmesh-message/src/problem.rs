//! Problems: what a refused sender is told (RFC 9457), with what would have been accepted.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Why something was refused, and what would be accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(default)]
pub struct Problem {
    /// Stable code, listed in `spec/problems.md`: `protocol.illegal_step`.
    #[n(0)]
    pub code: String,
    /// What happened, for people.
    #[n(1)]
    pub detail: String,
    /// The attribute or JSON pointer concerned.
    #[n(2)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The state the conversation is in.
    #[n(3)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What the sender may do next; only told to agents bound to a role.
    #[n(4)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_next: Vec<AllowedNext>,
    /// Milliseconds after which another try makes sense.
    #[n(5)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// One act that the protocol allows an agent next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct AllowedNext {
    /// The act, in its wire form.
    #[n(0)]
    pub performative: String,
    /// The schema its payload must have.
    #[n(1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The instance of the protocol's machine it would move: `bid[did:key:…]`.
    #[n(2)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

impl Problem {
    /// A problem with nothing but its code and detail.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into(), ..Self::default() }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)?;
        if let Some(pointer) = &self.pointer {
            write!(f, " (at {pointer})")?;
        }
        if let Some(state) = &self.state {
            write!(f, " (state {state})")?;
        }
        if !self.allowed_next.is_empty() {
            let acts: Vec<_> = self.allowed_next.iter().map(|next| next.performative.as_str()).collect();
            write!(f, " (allowed next: {})", acts.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
