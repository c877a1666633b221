//! The wire's test vectors: made here from fixed seeds, kept in `spec/vectors/`, and compared with what is kept.
//!
//! `cargo test -p openmesh-message --test vectors -- --ignored` writes them anew after a change of the format.
#![cfg(test)]

mod control;
mod files;
mod fixture;
mod frames;
mod handshakes;
mod identities;
mod messages;
mod payloads;
mod proofs;
mod receipts;
mod words;
