//! A domain's rules: given a message and its context, one of the five verdicts, and why.
//!
//! Pure: no sockets, files, clock or randomness; the caller reads the file. Start with `policy.rs`
//! (deciding), then `rule.rs` (matching one rule) and `file.rs` (the TOML form, `spec/policy.md`).

mod canonical;
mod context;
mod decision;
mod error;
mod file;
mod narrowed;
mod pattern;
mod policy;
mod rule;
mod suggestion;
mod table;
mod word;

pub use context::{
    Action, Authenticity, Destination, MachineState, Origin, Party, Standing, StatefulContext, StaticContext,
};
pub use decision::{DEFAULT_RULE, Decision, StaticDecision, Verdict};
pub use error::PolicyError;
pub use narrowed::Narrowed;
pub use policy::{DEFAULT_CLOSED, DEFAULT_OPEN, Policy, RuleSummary};
