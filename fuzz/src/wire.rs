//! What crosses connections: CBOR, JSON, CloudEvents.

pub mod attributes;
pub mod certificate;
pub mod client_auth;
pub mod client_frames;
pub mod client_hello;
pub mod control_attributes;
pub mod envelope;
pub mod event_batch;
pub mod event_headers;
pub mod event_json;
pub mod interned_frames;
pub mod json;
pub mod proof;
pub mod receipt;
mod said;
pub mod server_frames;
pub mod server_hello;
