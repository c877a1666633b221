//! Protocols through the real engine: exhaustive walks, the market step by step, and every check at publish.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stdout, reason = "the walks print what they counted")]

mod fixture;
mod market;
mod naive;
mod publish;

mod walk;
