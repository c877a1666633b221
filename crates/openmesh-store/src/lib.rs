//! Keeps messages and state: the embedded, segmented, append-only log.
//! Knows positions, bytes and checksums; what a record's header or body means is its caller's.

pub mod backup;
pub mod embedded;
pub mod failpoint;
mod fault;
mod pace;
pub mod planted;
mod projection;
mod record;
mod report;

pub use embedded::{
    Commitment, EmbeddedLog, FIRST_SEQ, Finding, Flaw, LogConfig, LogReader, Opened, Page, PageLimit,
    RECORD_BYTES_MAX, ReadOnlyReport, Records, Rewritten, SegmentSummary, SnapshotFolder, Unwanted, Upkeep,
    VerifyOptions, VerifyReport, batch_bytes, open_read_only, verify,
};
pub use fault::{Cause, Fault};
pub use pace::is_flood;
pub use projection::{
    Candidate, Candidates, Entry, Found, Projection, ProjectionFault, Read, Sought, TimeRange, Topics,
};
pub use record::{Checkpoint, EncodedRecord, LoadedSnapshot, SeqRange, StoredRecord};
pub use report::{BadSnapshot, CorruptRange, DroppedRange, RecoveryReport};
