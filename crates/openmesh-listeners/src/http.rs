//! The HTTP listener: every operation of the mesh for whoever speaks HTTP, under the same checks as at every other door.
//!
//! Read `operation.rs` (what an operation is), `resources.rs` (which there are), `door.rs` (how they reach the mesh).

mod asyncapi;
mod caller;
mod components;
mod door;
mod guard;
mod idempotency;
mod operation;
mod problem;
mod resources;
mod serving;
mod shape;

pub use door::{HttpConfig, Metrics};
pub use serving::serve;
