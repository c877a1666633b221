//! The embedded log: one writer, segments of a fixed size, one write a batch, one sync for many batches.
//! What it looks like on disk is in `spec/log.md`.

mod ahead;
mod disk;
mod end;
mod frame;
pub(crate) mod frozen;
mod lock;
mod published;
mod reader;
mod recovery;
mod rewrite;
mod room;
mod segment;
mod snapshot;
mod start;
#[cfg(test)]
mod tests;
mod upkeep;
mod verify;
mod walker;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use openmesh_message::{Digest, PartitionId, Position};

/// Reads of fields, and what every file begins with.
pub(crate) mod bytes {
    pub(crate) use super::frame::{array_at, u32_at, u64_at};
    pub(crate) use super::segment::{newer_version, prologue};
}

pub use frame::RECORD_BYTES_MAX;
pub use reader::{LogReader, Page, PageLimit, ReadOnlyReport, Records, Sequence, open_read_only};
pub use rewrite::{Rewritten, Unwanted};
pub use snapshot::SnapshotFolder;
pub use start::Opened;
pub use upkeep::{SegmentSummary, Upkeep};
pub use verify::{Commitment, Finding, Flaw, VerifyOptions, VerifyReport, verify};

use crate::failpoint;
use crate::fault::{Cause, Fault};
use crate::planted::{self, Planted};
use crate::record::EncodedRecord;
use disk::Disk;
use end::End;
use frame::{BATCH_HEAD_BYTES, BatchKind, frame_bytes};
use lock::FolderLock;
use published::{Published, RecentBatch};
use room::RoomMaker;
use segment::Segment;

/// The seq of the first record of a log.
pub const FIRST_SEQ: u64 = 1;

/// Kept free in each segment for the heads that cover what is before them.
const MARKER_ROOM_BYTES: u64 = 8 * BATCH_HEAD_BYTES as u64;
/// The next segment is made when less than this part of the segment is left, or less than this many times what is asked
/// for: the disk then has as long as it takes to write the rest.
const AHEAD: u64 = 2;
/// How a log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Whose log it is.
    pub partition: PartitionId,
    /// Size of one file. Reserved on disk when the file is made.
    pub segment_bytes: u64,
    /// Memory for recent batches.
    pub cache_bytes: usize,
    /// Takes over a folder whatever it was copied from, and begins an epoch far above any that the log's other
    /// copies can have come to.
    pub adopt: bool,
}

impl LogConfig {
    /// Segments of 64 MiB and a cache of 4 MiB.
    pub const fn new(partition: PartitionId) -> Self {
        Self { partition, segment_bytes: 64 * 1024 * 1024, cache_bytes: 2 * 1024 * 1024, adopt: false }
    }
}

/// An upper bound of what a batch of so many records takes on disk, their headers and bodies being `payload_bytes`
/// together.
pub fn batch_bytes(records: usize, payload_bytes: u64) -> u64 {
    BATCH_HEAD_BYTES as u64 + payload_bytes + records as u64 * (frame_bytes(0) + frame::ALIGNMENT as u64)
}

/// The single writer of a log. After a failed write or sync it has stopped: every call returns the same fault.
/// Dropped without `close`, the next open takes it for a crash.
#[derive(Debug)]
pub struct EmbeddedLog {
    folder: PathBuf,
    config: LogConfig,
    disk: Disk,
    published: Arc<Published>,
    active: Arc<Segment>,
    room: RoomMaker,
    end: End,
    /// Up to here the file is synced.
    synced_to: u64,
    epoch: u32,
    next_seq: u64,
    chain: [u8; 32],
    unsynced: bool,
    /// Something was written that no head covers yet.
    uncovered: bool,
    stopped: Option<Fault>,
    snapshots: SnapshotFolder,
    lock: FolderLock,
}

impl EmbeddedLog {
    /// Opens the log in `folder`, making it where there is none. When it returns, the epoch is durable.
    /// Errors: `Locked`, `Copied`, `Full`, `Newer`, `Damaged`, `WrongPartition`, `WriteFailed`, `SyncFailed`, `Io`.
    pub fn open(folder: &Path, config: &LogConfig) -> Result<(Self, Opened), Fault> {
        Self::open_on(Disk::default(), folder, config)
    }

    /// Makes sure that `bytes` (see `batch_bytes`) can be appended. Called between batches, it has the next segment's room
    /// made beside the log long before it is needed. Errors: `Full`, and then nothing has changed; `Io`.
    pub fn reserve(&mut self, bytes: u64) -> Result<(), Fault> {
        self.check_running()?;
        if planted::has(Planted::ForgetReserve) {
            return Ok(());
        }
        let needed = bytes.saturating_add(MARKER_ROOM_BYTES);
        let left = self.active.header.file_bytes.saturating_sub(self.end.at());
        let spare = self.spare_bytes(needed);
        if left < needed {
            return self.room.wait_for(spare);
        }
        if left < needed.saturating_mul(AHEAD) || left < self.active.header.file_bytes / AHEAD {
            self.room.ask_ahead(spare);
        }
        Ok(())
    }

    /// Writes one batch. Readers see it after the next `sync`. Errors: `OutOfOrder`, `TooLarge` and `Full` (nothing
    /// was written, the log goes on), `WriteFailed` and `SyncFailed` (the log has stopped).
    pub fn append(&mut self, records: &[EncodedRecord]) -> Result<(), Fault> {
        self.check_running()?;
        if records.is_empty() {
            return Ok(());
        }
        let frames_bytes = self.check_records(records)?;
        self.make_room(BATCH_HEAD_BYTES as u64 + frames_bytes + MARKER_ROOM_BYTES)?;
        let at = self.end.at();
        let (frames, starts) = self.encode(records, frames_bytes);
        failpoint::reached("append.before-write");
        let bytes = self.write(frames)?;
        failpoint::reached("append.written");
        for (start, record) in starts.iter().zip(records) {
            self.active.add_mark(record.position.seq, at + u64::from(*start));
        }
        let (first_seq, seal) = (self.next_seq, self.active.seal);
        self.next_seq += records.len() as u64;
        let batch = RecentBatch { first_seq, seal, at, bytes, starts };
        if let Some(memory) = self.published.remember(batch) {
            self.end.reuse(memory);
        }
        Ok(())
    }

    /// Makes everything appended durable with one sync of the file, then shows it to readers. A failed sync is never
    /// tried again. Errors: `SyncFailed` (the log has stopped).
    pub fn sync(&mut self) -> Result<(), Fault> {
        self.check_running()?;
        if self.unsynced {
            failpoint::reached("sync.before");
            if let Err(error) = self.disk.sync_content(&self.active.file) {
                let cause = Cause::from(&error);
                return Err(self.stop(Fault::SyncFailed { segment: self.active.name.clone(), cause }));
            }
            self.unsynced = false;
            self.synced_to = self.end.at();
            failpoint::reached("sync.after");
        }
        self.published.publish(self.next_seq - 1);
        Ok(())
    }

    /// Covers everything before it as synced, so that later damage to it is told from a torn tail. False when there
    /// is nothing to cover. Errors: as `append` and `sync`.
    pub fn write_quiet_marker(&mut self) -> Result<bool, Fault> {
        self.check_running()?;
        if !self.uncovered {
            return Ok(false);
        }
        self.sync()?;
        failpoint::reached("quiet.before-marker");
        self.write_marker(BatchKind::Quiet, 1)?;
        failpoint::reached("quiet.after-marker");
        Ok(true)
    }

    /// Writes a snapshot as of `at`; see `SnapshotFolder::write`. A failure does not stop the log.
    pub fn write_snapshot(&self, at: Position, state: &[u8]) -> Result<(), Fault> {
        self.snapshots.write(at, state)
    }

    /// The same for another thread.
    pub fn snapshots(&self) -> SnapshotFolder {
        self.snapshots.clone()
    }

    /// What is done to the log from another thread.
    pub fn upkeep(&self) -> Upkeep {
        let (published, snapshots) = (Arc::clone(&self.published), self.snapshots());
        Upkeep::new(self.folder.clone(), self.disk.clone(), published, snapshots)
    }

    /// Goes on in another segment, so that the one with the records so far can be rewritten or let go; `false` if there
    /// are none in it. Errors: `Full` and `Io` (nothing has changed), `SyncFailed` and `WriteFailed` (the log has stopped).
    pub fn seal(&mut self) -> Result<bool, Fault> {
        self.check_running()?;
        if self.active.header.first_seq == self.next_seq {
            return Ok(false);
        }
        self.room.wait_for(self.spare_bytes(MARKER_ROOM_BYTES))?;
        self.next_segment()?;
        Ok(true)
    }

    /// Syncs everything and marks the log as cleanly closed: the next open keeps the epoch. Errors: as `append` and
    /// `sync`.
    pub fn close(mut self) -> Result<(), Fault> {
        self.sync()?;
        failpoint::reached("close.before-marker");
        self.write_marker(BatchKind::Closed, 1)?;
        failpoint::reached("close.after-marker");
        self.room.remove()
    }

    /// A view for readers, valid also after the writer is gone.
    pub fn reader(&self) -> LogReader {
        LogReader::new(Arc::clone(&self.published))
    }

    /// The epoch of what is appended.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The seq of the next record.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The chain value of the last appended record, synced or not.
    pub fn head_chain(&self) -> Digest {
        Digest::from_bytes(self.chain)
    }

    fn check_running(&self) -> Result<(), Fault> {
        self.stopped.clone().map_or(Ok(()), Err)
    }

    fn stop(&mut self, fault: Fault) -> Fault {
        self.stopped = Some(fault.clone());
        fault
    }
}
