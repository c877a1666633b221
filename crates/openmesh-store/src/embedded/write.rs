//! The writing half of the log: from records to bytes, from bytes to segments with room for them.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use openmesh_message::Position;

use super::EmbeddedLog;
use super::end::{End, Frames};
use super::frame::{
    BATCH_HEAD_BYTES, BatchHead, BatchKind, Content, RECORD_BYTES_MAX, chain_after, encode_record,
    frame_bytes,
};
use super::segment::{DATA_START, Segment, SegmentHeader, segment_name};
use super::start::fresh_header;
use crate::failpoint;
use crate::fault::{Cause, Fault};
use crate::planted::{self, Late, Planted};
use crate::record::EncodedRecord;

/// Larger files are asked of no file system; the disk is full long before.
const FILE_BYTES_MAX: u64 = 1 << 60;

/// What a planted bug says is written while it is not.
const HELD_BACK_WRITES: usize = 8;

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

    /// A batch's frames, and where in them each record begins.
    pub(super) fn encode(&mut self, records: &[EncodedRecord], frames_bytes: u64) -> (Frames, Vec<u32>) {
        let seal = self.active.seal;
        let head = BatchHead {
            kind: BatchKind::Records,
            count: u32::try_from(records.len()).unwrap_or(u32::MAX),
            records_bytes: frames_bytes,
            ..self.marker(BatchKind::Records)
        };
        let at = self.end.at();
        let mut frames = self.end.frames(BATCH_HEAD_BYTES as u64 + frames_bytes);
        let mut starts = Vec::with_capacity(records.len());
        head.encode(seal, at, frames.bytes());
        for record in records {
            let start = frames.len();
            self.chain = chain_after(&self.chain, &record.header);
            starts.push(u32::try_from(start).unwrap_or(u32::MAX));
            let content = Content::of(record, &self.chain);
            encode_record(content, seal, at + start as u64, frames.bytes());
        }
        (frames, starts)
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
        let (head, at) = (self.marker(kind), self.end.at());
        let mut frames = self.end.frames(copies * BATCH_HEAD_BYTES as u64);
        for _ in 0..copies {
            let start = frames.len() as u64;
            head.encode(self.active.seal, at + start, frames.bytes());
        }
        self.write(frames)?;
        self.sync()?;
        self.uncovered = false;
        Ok(())
    }

    /// Writes frames at the end of the segment; gives their bytes.
    pub(super) fn write(&mut self, frames: Frames) -> Result<Bytes, Fault> {
        match self.write_now(frames) {
            Ok(bytes) => {
                self.unsynced = true;
                self.uncovered = true;
                Ok(bytes)
            }
            Err(error) => {
                let cause = Cause::from(&error);
                Err(self.stop(Fault::WriteFailed { segment: self.active.name.clone(), cause }))
            }
        }
    }

    fn write_now(&mut self, frames: Frames) -> io::Result<Bytes> {
        static HELD_BACK: Late<(Arc<Segment>, Bytes, u64)> = Late::by(HELD_BACK_WRITES);
        if planted::has(Planted::AckBeforeSync) {
            let (at, own) = (self.end.at(), Bytes::copy_from_slice(frames.own()));
            let before = HELD_BACK.swap((Arc::clone(&self.active), own.clone(), at));
            self.end.pass(&frames);
            return before.map_or(Ok(own.clone()), |(segment, bytes, at)| {
                self.disk.write_at(&segment.file, &bytes, at)?;
                self.disk.sync_content(&segment.file)?;
                Ok(own)
            });
        }
        self.end.write(&self.disk, frames)
    }

    /// Goes on in another segment when this one has not `bytes` left.
    pub(super) fn make_room(&mut self, bytes: u64) -> Result<(), Fault> {
        if self.end.at() + bytes <= self.active.header.file_bytes {
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
        let real_to = spare.real_to.max(DATA_START);
        let made = Segment::create(&self.disk, &self.folder, spare, header).and_then(|segment| {
            let end = End::of(&self.disk, &self.folder, &segment, DATA_START, real_to)?;
            Ok((segment, end))
        });
        match made {
            Ok((segment, end)) => {
                self.active = Arc::new(segment);
                self.published.add_segment(Arc::clone(&self.active));
                self.end = end;
                self.synced_to = DATA_START;
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
