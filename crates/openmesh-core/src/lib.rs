//! A partition of the mesh as a state machine: what should happen, never doing it.
//!
//! Read `admit.rs` (before the queue), then `pipeline.rs` (the path of a message), `plan.rs` and `partition.rs`.

pub mod admit;
mod command;
mod conversation;
mod deadlines;
mod dedup;
mod directory;
mod inbox;
mod input;
mod partition;
mod pipeline;
mod plan;
mod reading;
pub mod record;
mod rejection;
pub mod replay;
mod request;
mod route;
mod state;
mod view;

pub use admit::{Admitted, Refused};
pub use conversation::Conversation;
pub use directory::topics::{OnShelf, Shelves, TopicSetting, Topics};
pub use directory::{Agent, CustodialKey, Directory, IssuedToken, Tokens};
pub use inbox::{Entry, EntryState, Inbox};
pub use input::{ConnectionId, Input, Ticket};
pub use openmesh_policy::Standing;
pub use openmesh_schema::RowFilter;
pub use openmesh_schema::limits::EXPRESSION_BYTES_MAX;
#[cfg(feature = "steps")]
pub use partition::steps;
pub use partition::upkeep::{LogUpkeep, Wanted};
pub use partition::{
    AGENT_SUBSCRIPTIONS_MAX, AGENTS_MAX, INBOX_MESSAGES_MAX, INBOX_SENDER_MESSAGES_MAX,
    NODE_SUBSCRIPTIONS_MAX, SUBSCRIPTIONS_MAX,
};
pub use partition::{Config, Partition, RestoreError, planted};
pub use plan::{Begin, Deliver, Effect, LeasedItem, Plan, Question, Sealed, SeenItem, Shorten, Taken};
pub use reading::{Looking, Matcher, Sought, Stored, Term, Terms, as_seen_by, may_ask_for, may_read};
pub use rejection::{Bound, Rejection};
pub use state::State;
pub use view::{Identity, View};
