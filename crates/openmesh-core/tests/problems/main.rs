//! `spec/problems.md` against the code, both ways: every code that is given is explained, and no other.
#![cfg(test)]

mod page;
