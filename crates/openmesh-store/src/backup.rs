//! A backup: a log as it lay there at one moment, with what its node is, in one file that says what it holds and can be
//! checked without anything else. What it looks like is in `spec/log.md`.

mod blocks;
mod import;
mod taking;

pub use import::{Backup, StagedImport, unfinished_import};
pub use taking::{BackupTaken, back_up};

use openmesh_message::{Digest, PartitionId};

use crate::embedded::bytes::{array_at, u32_at, u64_at};

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupAbout {
    /// Whose log it is.
    pub partition: PartitionId,
    /// The highest epoch that anything in the log names.
    pub epoch: u32,
    /// The last record in it, 0 for none.
    pub last_seq: u64,
    /// The chain value of that record.
    pub chain: Digest,
    /// When it was made, in milliseconds since 1970.
    pub made_at: i64,
    /// Segments in it.
    pub segments: u32,
    /// Bytes of the log in it.
    pub log_bytes: u64,
    /// The caller's name for whose it is: a domain.
    pub owner: String,
}

/// A file kept beside the log, by a number of the caller's.
#[derive(Clone, PartialEq, Eq)]
pub struct BackupFile {
    /// Which one it is.
    pub code: u32,
    /// All of it.
    pub content: Vec<u8>,
}

impl BackupAbout {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.partition.0.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(&self.last_seq.to_le_bytes());
        bytes.extend_from_slice(self.chain.as_bytes());
        bytes.extend_from_slice(&self.made_at.to_le_bytes());
        bytes.extend_from_slice(&self.log_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.segments.to_le_bytes());
        bytes.extend_from_slice(self.owner.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            partition: PartitionId(u32_at(bytes, 0)?),
            epoch: u32_at(bytes, 4)?,
            last_seq: u64_at(bytes, 8)?,
            chain: Digest::from_bytes(array_at(bytes, 16)?),
            made_at: u64_at(bytes, 48)?.cast_signed(),
            log_bytes: u64_at(bytes, 56)?,
            segments: u32_at(bytes, 64)?,
            owner: String::from_utf8(bytes.get(68..)?.to_vec()).ok()?,
        })
    }
}

/// A state kept beside the segments, under its seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StateKind {
    Snapshot,
    Checkpoint,
}

impl StateKind {
    const ALL: [Self; 2] = [Self::Snapshot, Self::Checkpoint];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot-",
            Self::Checkpoint => "checkpoint-",
        }
    }

    const fn code(self) -> u32 {
        match self {
            Self::Snapshot => 1,
            Self::Checkpoint => 2,
        }
    }

    fn of_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    fn file_name(self, seq: u64) -> String {
        format!("{}{seq:020}.state", self.prefix())
    }

    /// The kind and seq in a file's name, if it is of one.
    fn of_name(name: &str) -> Option<(Self, u64)> {
        let kind = Self::ALL.into_iter().find(|kind| name.starts_with(kind.prefix()))?;
        let seq = name.strip_prefix(kind.prefix())?.strip_suffix(".state")?.parse().ok()?;
        (kind.file_name(seq) == name).then_some((kind, seq))
    }
}
