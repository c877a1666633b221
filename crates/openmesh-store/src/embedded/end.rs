//! The end of the active segment, where frames are added: whole blocks, past the page cache where the file system lets
//! it (`O_DIRECT`), since what is written here is read from memory while it is new, and seldom later.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::{BLOCK_BYTES, Disk, Ways};
use super::published::PIECE_BYTES;
use super::segment::Segment;
use super::walker::read_up_to;

/// Room made real ahead of small batches, so that few syncs have to write the file's layout too.
const WARM_BYTES: u64 = 256 * 1024;
/// Batches this large are not worth warming room for.
const LARGE_BATCH_BYTES: u64 = 64 * 1024;
/// Most memory that is held for the next frames.
const SPARE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where the next frame goes, and how it gets there.
#[derive(Debug)]
pub(crate) struct End {
    file: Arc<File>,
    /// The same file past the page cache.
    direct: Option<File>,
    at: u64,
    /// What the block that `at` lies in holds before it: it is written again with what follows.
    tail: Vec<u8>,
    /// Up to here the file's room is real, not only reserved.
    warm_to: u64,
    file_bytes: u64,
    /// Memory for the next frames, which costs less than memory the system has to clear.
    spare: Vec<u8>,
}

/// Frames to be written at the end, in memory that begins with the block they begin in.
#[derive(Debug)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    block_at: usize,
    frames_at: usize,
}

impl Frames {
    /// Where frames are encoded to.
    pub(crate) const fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Bytes of the frames so far.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len() - self.frames_at
    }

    /// The frames so far.
    pub(crate) fn own(&self) -> &[u8] {
        self.bytes.get(self.frames_at..).unwrap_or_default()
    }
}

impl End {
    /// The end of a segment at `at`, the room up to `warm_to` being real. Errors: what stands before it cannot be read.
    pub(crate) fn of(
        disk: &Disk,
        folder: &Path,
        segment: &Segment,
        at: u64,
        warm_to: u64,
    ) -> io::Result<Self> {
        let block_at = at - at % BLOCK_BYTES;
        let tail = read_up_to(&segment.file, block_at, usize::try_from(at - block_at).unwrap_or_default())?;
        // A file that is cut short inside the block is written as other file systems have it.
        let whole = tail.len() as u64 == at - block_at;
        let direct = if whole { disk.open_direct(&folder.join(&segment.name)) } else { None };
        let file_bytes = segment.header.file_bytes;
        Ok(Self {
            file: Arc::clone(&segment.file),
            direct,
            at,
            tail: tail.to_vec(),
            warm_to,
            file_bytes,
            spare: Vec::new(),
        })
    }

    pub(crate) const fn at(&self) -> u64 {
        self.at
    }

    /// Memory for frames of so many bytes.
    pub(crate) fn frames(&mut self, bytes: u64) -> Frames {
        let room = usize::try_from(bytes + 3 * BLOCK_BYTES).unwrap_or_default();
        let mut memory = std::mem::take(&mut self.spare);
        memory.clear();
        memory.reserve(room);
        let block_at = memory.as_ptr().align_offset(BLOCK_BYTES as usize).min(BLOCK_BYTES as usize);
        memory.resize(block_at, 0);
        memory.extend_from_slice(&self.tail);
        Frames { frames_at: memory.len(), bytes: memory, block_at }
    }

    /// Writes frames at the end; gives their bytes.
    pub(crate) fn write(&mut self, disk: &Disk, frames: Frames) -> io::Result<Bytes> {
        let written = frames.len() as u64;
        let until = self.at + written;
        self.warm(disk, written)?;
        let held = self.put(disk, frames, until)?;
        self.at = until;
        Ok(held)
    }

    /// Takes memory for later frames.
    pub(crate) fn reuse(&mut self, memory: Vec<u8>) {
        if (self.spare.capacity()..=SPARE_BYTES_MAX).contains(&memory.capacity()) {
            self.spare = memory;
        }
    }

    /// Takes frames as written that are not: for bugs planted on purpose.
    pub(crate) fn pass(&mut self, frames: &Frames) {
        self.keep_tail(frames, self.at + frames.len() as u64);
        self.at += frames.len() as u64;
    }

    fn put(&mut self, disk: &Disk, mut frames: Frames, until: u64) -> io::Result<Bytes> {
        let block_end = until.next_multiple_of(BLOCK_BYTES);
        let frames_end = frames.bytes.len();
        self.keep_tail(&frames, until);
        if self.direct.is_some() && block_end <= self.file_bytes && frames.is_aligned() {
            let padding = usize::try_from(block_end - until).unwrap_or_default();
            frames.bytes.resize(frames_end + padding, 0);
            let blocks = frames.bytes.get(frames.block_at..).unwrap_or_default();
            disk.write_blocks(self.ways(), blocks, block_end - blocks.len() as u64)?;
            frames.bytes.truncate(frames_end);
        } else {
            disk.write_at(&self.file, frames.own(), self.at)?;
        }
        Ok(self.hold(frames))
    }

    /// The frames alone, for those who read them while they are new.
    fn hold(&mut self, frames: Frames) -> Bytes {
        if frames.len() <= PIECE_BYTES {
            let held = Bytes::copy_from_slice(frames.own());
            self.reuse(frames.bytes);
            return held;
        }
        let frames_at = frames.frames_at;
        Bytes::from(frames.bytes).slice(frames_at..)
    }

    fn ways(&self) -> Ways<'_> {
        Ways { ordinary: &self.file, direct: self.direct.as_ref() }
    }

    fn keep_tail(&mut self, frames: &Frames, until: u64) {
        let tail_bytes = usize::try_from(until % BLOCK_BYTES).unwrap_or_default();
        let tail_at = frames.bytes.len().saturating_sub(tail_bytes);
        self.tail.clear();
        self.tail.extend_from_slice(frames.bytes.get(tail_at..).unwrap_or_default());
    }

    /// Writes zeros over reserved room ahead of small batches: a sync of room that is real writes only content.
    fn warm(&mut self, disk: &Disk, bytes: u64) -> io::Result<()> {
        if bytes > LARGE_BATCH_BYTES || self.at + bytes <= self.warm_to {
            return Ok(());
        }
        let from = self.warm_to.max(self.at).next_multiple_of(BLOCK_BYTES);
        let to = (self.at + bytes + WARM_BYTES).min(self.file_bytes);
        let to = to - to % BLOCK_BYTES;
        if from < to {
            disk.write_zeros(self.ways(), from, to)?;
        }
        self.warm_to = self.warm_to.max(to);
        Ok(())
    }
}

impl Frames {
    fn is_aligned(&self) -> bool {
        let blocks = self.bytes.get(self.block_at..).unwrap_or_default();
        blocks.as_ptr().align_offset(BLOCK_BYTES as usize) == 0
    }
}
