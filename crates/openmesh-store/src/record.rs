//! Records and snapshots as callers see them.

use bytes::Bytes;
use openmesh_message::{Digest, Position};

/// A record to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRecord {
    /// Its place: the log's partition and epoch, and the next free seq.
    pub position: Position,
    /// What the chain covers; commits to salt and body.
    pub header: Vec<u8>,
    /// Blinds the commitment, so that a body can be erased without being guessable.
    pub salt: [u8; 16],
    /// The message and what came with it.
    pub body: Vec<u8>,
}

/// A record read back. `header` and `body` share a larger buffer: copy what is kept for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its place.
    pub position: Position,
    /// What the chain covers.
    pub header: Bytes,
    /// Blinds the commitment in the header.
    pub salt: [u8; 16],
    /// The message and what came with it.
    pub body: Bytes,
    /// SHA-256 of the previous record's chain value and this header.
    pub chain: Digest,
    /// Whether salt and body were erased: then both are blank, and the header's commitment cannot be checked.
    pub is_erased: bool,
    /// At which byte of its segment it was found: where it is looked for first when it is read again.
    pub at: u64,
}

/// A snapshot that was found intact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedSnapshot {
    /// The last record it covers.
    pub position: Position,
    /// The chain value of that record.
    pub chain: Digest,
    /// What the caller wrote.
    pub state: Vec<u8>,
}

/// A checkpoint that was written: what a record says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last record it covers.
    pub position: Position,
    /// The chain value of that record.
    pub chain: Digest,
    /// SHA-256 of the state.
    pub state: Digest,
}

/// Consecutive seqs, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeqRange {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl std::fmt::Display for SeqRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(f, "seq {}", self.first)
        } else {
            write!(f, "seqs {} to {}", self.first, self.last)
        }
    }
}
