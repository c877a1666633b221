//! The embedded log: one writer, segments of a fixed size, one write a batch, one sync for many batches.
//! What it looks like on disk is in `spec/log.md`.

mod disk;
mod frame;
mod lock;
mod published;
mod reader;
mod recovery;
mod segment;
mod snapshot;
mod start;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trouble;
mod verify;
mod walker;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use openmesh_message::{Digest, PartitionId, Position};

pub use frame::RECORD_BYTES_MAX;
pub use reader::{LogReader, Page, PageLimit, ReadOnlyReport, Records, open_read_only};
pub use snapshot::SnapshotFolder;
pub use start::Opened;
pub use verify::{Finding, Flaw, VerifyOptions, VerifyReport, verify};

use crate::fault::{Cause, Fault};
use crate::record::EncodedRecord;
use disk::Disk;
use frame::{BATCH_HEAD_BYTES, BatchHead, BatchKind, chain_after, encode_record, frame_bytes};
use lock::FolderLock;
use published::{Published, RecentBatch};
use segment::{DATA_START, Mark, SPARE_NAME, Segment, SegmentHeader, Spare};

/// The seq of the first record of a log.
pub const FIRST_SEQ: u64 = 1;

/// Kept free in each segment for the heads that cover what is before them.
const MARKER_ROOM_BYTES: u64 = 8 * BATCH_HEAD_BYTES as u64;
/// Room made real ahead of small batches, so that few syncs have to write the file's layout too.
const WARM_BYTES: u64 = 1024 * 1024;
/// Batches this large are not worth warming room for.
const WARM_BATCH_BYTES_MAX: u64 = 64 * 1024;

/// How a log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Whose log it is.
    pub partition: PartitionId,
    /// Size of one file. Reserved on disk when the file is made.
    pub segment_bytes: u64,
    /// Memory for recent batches.
    pub cache_bytes: usize,
}

impl LogConfig {
    /// Segments of 64 MiB and a cache of 16 MiB.
    pub const fn new(partition: PartitionId) -> Self {
        Self {
            partition,
            segment_bytes: 64 * 1024 * 1024,
            cache_bytes: 16 * 1024 * 1024,
        }
    }
}

/// An upper bound of what a batch of so many records takes on disk, their headers and bodies being `payload_bytes`
/// together.
pub fn batch_bytes(records: usize, payload_bytes: u64) -> u64 {
    BATCH_HEAD_BYTES as u64
        + payload_bytes
        + records as u64 * (frame_bytes(0) + frame::ALIGNMENT as u64)
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
    spare: Option<Spare>,
    /// Where the next frame goes.
    at: u64,
    /// Up to here the file's room is real, not only reserved.
    warm_to: u64,
    epoch: u32,
    next_seq: u64,
    chain: [u8; 32],
    unsynced: bool,
    /// Something was written that no head covers yet.
    uncovered: bool,
    stopped: Option<Fault>,
    snapshots: SnapshotFolder,
    _lock: FolderLock,
}

impl EmbeddedLog {
    /// Opens the log in `folder`, making it where there is none. When it returns, the epoch is durable.
    /// Errors: `Locked`, `Full`, `Newer`, `Damaged`, `WrongPartition`, `WriteFailed`, `SyncFailed`, `Io`.
    pub fn open(folder: &Path, config: &LogConfig) -> Result<(Self, Opened), Fault> {
        Self::open_on(Disk::default(), folder, config)
    }

    /// Makes sure that `bytes` (see `batch_bytes`) can be appended. Errors: `Full`, and then nothing has changed; `Io`.
    pub fn reserve(&mut self, bytes: u64) -> Result<(), Fault> {
        self.check_running()?;
        if self.at + bytes + MARKER_ROOM_BYTES <= self.active.header.file_bytes {
            return Ok(());
        }
        self.make_spare(bytes)
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
        let batch = self.encode(records, frames_bytes);
        self.warm(batch.bytes.len() as u64)?;
        self.write(&batch.bytes)?;
        for (start, record) in batch.starts.iter().zip(records) {
            self.active.add_mark(Mark {
                seq: record.position.seq,
                at: batch.at + u64::from(*start),
            });
        }
        self.next_seq += records.len() as u64;
        self.published.remember(batch);
        Ok(())
    }

    /// Makes everything appended durable with one sync of the file, then shows it to readers. A failed sync is never
    /// tried again. Errors: `SyncFailed` (the log has stopped).
    pub fn sync(&mut self) -> Result<(), Fault> {
        self.check_running()?;
        if self.unsynced {
            if let Err(error) = self.disk.sync_content(&self.active.file) {
                let cause = Cause::from(&error);
                return Err(self.stop(Fault::SyncFailed {
                    segment: self.active.name.clone(),
                    cause,
                }));
            }
            self.unsynced = false;
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
        self.write_marker(BatchKind::Quiet, 1)?;
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

    /// Syncs everything and marks the log as cleanly closed: the next open keeps the epoch. Errors: as `append` and
    /// `sync`.
    pub fn close(mut self) -> Result<(), Fault> {
        self.sync()?;
        self.write_marker(BatchKind::Closed, 1)?;
        if self.spare.take().is_some() {
            let path = self.folder.join(SPARE_NAME);
            std::fs::remove_file(&path).map_err(|error| Fault::io("remove", &path, &error))?;
        }
        Ok(())
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

    /// The bytes of the records' frames.
    fn check_records(&self, records: &[EncodedRecord]) -> Result<u64, Fault> {
        let mut expected = Position {
            partition: self.config.partition,
            epoch: self.epoch,
            seq: self.next_seq,
        };
        let mut bytes = 0;
        for record in records {
            if record.position != expected {
                return Err(Fault::OutOfOrder {
                    expected,
                    found: record.position,
                });
            }
            let payload = record.header.len() as u64 + record.body.len() as u64;
            if payload > RECORD_BYTES_MAX {
                return Err(Fault::TooLarge {
                    bytes: payload,
                    bytes_max: RECORD_BYTES_MAX,
                });
            }
            bytes += frame_bytes(payload);
            expected.seq += 1;
        }
        // Starts within a batch are kept in 32 bits.
        if bytes > u64::from(u32::MAX) / 2 {
            return Err(Fault::TooLarge {
                bytes,
                bytes_max: u64::from(u32::MAX) / 2,
            });
        }
        Ok(bytes)
    }

    fn encode(&mut self, records: &[EncodedRecord], frames_bytes: u64) -> RecentBatch {
        let seal = self.active.seal;
        let head = BatchHead {
            kind: BatchKind::Records,
            count: u32::try_from(records.len()).unwrap_or(u32::MAX),
            records_bytes: frames_bytes,
            ..self.marker(BatchKind::Records)
        };
        let capacity = BATCH_HEAD_BYTES + usize::try_from(frames_bytes).unwrap_or_default();
        let mut bytes = Vec::with_capacity(capacity);
        let mut starts = Vec::with_capacity(records.len());
        head.encode(seal, self.at, &mut bytes);
        for record in records {
            let start = bytes.len();
            self.chain = chain_after(&self.chain, &record.header);
            starts.push(u32::try_from(start).unwrap_or(u32::MAX));
            encode_record(
                record,
                &self.chain,
                seal,
                self.at + start as u64,
                &mut bytes,
            );
        }
        RecentBatch {
            first_seq: self.next_seq,
            seal,
            at: self.at,
            bytes: Bytes::from(bytes),
            starts,
        }
    }

    fn marker(&self, kind: BatchKind) -> BatchHead {
        BatchHead {
            kind,
            epoch: self.epoch,
            count: 0,
            records_bytes: 0,
            first_seq: self.next_seq,
            synced_seq: self.published.head_seq(),
            chain_before: self.chain,
        }
    }

    /// Writes empty synced heads. Everything before must be synced.
    fn write_marker(&mut self, kind: BatchKind, copies: u64) -> Result<(), Fault> {
        self.make_room(copies * BATCH_HEAD_BYTES as u64)?;
        let head = self.marker(kind);
        let mut bytes = Vec::new();
        for _ in 0..copies {
            head.encode(self.active.seal, self.at + bytes.len() as u64, &mut bytes);
        }
        self.write(&bytes)?;
        self.sync()?;
        self.uncovered = false;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if let Err(error) = self.disk.write_at(&self.active.file, bytes, self.at) {
            let cause = Cause::from(&error);
            return Err(self.stop(Fault::WriteFailed {
                segment: self.active.name.clone(),
                cause,
            }));
        }
        self.at += bytes.len() as u64;
        self.unsynced = true;
        self.uncovered = true;
        Ok(())
    }

    /// Writes zeros over reserved room ahead of small batches: a sync of room that is real writes only content.
    fn warm(&mut self, bytes: u64) -> Result<(), Fault> {
        if bytes > WARM_BATCH_BYTES_MAX || self.at + bytes <= self.warm_to {
            return Ok(());
        }
        let from = self.warm_to.max(self.at);
        let to = (self.at + bytes + WARM_BYTES).min(self.active.header.file_bytes);
        if let Err(error) = self.disk.write_zeros(&self.active.file, from, to) {
            let cause = Cause::from(&error);
            return Err(self.stop(Fault::WriteFailed {
                segment: self.active.name.clone(),
                cause,
            }));
        }
        self.warm_to = to;
        Ok(())
    }

    /// Goes on in another segment when this one has not `bytes` left.
    fn make_room(&mut self, bytes: u64) -> Result<(), Fault> {
        if self.at + bytes <= self.active.header.file_bytes {
            return Ok(());
        }
        self.make_spare(bytes)?;
        self.sync()?;
        let Some(spare) = self.spare.take() else {
            return Ok(());
        };
        let header = SegmentHeader {
            number: self.active.header.number + 1,
            epoch: self.epoch,
            first_seq: self.next_seq,
            chain: self.chain,
            ..start::fresh_header(&self.config)?
        };
        match Segment::create(&self.disk, &self.folder, spare, header) {
            Ok(segment) => {
                self.active = Arc::new(segment);
                self.published.add_segment(Arc::clone(&self.active));
                self.at = DATA_START;
                self.warm_to = DATA_START;
                Ok(())
            }
            Err(error) => {
                let segment = segment::segment_name(self.active.header.number + 1);
                Err(self.stop(Fault::WriteFailed {
                    segment,
                    cause: Cause::from(&error),
                }))
            }
        }
    }

    fn make_spare(&mut self, bytes: u64) -> Result<(), Fault> {
        let needed = self
            .config
            .segment_bytes
            .max(DATA_START + bytes + MARKER_ROOM_BYTES);
        if self.spare.as_ref().is_none_or(|spare| spare.bytes < needed) {
            self.spare = None;
            self.spare = Some(Spare::make(
                &self.disk,
                &self.folder,
                needed.next_multiple_of(8),
            )?);
        }
        Ok(())
    }
}
