//! What is read from text: names, addresses, topics, ids, times.

pub mod addresses;
pub mod identifiers;
pub mod names;
pub mod times;
pub mod topics;
