//! A target for everything that parses bytes from outside, each a plain function.
//!
//! `targets.rs` lists them; libFuzzer drives them through `fuzz_targets/`, and `tests/inputs` runs the committed seeds and
//! every input that ever broke one. A target does more than not crash: it asserts what must hold of what was read.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a target ends in a panic where a promise is broken: that is how libFuzzer learns of it"
)]

mod cast;
mod feed;
mod form;
mod targets;

pub mod definition;
pub mod keeping;
pub mod text;
pub mod wire;

pub use feed::{Feed, Script};
pub use targets::{Met, Seed, TARGETS, Target, find};

/// The program of one target, as libFuzzer wants it.
#[cfg(feature = "libfuzzer")]
#[macro_export]
macro_rules! drive {
    ($($target:ident)::+) => {
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
            let _ = openmesh_fuzz::$($target)::+::target(bytes);
        });
    };
}
