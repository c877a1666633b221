//! Runs every target without libFuzzer: on its committed seeds, on every input that ever broke it, and on some thousand
//! changed seeds.
#![cfg(test)]

mod changed;
mod committed;
