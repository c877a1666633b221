//! What crosses a native connection, as CBOR.

pub mod attributes;
pub mod certificate;
pub mod client_auth;
pub mod client_frames;
pub mod client_hello;
pub mod control_attributes;
pub mod envelope;
pub mod interned_frames;
pub mod json;
pub mod proof;
pub mod receipt;
mod said;
pub mod server_frames;
pub mod server_hello;
