//! Schemas and protocol definitions: check a payload, check a step of a conversation.
//!
//! Pure: no clock, randomness, files or sockets. Start with `catalog.rs` (what is published), then
//! `schema.rs` (payloads), `definition.rs` (what a protocol says), `protocol.rs` (what is checked when it
//! is published) and `engine.rs` (how a conversation moves).

mod builtin;
mod catalog;
mod conversation;
mod definition;
mod definition_error;
mod engine;
mod expression;
pub mod limits;
mod protocol;
mod row_filter;
mod schema;

pub use catalog::{Catalog, Conflict};
pub use conversation::{
    Act, ActTarget, Advance, AllowedAct, Bound, Cause, ConversationState, Effect, IllegalAct, IllegalKind,
    Instance, InstanceId, Notice, Obligation, Slot, Transition,
};
pub use definition::{
    Binds, Count, Definition, Label, MAIN_MACHINE, Machine, Move, ObligationRule, Outcome, Role, State,
    Timer, TimerStart, When,
};
pub use definition_error::{DefinitionError, DefinitionErrorKind};
pub use protocol::{CheckReport, Protocol};
pub use row_filter::RowFilter;
pub use schema::{Schema, Violation};
