//! Pages against the code: every problem code is explained, every test that a promise names is there.
#![cfg(test)]

mod problems;
mod promises;
mod sources;
