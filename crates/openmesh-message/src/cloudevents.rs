//! Messages as CloudEvents 1.0: structured JSON, HTTP headers (binary), and batches. Pure mapping, nothing is decided here.
//!
//! The signed attributes are the context attributes; the proof and the transit part appear as attributes of
//! their own names. What CloudEvents allows and an [`Envelope`] cannot carry is refused, never dropped.

mod batch;
mod binary;
mod error;
mod fields;
mod media_type;
mod structured;

pub use batch::{EVENTS_MAX, from_batch, to_batch};
pub use binary::{HEADER_PREFIX, from_headers, to_headers};
pub use error::EventError;
pub use media_type::{BATCH_JSON, JSON, STRUCTURED_JSON, essence, is_json};
pub use structured::{ENVELOPE_KEYS_MAX, canonical_json, from_json, from_value, to_json, to_value};
