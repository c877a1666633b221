//! Schemas, protocols, what they say in expressions and durations, conversations under them, and policies.

pub mod conversation;
pub mod duration;
pub mod expression;
pub mod own_protocol;
pub mod policy;
pub mod protocol;
mod run;
pub mod schema;

/// A small protocol, for seeds of other targets.
pub(crate) fn small_protocol() -> String {
    duration::definition("PT10M").to_string()
}
