//! A run: what the index has of some consecutive records, in the order of terms. It is written once and never changed; a larger
//! one takes the place of several.
//!
//! Postings stand in blocks of about two kibibytes, each with a checksum of its own, and a table in memory says where
//! each block begins. A small run stands in memory, the others each in a file.

mod builder;
mod encoding;
mod file;
#[cfg(test)]
mod tests;

pub(super) use builder::{Builder, Place};
pub(super) use encoding::Posting;
pub(super) use file::{RunName, UNFINISHED_NAME};

use super::ProjectionFault;
use encoding::{Groups, postings_of};
use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many records share one row of times.
pub(super) const SPAN_RECORDS: u64 = 128;
const CHECKSUM_BYTES: usize = 4;

/// Which records a run is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) first_seq: u64,
    /// Up to here all were looked at.
    pub(super) last_seq: u64,
    /// The chain value that the run before ends with.
    pub(super) before: [u8; 32],
    /// The last record that was there, and its chain value.
    pub(super) chain_seq: u64,
    pub(super) chain: [u8; 32],
}

impl Extent {
    pub(super) const fn records(&self) -> u64 {
        self.last_seq.saturating_sub(self.first_seq) + 1
    }

    /// That of this and what follows it.
    pub(super) const fn joined(&self, next: &Self) -> Self {
        Self { first_seq: self.first_seq, before: self.before, ..*next }
    }
}

/// The times of the records whose numbers divided by [`SPAN_RECORDS`] are this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) number: u64,
    pub(super) first_at: i64,
    pub(super) last_at: i64,
}

/// Where a block begins, and its first posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlockAt {
    term: u64,
    seq: u64,
    offset: u64,
}

/// A run, for any number of readers.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) extent: Extent,
    /// Drawn for this run: a block of another does not check in it.
    identity: u64,
    blocks: Vec<BlockAt>,
    /// Where the last block ends.
    blocks_end: u64,
    pub(super) spans: Vec<Span>,
    stored: Stored,
}

#[derive(Debug)]
enum Stored {
    Memory(Vec<u8>),
    File { file: File, path: PathBuf, is_synced: AtomicBool },
}

impl Run {
    pub(super) const fn is_in_memory(&self) -> bool {
        matches!(self.stored, Stored::Memory(_))
    }

    /// Its file, if it stands in one.
    pub(super) const fn path(&self) -> Option<&PathBuf> {
        match &self.stored {
            Stored::Memory(_) => None,
            Stored::File { path, .. } => Some(path),
        }
    }

    /// Makes its file durable, once.
    pub(super) fn sync(&self) -> std::io::Result<()> {
        match &self.stored {
            Stored::File { file, is_synced, .. } if !is_synced.load(Ordering::Relaxed) => {
                file.sync_all()?;
                is_synced.store(true, Ordering::Relaxed);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The postings of a term in the block where those at `at` or past it begin, in order; none where there are none.
    pub(super) fn seek(
        &self,
        term: u64,
        (at, newest_first): (u64, bool),
        found: &mut Vec<Posting>,
    ) -> Result<(), ProjectionFault> {
        let after = self.blocks.partition_point(|block| (block.term, block.seq) <= (term, at));
        let mut number = after.saturating_sub(1);
        loop {
            found.clear();
            if let Some(group) = self.groups(number)?.of_term(term) {
                postings_of(group, self.extent.first_seq, found).ok_or_else(damaged)?;
            }
            let is_past = if newest_first {
                found.first().is_some_and(|first| first.first <= at)
            } else {
                found.last().is_some_and(|last| last.last >= at)
            };
            if is_past {
                return Ok(());
            }
            number += 1;
            let goes_on = !newest_first && self.blocks.get(number).is_some_and(|next| next.term == term);
            if !goes_on {
                found.clear();
                return Ok(());
            }
        }
    }

    /// The groups of a block; none past the last.
    fn groups(&self, number: usize) -> Result<Groups<'_>, ProjectionFault> {
        let Some(block) = self.blocks.get(number) else { return Ok(Groups::default()) };
        let end = self.blocks.get(number + 1).map_or(self.blocks_end, |next| next.offset);
        let bytes = self.read(block.offset, end)?;
        let content = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or_else(damaged)?;
        let (content, checksum) = bytes.split_at_checked(content).ok_or_else(damaged)?;
        if checksum != self.checksum(number, content).to_le_bytes() {
            return Err(damaged());
        }
        let content = content.len();
        Ok(Groups::new(bytes, content))
    }

    fn read(&self, from: u64, to: u64) -> Result<Cow<'_, [u8]>, ProjectionFault> {
        let bytes = usize::try_from(to.saturating_sub(from)).map_err(|_| damaged())?;
        match &self.stored {
            Stored::Memory(all) => {
                let from = usize::try_from(from).map_err(|_| damaged())?;
                all.get(from..from.saturating_add(bytes)).map(Cow::Borrowed).ok_or_else(damaged)
            }
            Stored::File { file, .. } => {
                let mut read = vec![0; bytes];
                file.read_exact_at(&mut read, from).map_err(|error| match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => damaged(),
                    _ => error.into(),
                })?;
                Ok(Cow::Owned(read))
            }
        }
    }

    fn checksum(&self, block: usize, content: &[u8]) -> u32 {
        checksum(self.identity, block, content)
    }
}

/// Every posting of a run, term by term.
pub(super) struct Walk<'a> {
    run: &'a Run,
    block: usize,
    groups: Groups<'a>,
    term: Option<u64>,
    postings: Vec<Posting>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(run: &'a Run) -> Result<Self, ProjectionFault> {
        let mut walk = Self { run, block: 0, groups: run.groups(0)?, term: None, postings: Vec::new() };
        walk.advance()?;
        Ok(walk)
    }

    /// The term it stands at.
    pub(super) const fn term(&self) -> Option<u64> {
        self.term
    }

    /// Its postings, or the next of them.
    pub(super) fn postings(&self) -> &[Posting] {
        &self.postings
    }

    /// Goes on to the next postings, of the same term or a higher one.
    pub(super) fn advance(&mut self) -> Result<(), ProjectionFault> {
        self.postings.clear();
        loop {
            if let Some((term, group)) = self.groups.next() {
                self.term = Some(term);
                return postings_of(group, self.run.extent.first_seq, &mut self.postings).ok_or_else(damaged);
            }
            self.block += 1;
            if self.block >= self.run.blocks.len() {
                self.term = None;
                return Ok(());
            }
            self.groups = self.run.groups(self.block)?;
        }
    }
}

/// Bound to the run and the block's place in it.
fn checksum(identity: u64, block: usize, content: &[u8]) -> u32 {
    let place = crc32c::crc32c_append(crc32c::crc32c(&identity.to_le_bytes()), &(block as u64).to_le_bytes());
    crc32c::crc32c_append(place, content)
}

fn damaged() -> ProjectionFault {
    ProjectionFault::Unfit("a part of it does not check".to_owned())
}
