//! What can go wrong between the log and its disk. Each variant says what it did to the state and whether a
//! retry helps.

use std::io;
use std::path::{Path, PathBuf};

use openmesh_message::{PartitionId, Position};

/// An operating system error in a form that can be kept and returned again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The operating system's number, where it gave one.
    pub errno: Option<i32>,
    /// Its text.
    pub text: String,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<&io::Error> for Cause {
    fn from(error: &io::Error) -> Self {
        Self { errno: error.raw_os_error(), text: error.to_string() }
    }
}

/// A failure of the log, its disk or its caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Another process has the folder. Nothing was changed; a retry helps once that process has ended.
    #[error("another process{} has the log in {}", holder.map(|pid| format!(" ({pid})")).unwrap_or_default(), folder.display())]
    Locked {
        /// The log's folder.
        folder: PathBuf,
        /// The process, where it has said which it is.
        holder: Option<u32>,
    },
    /// The log was written in another folder, of which this one is a copy, or was put back from one. Nothing was
    /// changed; a retry helps only with `LogConfig::adopt`.
    #[error("the log in {} was written in another folder: this one is a copy of it, or was moved or put back", folder.display())]
    Copied {
        /// The log's folder.
        folder: PathBuf,
    },
    /// No room on the disk for a segment or snapshot. Nothing was changed, the log goes on; a retry helps once
    /// there is room.
    #[error("no room on the disk for {needed_bytes} bytes in {}", folder.display())]
    Full {
        /// The log's folder.
        folder: PathBuf,
        /// How many bytes were asked for.
        needed_bytes: u64,
    },
    /// Opening, reading or listing failed. What is stored is unchanged, the log goes on; a retry may help.
    #[error("cannot {doing} {}: {cause}", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        cause: Cause,
    },
    /// A write failed: the log has stopped. What was synced is safe, what came after is unknown until the next
    /// open; a retry never helps.
    #[error("writing to {segment} failed, the log has stopped: {cause}")]
    WriteFailed {
        /// File name of the segment.
        segment: String,
        /// What the operating system said.
        cause: Cause,
    },
    /// A sync failed: the log has stopped, and the sync is never tried again. What earlier syncs covered is safe,
    /// what came after is unknown until the next open; a retry never helps.
    #[error("syncing {segment} failed, the log has stopped: {cause}")]
    SyncFailed {
        /// File name of the segment.
        segment: String,
        /// What the operating system said.
        cause: Cause,
    },
    /// The file was written by a newer version. Nothing was changed; a newer program can read it.
    #[error("{file} has format version {found}, this program reads up to {supported}")]
    Newer {
        /// File name.
        file: String,
        /// Its version.
        found: u32,
        /// The newest version this program reads.
        supported: u32,
    },
    /// Bytes that once were synced cannot be read back. Nothing was changed, the log goes on without them; a retry
    /// does not help.
    #[error("{file} is damaged{}", seq.map(|seq| format!(" at seq {seq}")).unwrap_or_default())]
    Damaged {
        /// File name.
        file: String,
        /// The lost record, where one is known.
        seq: Option<u64>,
    },
    /// The folder holds another partition's log. Nothing was changed; a retry does not help.
    #[error("the log belongs to partition {}, not {}", found.0, expected.0)]
    WrongPartition {
        /// Whose log was asked for.
        expected: PartitionId,
        /// Whose log it is.
        found: PartitionId,
    },
    /// A position does not continue the log: the caller's mistake. Nothing was written, the log goes on.
    #[error("position {found:?} does not continue the log at {expected:?}")]
    OutOfOrder {
        /// What the log expected.
        expected: Position,
        /// What it was given.
        found: Position,
    },
    /// A record is over the size limit. Nothing was written, the log goes on.
    #[error("a record of {bytes} bytes is over the limit of {bytes_max}")]
    TooLarge {
        /// Header and body together.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The log does not begin with its first record, and what came before is lost: nothing whole says what it led to.
    /// Nothing was changed; a retry helps once such a file is there again.
    #[error(
        "the log in {} begins with record {first_seq}, and no whole checkpoint or snapshot says what came before: put back \
         the newest checkpoint-….state of this log from a backup, or restore the backup",
        folder.display()
    )]
    NoState {
        /// The log's folder.
        folder: PathBuf,
        /// The first record that is there.
        first_seq: u64,
    },
    /// Records were to be let go or rewritten that no durable checkpoint covers. Nothing was changed; a retry helps after
    /// a checkpoint.
    #[error("records up to {seq} are not covered: the newest checkpoint ends at {covered_seq}")]
    NotCovered {
        /// The last of the records.
        seq: u64,
        /// What the newest checkpoint covers.
        covered_seq: u64,
    },
    /// A snapshot was to cover a position that is not synced. Nothing was written; a retry helps after a sync.
    #[error("a snapshot at seq {seq} is ahead of the synced head {head_seq}")]
    SnapshotAhead {
        /// What the snapshot was to cover.
        seq: u64,
        /// The highest synced seq.
        head_seq: u64,
    },
}

impl Fault {
    /// True when the log has stopped for good and must be opened again.
    pub fn stops_log(&self) -> bool {
        matches!(self, Self::WriteFailed { .. } | Self::SyncFailed { .. })
    }

    /// True when the same call may succeed later without a change by the caller.
    pub fn retry_helps(&self) -> bool {
        matches!(
            self,
            Self::Locked { .. }
                | Self::Full { .. }
                | Self::Io { .. }
                | Self::SnapshotAhead { .. }
                | Self::NotCovered { .. }
                | Self::NoState { .. }
        )
    }

    pub(crate) fn io(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), cause: Cause::from(error) }
    }
}
