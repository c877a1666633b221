//! What every adapter shares: the handle to the mesh, the bounded way in, and the bounded way out.

mod clock;
mod mesh_handle;
mod outbox;

pub use clock::now;
pub use mesh_handle::{Event, MeshGone, MeshHandle, channel};
pub use outbox::{Batch, Outbox, OutboxReader, Outgoing, Refusal, delivery_bytes};
