//! What a verification reports.

use openmesh_message::{Digest, Position};

use crate::embedded::FIRST_SEQ;
use crate::record::SeqRange;

/// Everything a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Whole records read.
    pub records: u64,
    /// Segments read.
    pub segments: u64,
    /// Of these, records whose body was erased.
    pub erased: u64,
    /// Snapshots read.
    pub snapshots: u64,
    /// Checkpoints read.
    pub checkpoints: u64,
    /// The seq of the first record there is; above 1 where earlier ones were let go.
    pub first_seq: u64,
    /// Where earlier ones were let go: up to here the newest checkpoint says what they led to.
    pub begins_with: Option<Position>,
    /// Bytes read.
    pub bytes: u64,
    /// The last record.
    pub head: Option<Position>,
    /// Its chain value; zero when there is none.
    pub head_chain: Digest,
    /// The log was closed cleanly.
    pub clean: bool,
    /// A writer had the folder meanwhile.
    pub writer_running: bool,
    /// What is wrong, in the order it was met.
    pub findings: Vec<Finding>,
}

impl Default for VerifyReport {
    fn default() -> Self {
        Self {
            records: 0,
            segments: 0,
            erased: 0,
            snapshots: 0,
            checkpoints: 0,
            first_seq: FIRST_SEQ,
            begins_with: None,
            bytes: 0,
            head: None,
            head_chain: Digest::ZERO,
            clean: false,
            writer_running: false,
            findings: Vec::new(),
        }
    }
}

/// One thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// File name.
    pub file: String,
    /// Byte in that file.
    pub offset: u64,
    /// The record concerned, where one is.
    pub seq: Option<u64>,
    /// What is wrong.
    pub flaw: Flaw,
}

impl Finding {
    pub(super) fn new(file: &str, offset: u64, seq: Option<u64>, flaw: Flaw) -> Self {
        Self { file: file.to_owned(), offset, seq, flaw }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} @ {}", self.file, self.offset)?;
        if let Some(seq) = self.seq {
            write!(f, " (seq {seq})")?;
        }
        write!(f, ": {}", self.flaw)
    }
}

/// The ways in which a log can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// One copy of a segment's header does not match its checksum.
    #[error("a copy of the segment's header is damaged")]
    HeaderCopy,
    /// Neither copy can be read, so nothing in the segment can.
    #[error("the segment's header is damaged in both copies")]
    Header,
    /// The two copies are whole but not the same.
    #[error("the two copies of the segment's header differ")]
    HeaderCopiesDiffer,
    /// The file is not as long as its header says.
    #[error("the file has {found} bytes, its header says {expected}")]
    FileLength {
        /// As the header says.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// A segment's number, first seq, chain or partition does not continue the one before.
    #[error("the segment does not continue the one before")]
    NotContinuing,
    /// Bytes that are no whole frame and not zero.
    #[error("bytes up to {to_byte} are damaged: {what}")]
    Damaged {
        /// The byte after the last.
        to_byte: u64,
        /// How that shows.
        what: &'static str,
    },
    /// Nothing whole follows: a torn tail that the next open drops.
    #[error("bytes up to {to_byte} at the end are torn: {what}")]
    Torn {
        /// The byte after the last.
        to_byte: u64,
        /// How that shows.
        what: &'static str,
    },
    /// Records are missing.
    #[error("{0} missing")]
    Missing(SeqRange),
    /// A frame whose seq or epoch goes back.
    #[error("a frame goes back in seq or epoch")]
    GoesBack,
    /// A record's chain value does not follow from the one before and its header.
    #[error("the chain is broken")]
    Chain,
    /// A batch's count or length, or what it says was synced, does not fit what is there.
    #[error("a batch head does not fit its records")]
    Batch,
    /// A record's body is not the one its header commits to.
    #[error("the body is not what the header commits to")]
    Commitment,
    /// The log does not begin with its first record, and no whole checkpoint lets it.
    #[error("the log begins here, and no checkpoint says what came before")]
    NoState,
    /// A snapshot cannot be used.
    #[error("the snapshot is damaged: {0}")]
    SnapshotDamaged(&'static str),
    /// A snapshot is intact but not of this log.
    #[error("the snapshot does not agree with the log")]
    SnapshotDisagrees,
    /// Something that must be empty is not.
    #[error("the file must be empty")]
    UnusedSpace,
    /// The log did not make this file.
    #[error("this file does not belong to the log")]
    ForeignFile,
    /// What tells the folder from a copy of it cannot be read.
    #[error("what tells the folder from a copy of it is damaged")]
    Lock,
}
