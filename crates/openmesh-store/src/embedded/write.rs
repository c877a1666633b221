//! The writing half of the log: from records to bytes, from bytes to segments with room for them.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use openmesh_message::Position;

use super::EmbeddedLog;
use super::frame::{
    BATCH_HEAD_BYTES, BatchHead, BatchKind, Content, RECORD_BYTES_MAX, chain_after, encode_record,
    frame_bytes,
};
use super::published::RecentBatch;
use super::segment::{DATA_START, Segment, SegmentHeader, segment_name};
use super::start::fresh_header;
use crate::failpoint;
use crate::fault::{Cause, Fault};
use crate::planted::{self, Late, Planted};
use crate::record::EncodedRecord;

/// Larger files are asked of no file system; the disk is full long before.
const FILE_BYTES_MAX: u64 = 1 << 60;
/// Room made real ahead of small batches, so that few syncs have to write the file's layout too.
const WARM_BYTES: u64 = 256 * 1024;
/// Batches this large are not worth warming room for.
const WARM_BATCH_BYTES_MAX: u64 = 64 * 1024;

impl EmbeddedLog {
    /// The bytes of the records' frames.
    pub(super) fn check_records(&self, records: &[EncodedRecord]) -> Result<u64, Fault> {
        let mut expected =
            Position { partition: self.config.partition, epoch: self.epoch, seq: self.next_seq };
        let mut bytes = 0;
        for record in records {
            if record.position != expected {
                return Err(Fault::OutOfOrder { expected, found: record.position });
            }
            let payload = record.header.len() as u64 + record.body.len() as u64;
            if payload > RECORD_BYTES_MAX {
                return Err(Fault::TooLarge { bytes: payload, bytes_max: RECORD_BYTES_MAX });
            }
            bytes += frame_bytes(payload);
            expected.seq += 1;
        }
        // Starts within a batch are kept in 32 bits.
        if bytes > u64::from(u32::MAX) / 2 {
            return Err(Fault::TooLarge { bytes, bytes_max: u64::from(u32::MAX) / 2 });
        }
        Ok(bytes)
    }

    pub(super) fn encode(&mut self, records: &[EncodedRecord], frames_bytes: u64) -> RecentBatch {
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
            let content = Content::of(record, &self.chain);
            encode_record(content, seal, self.at + start as u64, &mut bytes);
        }
        RecentBatch { first_seq: self.next_seq, seal, at: self.at, bytes: Bytes::from(bytes), starts }
    }

    fn marker(&self, kind: BatchKind) -> BatchHead {
        BatchHead {
            kind,
            epoch: self.epoch,
            count: 0,
            records_bytes: 0,
            first_seq: self.next_seq,
            synced_seq: self.published.head_seq(),
            synced_bytes: self.synced_to,
            chain_before: self.chain,
        }
    }

    /// Writes empty synced heads. Everything before must be synced.
    pub(super) fn write_marker(&mut self, kind: BatchKind, copies: u64) -> Result<(), Fault> {
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

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if let Err(error) = self.write_now(bytes) {
            let cause = Cause::from(&error);
            return Err(self.stop(Fault::WriteFailed { segment: self.active.name.clone(), cause }));
        }
        self.at += bytes.len() as u64;
        self.unsynced = true;
        self.uncovered = true;
        Ok(())
    }

    fn write_now(&self, bytes: &[u8]) -> io::Result<()> {
        static HELD_BACK: Late<(Arc<Segment>, Vec<u8>, u64)> = Late::new();
        if planted::has(Planted::AckBeforeSync) {
            let before = HELD_BACK.swap((Arc::clone(&self.active), bytes.to_vec(), self.at));
            return before.map_or(Ok(()), |(segment, bytes, at)| {
                self.disk.write_at(&segment.file, &bytes, at)?;
                self.disk.sync_content(&segment.file)
            });
        }
        self.disk.write_at(&self.active.file, bytes, self.at)
    }

    /// Writes zeros over reserved room ahead of small batches: a sync of room that is real writes only content.
    pub(super) fn warm(&mut self, bytes: u64) -> Result<(), Fault> {
        if bytes > WARM_BATCH_BYTES_MAX || self.at + bytes <= self.warm_to {
            return Ok(());
        }
        let from = self.warm_to.max(self.at);
        let to = (self.at + bytes + WARM_BYTES).min(self.active.header.file_bytes);
        if let Err(error) = self.disk.write_zeros(&self.active.file, from, to) {
            let cause = Cause::from(&error);
            return Err(self.stop(Fault::WriteFailed { segment: self.active.name.clone(), cause }));
        }
        self.warm_to = to;
        Ok(())
    }

    /// Goes on in another segment when this one has not `bytes` left.
    pub(super) fn make_room(&mut self, bytes: u64) -> Result<(), Fault> {
        if self.at + bytes <= self.active.header.file_bytes {
            return Ok(());
        }
        self.room.wait_for(self.spare_bytes(bytes))?;
        self.next_segment()
    }

    /// Seals the segment and goes on in the room that is ready.
    pub(super) fn next_segment(&mut self) -> Result<(), Fault> {
        self.sync()?;
        failpoint::reached("roll.begun");
        let Some(spare) = self.room.take() else {
            return Ok(());
        };
        let header = SegmentHeader {
            number: self.active.header.number + 1,
            epoch: self.epoch,
            first_seq: self.next_seq,
            chain: self.chain,
            ..fresh_header(&self.config)?
        };
        match Segment::create(&self.disk, &self.folder, spare, header) {
            Ok(segment) => {
                self.active = Arc::new(segment);
                self.published.add_segment(Arc::clone(&self.active));
                self.at = DATA_START;
                self.synced_to = DATA_START;
                self.warm_to = DATA_START;
                Ok(())
            }
            Err(error) => {
                let segment = segment_name(self.active.header.number + 1);
                Err(self.stop(Fault::WriteFailed { segment, cause: Cause::from(&error) }))
            }
        }
    }

    /// Bytes of the segment after this one, in which a batch of `bytes` must fit.
    pub(super) fn spare_bytes(&self, bytes: u64) -> u64 {
        let needed = self.config.segment_bytes.max(DATA_START.saturating_add(bytes)).min(FILE_BYTES_MAX);
        needed.next_multiple_of(8)
    }
}
