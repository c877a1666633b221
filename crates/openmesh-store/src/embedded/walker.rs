//! Walks the frames of one segment in order and crosses damage: what does not check is skipped up to the next batch
//! head or record that does. Judges nothing beyond checksums.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, pread};

use super::frame::{
    ALIGNMENT, BATCH_HEAD_BYTES, BATCH_MAGIC, BatchHead, ERASED_MAGIC, RECORD_BYTES_MAX, RECORD_HEAD_BYTES,
    RECORD_MAGIC, RecordHead, Seal, frame_bytes,
};
use crate::planted::{self, Planted};

/// How much is read ahead when a whole segment is walked.
pub(crate) const CHUNK_BYTES: usize = 1024 * 1024;
const BLOCK_BYTES: usize = 4096;
/// What the kernel is asked to have read before it is wanted, and how much of it at once.
const ASKED_AHEAD_BYTES: u64 = 8 * 1024 * 1024;
const ASKED_BYTES: u64 = 2 * 1024 * 1024;

/// One thing found in a segment.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Batch { at: u64, head: BatchHead },
    Record { at: u64, head: RecordHead, frame: Bytes },
    Bad { from: u64, to: u64, what: &'static str },
}

/// Goes from item to item; ends where only zeros remain.
#[derive(Debug)]
pub(crate) struct Walker {
    window: Window,
    seal: Seal,
    at: u64,
}

impl Walker {
    /// `at` must be where an item begins, `end` is the segment's length, `chunk_bytes` the read-ahead.
    pub(crate) fn new(file: Arc<File>, seal: Seal, at: u64, end: u64, chunk_bytes: usize) -> Self {
        let (chunk, chunk_at, asked_to) = (Bytes::new(), 0, None);
        let window = Window { file, end, written_end: None, chunk, chunk_at, chunk_bytes, asked_to };
        Self { window, seal, at }
    }

    /// Has the kernel read ahead of it: for who goes on to the end.
    pub(crate) fn read_ahead(mut self) -> Self {
        self.window.asked_to = Some(self.at);
        self
    }

    /// What begins here, if anything whole does; goes nowhere. Errors: reading failed.
    pub(crate) fn here(&mut self) -> io::Result<Option<Item>> {
        let at = self.at;
        if at >= self.window.end {
            return Ok(None);
        }
        Ok(self.parse(at)?.map(|(item, _)| item))
    }

    /// Goes past whole frames up to `seq`, or up to damage, by their heads alone; gives the latest epoch among them. Errors:
    /// reading failed.
    pub(crate) fn pass_over(&mut self, seq: u64) -> io::Result<u32> {
        let mut epoch = 0;
        loop {
            let head = self.window.get(self.at, BATCH_HEAD_BYTES)?;
            if let Some(batch) = BatchHead::decode(&head, self.seal, self.at) {
                epoch = epoch.max(batch.epoch);
                self.at += BATCH_HEAD_BYTES as u64;
                continue;
            }
            match RecordHead::decode(&head, self.seal, self.at) {
                Some(record) if record.seq < seq && self.has_room_for(&record, self.at) => {
                    epoch = epoch.max(record.epoch);
                    self.at += record.frame_bytes();
                }
                _ => return Ok(epoch),
            }
        }
    }

    /// Where the next item begins, and everything before has been read.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The next item, or none when the rest is unused. Errors: reading failed.
    pub(crate) fn next(&mut self) -> io::Result<Option<Item>> {
        let from = self.at;
        if let Some((item, bytes)) = self.parse(from)? {
            self.at = from + bytes;
            return Ok(Some(item));
        }
        if self.window.is_zero_from(from)? {
            return Ok(None);
        }
        let to = self.next_valid(from + ALIGNMENT as u64)?;
        self.at = to;
        Ok(Some(Item::Bad { from, to, what: "neither a batch head nor a record" }))
    }

    /// The item at `at` and its length, if there is one.
    fn parse(&mut self, at: u64) -> io::Result<Option<(Item, u64)>> {
        let head = self.window.get(at, BATCH_HEAD_BYTES)?;
        if let Some(batch) = BatchHead::decode(&head, self.seal, at) {
            return Ok(Some((Item::Batch { at, head: batch }, BATCH_HEAD_BYTES as u64)));
        }
        let Some(record) = RecordHead::decode(&head, self.seal, at) else {
            return Ok(None);
        };
        if !self.has_room_for(&record, at) {
            return Ok(None);
        }
        let bytes = record.frame_bytes();
        let frame = self.window.get(at, usize::try_from(bytes).unwrap_or(usize::MAX))?;
        let payload = frame.get(RECORD_HEAD_BYTES..).unwrap_or_default();
        if frame.len() as u64 == bytes && record.covers(payload, self.seal, at) {
            return Ok(Some((Item::Record { at, head: record, frame }, bytes)));
        }
        let what = "the checksum of a record's content does not match";
        Ok(Some((Item::Bad { from: at, to: at + bytes, what }, bytes)))
    }

    fn has_room_for(&self, record: &RecordHead, at: u64) -> bool {
        let bytes = record.frame_bytes();
        bytes <= frame_bytes(RECORD_BYTES_MAX) && at.saturating_add(bytes) <= self.window.end
    }

    /// Where the next item after damage begins; where none does, the end of what is not zero.
    fn next_valid(&mut self, from: u64) -> io::Result<u64> {
        let mut block_at = from;
        let mut used_end = from;
        while block_at < self.window.written_end() {
            let block = self.window.get(block_at, BLOCK_BYTES)?;
            if block.is_empty() {
                break;
            }
            if let Some(last) = block.iter().rposition(|byte| *byte != 0) {
                used_end = block_at + last as u64 + 1;
                if let Some(found) = self.valid_within(&block, block_at)? {
                    return Ok(found);
                }
            }
            block_at += block.len() as u64;
        }
        Ok(used_end.next_multiple_of(ALIGNMENT as u64).min(self.window.end.max(from)))
    }

    fn valid_within(&mut self, block: &Bytes, block_at: u64) -> io::Result<Option<u64>> {
        for (index, word) in block.chunks(ALIGNMENT).enumerate() {
            let magic = word.get(..4).unwrap_or_default();
            if magic != BATCH_MAGIC && magic != RECORD_MAGIC && magic != ERASED_MAGIC {
                continue;
            }
            let at = block_at + (index * ALIGNMENT) as u64;
            if self.parse(at)?.is_some() {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}

/// A piece of a file in memory that moves along.
#[derive(Debug)]
struct Window {
    file: Arc<File>,
    end: u64,
    /// From here on there is nothing but zeros, once that was asked for.
    written_end: Option<u64>,
    chunk: Bytes,
    chunk_at: u64,
    chunk_bytes: usize,
    /// Up to here the kernel was asked to read, if it is to be.
    asked_to: Option<u64>,
}

impl Window {
    /// Up to `len` bytes at `at`; fewer only at the end.
    fn get(&mut self, at: u64, len: usize) -> io::Result<Bytes> {
        let len = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX).min(len);
        if let Some(bytes) = self.cut(at, len) {
            return Ok(bytes);
        }
        self.ask_ahead(at);
        let ahead = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX).min(self.chunk_bytes);
        self.chunk = zero_padded(read_up_to(&self.file, at, ahead.max(len))?, ahead.max(len));
        self.chunk_at = at;
        Ok(self.cut(at, len).unwrap_or_else(|| self.chunk.clone()))
    }

    /// Where the kernel does not take advice, reading is slower and nothing else.
    fn ask_ahead(&mut self, at: u64) {
        let Some(mut asked_to) = self.asked_to else { return };
        let to = at.saturating_add(ASKED_AHEAD_BYTES).min(self.written_end());
        while asked_to < to {
            let _ = fadvise(&self.file, asked_to, NonZeroU64::new(ASKED_BYTES), Advice::WillNeed);
            asked_to += ASKED_BYTES;
        }
        self.asked_to = Some(asked_to);
    }

    /// Past the end of the file all is zero, however far the header says that it goes on.
    fn written_end(&mut self) -> u64 {
        let (file, end) = (&self.file, self.end);
        *self.written_end.get_or_insert_with(|| file.metadata().map_or(end, |about| about.len().min(end)))
    }

    fn cut(&self, at: u64, len: usize) -> Option<Bytes> {
        let from = usize::try_from(at.checked_sub(self.chunk_at)?).ok()?;
        let to = from.checked_add(len)?;
        (to <= self.chunk.len()).then(|| self.chunk.slice(from..to))
    }

    fn is_zero_from(&mut self, from: u64) -> io::Result<bool> {
        let mut at = from;
        while at < self.written_end() {
            let block = self.get(at, BLOCK_BYTES)?;
            if block.is_empty() {
                break;
            }
            if !is_zero(&block) {
                return Ok(false);
            }
            if planted::has(Planted::EndAtZeros) {
                break;
            }
            at += block.len() as u64;
        }
        Ok(true)
    }
}

/// A file that a crash left shorter than its header says ends in zeros, as room never written does.
fn zero_padded(bytes: Bytes, len: usize) -> Bytes {
    if bytes.len() == len {
        return bytes;
    }
    let mut bytes = bytes.to_vec();
    bytes.resize(len, 0);
    Bytes::from(bytes)
}

/// True when every byte is zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
    bytes.chunks(BLOCK_BYTES).all(|block| ZEROS.get(..block.len()) == Some(block))
}

/// Reads `len` bytes, or fewer where the file ends.
pub(crate) fn read_up_to(file: &File, at: u64, len: usize) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let from = at + bytes.len() as u64;
        match pread(file, spare_capacity(&mut bytes), from) {
            Ok(0) => break,
            Ok(_) => {}
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(len);
    Ok(Bytes::from(bytes))
}
