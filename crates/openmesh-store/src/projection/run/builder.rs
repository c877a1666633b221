//! Writes a run: postings come in the order of terms and records, and leave as blocks.

use super::encoding::{GROUP_HEAD_BYTES, Posting, put_posting};
use super::{BlockAt, Extent, Run, Span, Stored, checksum, file};
use crate::projection::ProjectionFault;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// What a block holds before it ends; the last posting may go past it.
const BLOCK_BYTES: usize = 2 * 1024;
/// Written to a file at once.
const WRITE_BYTES: usize = 256 * 1024;
/// So many records that follow one another are written as one posting, with the place of the first alone.
const TOGETHER_MIN: u64 = 8;

/// Where a run is to stand.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Memory,
    /// In a folder, for an index whose terms are of this version and whose list of topics is so long.
    Folder {
        folder: PathBuf,
        version: u32,
        topics_bytes: u64,
    },
}

/// A run that is being written.
pub(crate) struct Builder {
    extent: Extent,
    identity: u64,
    place: Place,
    file: Option<File>,
    /// What of the run is not in the file: all of it, where there is none.
    out: Vec<u8>,
    written: u64,
    blocks: Vec<BlockAt>,
    block: Vec<u8>,
    /// Where in the block the group under way begins, and where its last posting ends.
    group: Option<Group>,
    streak: Streak,
}

struct Group {
    term: u64,
    at: usize,
    next: u64,
}

/// Records of the group's term that follow one another and are not written yet.
#[derive(Default)]
struct Streak {
    first: u64,
    last: u64,
    /// Where each lies, or the first alone, if there are too many to say.
    at_bytes: Vec<Option<u64>>,
    is_any: bool,
}

impl Streak {
    fn begin(&mut self, posting: &Posting) {
        (self.first, self.last, self.is_any) = (posting.first, posting.last, true);
        self.at_bytes.clear();
        self.at_bytes.push(posting.at_byte);
    }

    fn extend(&mut self, posting: &Posting) {
        let says_each = self.says_each() && posting.first == posting.last;
        self.last = posting.last;
        if says_each && self.last - self.first + 1 < TOGETHER_MIN {
            self.at_bytes.push(posting.at_byte);
        } else {
            self.at_bytes.truncate(1);
        }
    }

    fn says_each(&self) -> bool {
        self.at_bytes.len() as u64 == self.last - self.first + 1
    }
}

impl Builder {
    pub(crate) fn new(extent: Extent, place: Place) -> Result<Self, ProjectionFault> {
        let file = match &place {
            Place::Memory => None,
            Place::Folder { folder, .. } => Some(file::create(folder)?),
        };
        Ok(Self {
            extent,
            identity: file::draw_identity()?,
            place,
            file,
            out: Vec::new(),
            written: 0,
            blocks: Vec::new(),
            block: Vec::with_capacity(BLOCK_BYTES * 2),
            group: None,
            streak: Streak::default(),
        })
    }

    /// Adds a posting; it is of a higher term than the one before, or of the same and later.
    pub(crate) fn push(&mut self, term: u64, posting: &Posting) -> Result<(), ProjectionFault> {
        if self.group.as_ref().is_some_and(|group| group.term == term) {
            if self.streak.is_any && posting.first == self.streak.last + 1 {
                self.streak.extend(posting);
                return Ok(());
            }
            self.write_streak()?;
        } else {
            self.end_group()?;
            self.begin_group(term)?;
        }
        self.streak.begin(posting);
        Ok(())
    }

    /// Ends the run; it is there from then on.
    pub(crate) fn finish(mut self, spans: Vec<Span>) -> Result<Run, ProjectionFault> {
        self.end_group()?;
        self.end_block()?;
        let Self { extent, identity, place, file, out, written, blocks, .. } = self;
        let mut run =
            Run { extent, identity, blocks, blocks_end: written, spans, stored: Stored::Memory(out) };
        if let (Some(file), Place::Folder { folder, version, topics_bytes }) = (file, place) {
            file::finish(&mut run, file, &folder, (version, topics_bytes))?;
        }
        Ok(run)
    }

    fn begin_group(&mut self, term: u64) -> Result<(), ProjectionFault> {
        if self.block.len() >= BLOCK_BYTES {
            self.end_block()?;
        }
        let at = self.block.len();
        self.block.extend_from_slice(&term.to_le_bytes());
        self.block.extend_from_slice(&[0; 2]);
        self.group = Some(Group { term, at, next: self.extent.first_seq });
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), ProjectionFault> {
        self.write_streak()?;
        self.seal_group();
        Ok(())
    }

    /// Says how long the group under way is.
    fn seal_group(&mut self) {
        let Some(group) = self.group.take() else { return };
        let length = self.block.len() - group.at - GROUP_HEAD_BYTES;
        let length = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
        if let Some(place) = self.block.get_mut(group.at + GROUP_HEAD_BYTES - 2..group.at + GROUP_HEAD_BYTES)
        {
            place.copy_from_slice(&length);
        }
    }

    fn write_streak(&mut self) -> Result<(), ProjectionFault> {
        if !std::mem::take(&mut self.streak.is_any) {
            return Ok(());
        }
        let Streak { first, last, .. } = self.streak;
        if !self.streak.says_each() {
            let at_byte = self.streak.at_bytes.first().copied().flatten();
            return self.write_posting(&Posting { first, last, at_byte });
        }
        let at_bytes = std::mem::take(&mut self.streak.at_bytes);
        for (seq, at_byte) in (first..).zip(&at_bytes) {
            self.write_posting(&Posting { first: seq, last: seq, at_byte: *at_byte })?;
        }
        self.streak.at_bytes = at_bytes;
        Ok(())
    }

    fn write_posting(&mut self, posting: &Posting) -> Result<(), ProjectionFault> {
        let Some(term) = self.group.as_ref().map(|group| group.term) else { return Ok(()) };
        if self.block.len() >= BLOCK_BYTES {
            self.seal_group();
            self.end_block()?;
            self.begin_group(term)?;
        }
        if self.block.len() == GROUP_HEAD_BYTES {
            self.blocks.push(BlockAt { term, seq: posting.first, offset: self.written });
        }
        let Some(group) = &mut self.group else { return Ok(()) };
        put_posting(&mut self.block, group.next, posting);
        group.next = posting.last + 1;
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), ProjectionFault> {
        let Some(number) = self.blocks.len().checked_sub(1).filter(|_| !self.block.is_empty()) else {
            return Ok(());
        };
        let checksum = checksum(self.identity, number, &self.block);
        self.out.extend_from_slice(&self.block);
        self.out.extend_from_slice(&checksum.to_le_bytes());
        self.written += self.block.len() as u64 + 4;
        self.block.clear();
        if let Some(file) = self.file.as_mut().filter(|_| self.out.len() >= WRITE_BYTES) {
            file.write_all(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }
}
