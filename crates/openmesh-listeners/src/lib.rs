//! How agents connect. Each listener turns what it hears into envelopes and commands, and admits them.

pub mod accept;
mod admission;
pub mod http;
pub mod native;
pub mod tls;
mod toll;
