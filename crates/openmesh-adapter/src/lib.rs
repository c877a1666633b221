//! What every adapter shares: the handle to the mesh, the bounded way in, the bounded way out, and what is measured and traced.

mod beside;
mod clock;
mod intake;
mod lingering;
mod load;
mod matched;
mod mesh_handle;
pub mod metrics;
mod outbox;
pub mod planted;
pub mod quota;
mod shortcut;
pub mod trace;
mod turns;

pub use beside::{Answers, Asked};
pub use clock::now;
pub use intake::{Arrival, Intake, Queues};
pub use lingering::Lingering;
pub use load::{CLASSES, Class, Load, Resident, Shedding};
pub use matched::{Matched, counted};
pub use mesh_handle::{Entrance, Event, Expected, Inputs, MeshGone, MeshHandle, channel};
pub use outbox::{
    Batch, Outbox, OutboxReader, Outgoing, Refusal, Room, WeakOutbox, delivery_bytes, message_bytes,
};
pub use quota::{Purse, Quotas, Rates};
pub use shortcut::{Reader, Shortcut, Shortcuts, ShortcutsByTopic};
