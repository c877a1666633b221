//! What every adapter shares: the handle to the mesh, the bounded way in, and the bounded way out.

mod clock;
mod intake;
mod mesh_handle;
mod outbox;

pub use clock::now;
pub use intake::{Arrival, Intake};
pub use mesh_handle::{Entrance, Event, Inputs, MeshGone, MeshHandle, channel};
pub use outbox::{Batch, Outbox, OutboxReader, Outgoing, Refusal, delivery_bytes};
