//! What a policy answers: a verdict, the rule it comes from, and the reason to be shown.

use crate::word::words;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The name of the rule that stands behind every decision no rule of the file made.
pub const DEFAULT_RULE: &str = "default-deny";

words! {
    /// What is to happen; of all matching rules the strictest wins, and a later variant is stricter.
    Verdict {
        /// Let it pass.
        Allow = "allow",
        /// Let it pass with parts removed.
        Redact = "redact",
        /// Send it somewhere else.
        Reroute = "reroute",
        /// Keep it until a person has answered.
        Hold = "hold",
        /// Refuse it.
        Deny = "deny",
    }
}

/// One decided request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What is to happen.
    pub verdict: Verdict,
    /// The rule that decided; [`DEFAULT_RULE`] when none matched.
    pub rule: Arc<str>,
    /// Why, in the words of that rule.
    pub reason: Arc<str>,
}

impl Decision {
    /// Whether the request may go on unchanged.
    pub fn allows(&self) -> bool {
        self.verdict == Verdict::Allow
    }
}

/// The answer of the part of a policy that does not look at conversations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaticDecision {
    /// No state of any conversation can change this.
    Decided(Decision),
    /// A rule that reads role or state could still change the verdict.
    NeedsState,
}
