//! Streams: items from one agent to another, in order, without gaps or repeats, as fast as the reader takes them.
//!
//! Each end is a task that goes on by itself over the next connection when one is lost, and when the node restarted.

mod known;
mod link;
mod reader;
mod shelf;
mod writer;

pub(crate) use known::KnownStreams;
pub use reader::StreamReader;
pub use writer::StreamWriter;

use openmesh_message::limits::STREAM_AWAY_MS_MAX;
use std::time::Duration;

/// How long an end tries to go on; the node waits no longer for it.
const PATIENCE: Duration = Duration::from_millis(STREAM_AWAY_MS_MAX.unsigned_abs());

/// How a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Bytes of items that may be on their way, in the node and unread here: 64 KiB to 4 MiB.
    pub window: u64,
    /// Where to go on, as [`StreamReader::place`] said earlier; where this agent's handle left off if not given.
    pub from: Option<u64>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { window: 256 * 1024, from: None }
    }
}
