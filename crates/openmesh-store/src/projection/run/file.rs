//! A run in a file: its blocks, then tables of where they begin and of times, then a trailer that says what all of it is.
//!
//! It is written under another name and renamed when it is whole. What each bit of it is covered by: a block by its own
//! checksum, the tables and the trailer by theirs.

use super::{BlockAt, Extent, Run, Span, Stored};
use crate::embedded::bytes::{array_at, u32_at, u64_at};
use crate::failpoint;
use crate::planted::{self, Planted};
use crate::projection::ProjectionFault;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// A run that is being written.
pub(crate) const UNFINISHED_NAME: &str = "run.tmp";
const ENDING: &str = ".run";
const MAGIC: [u8; 8] = *b"OMINXRUN";
/// The version of runs; the caller's version of terms stands beside it.
const FORMAT_VERSION: u32 = 2;
const TRAILER_BYTES: usize = 152;
const TRAILER_CHECKSUM_AT: usize = 148;
const ROW_BYTES: usize = 24;

/// What a file's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunName {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
}

impl RunName {
    pub(crate) fn text(self) -> String {
        format!("{:020}-{:020}{ENDING}", self.first_seq, self.last_seq)
    }

    pub(crate) fn read(name: &str) -> Option<Self> {
        let (first, last) = name.strip_suffix(ENDING)?.split_once('-')?;
        let read = Self { first_seq: first.parse().ok()?, last_seq: last.parse().ok()? };
        (read.text() == name).then_some(read)
    }
}

pub(super) fn create(folder: &Path) -> Result<File, ProjectionFault> {
    let mut options = OpenOptions::new();
    Ok(options.read(true).write(true).create(true).truncate(true).open(folder.join(UNFINISHED_NAME))?)
}

/// Nobody can foresee it: a block of one run does not pass for one of another.
pub(super) fn draw_identity() -> Result<u64, ProjectionFault> {
    let mut drawn = [0; 8];
    getrandom::fill(&mut drawn).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(u64::from_le_bytes(drawn))
}

/// Writes what is left of a run, and gives the file its name.
pub(super) fn finish(
    run: &mut Run,
    mut file: File,
    folder: &Path,
    (version, topics_bytes): (u32, u64),
) -> Result<(), ProjectionFault> {
    let Stored::Memory(rest) = &mut run.stored else { return Ok(()) };
    let mut out = std::mem::take(rest);
    let tables_at = out.len();
    put_tables(run, &mut out);
    let tables = crc32c::crc32c(out.get(tables_at..).unwrap_or_default());
    put_trailer(run, (version, topics_bytes), tables, &mut out);
    file.write_all(&out)?;
    let Extent { first_seq, last_seq, .. } = run.extent;
    let path = folder.join(RunName { first_seq, last_seq }.text());
    if planted::has(Planted::TrustStaleIndex) {
        write_hollow(run, &path, (version, topics_bytes))?;
    }
    failpoint::reached("index.before-commit");
    std::fs::rename(folder.join(UNFINISHED_NAME), &path)?;
    failpoint::reached("index.committed");
    run.stored = Stored::File { file, path, is_synced: AtomicBool::new(false) };
    Ok(())
}

/// A run that covers records and has nothing of them.
fn write_hollow(run: &Run, path: &Path, about: (u32, u64)) -> Result<(), ProjectionFault> {
    let hollow = Run {
        extent: run.extent,
        identity: run.identity,
        blocks: Vec::new(),
        blocks_end: 0,
        spans: run.spans.clone(),
        stored: Stored::Memory(Vec::new()),
    };
    let mut out = Vec::new();
    put_tables(&hollow, &mut out);
    let tables = crc32c::crc32c(&out);
    put_trailer(&hollow, about, tables, &mut out);
    Ok(std::fs::write(path, out)?)
}

fn put_tables(run: &Run, out: &mut Vec<u8>) {
    for BlockAt { term, seq, offset } in &run.blocks {
        [*term, *seq, *offset].iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    }
    for Span { number, first_at, last_at } in &run.spans {
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&first_at.to_le_bytes());
        out.extend_from_slice(&last_at.to_le_bytes());
    }
}

fn put_trailer(run: &Run, (version, topics_bytes): (u32, u64), tables: u32, out: &mut Vec<u8>) {
    let begin = out.len();
    let Extent { first_seq, last_seq, before, chain_seq, chain } = &run.extent;
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    out.extend_from_slice(&version.to_le_bytes());
    for number in [run.identity, *first_seq, *last_seq, *chain_seq] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(before);
    out.extend_from_slice(chain);
    let (blocks, spans) = (run.blocks.len() as u32, run.spans.len() as u32);
    for number in [run.blocks_end, topics_bytes] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for number in [blocks, spans, tables] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.resize(begin + TRAILER_CHECKSUM_AT, 0);
    let checksum = crc32c::crc32c(out.get(begin..).unwrap_or_default());
    out.extend_from_slice(&checksum.to_le_bytes());
}

impl Run {
    /// Opens a run's file; also how long the list of topics must be. Errors: `Unfit` where it is not whole, of another
    /// format, or not what its name says.
    pub(crate) fn open(folder: &Path, name: RunName, version: u32) -> Result<(Self, u64), ProjectionFault> {
        let path = folder.join(name.text());
        let file = File::open(&path)?;
        let unfit = |why: &str| ProjectionFault::Unfit(format!("{}: {why}", name.text()));
        let bytes = file.metadata()?.len();
        let trailer_at = bytes.checked_sub(TRAILER_BYTES as u64).ok_or_else(|| unfit("it is too short"))?;
        let mut trailer = [0; TRAILER_BYTES];
        file.read_exact_at(&mut trailer, trailer_at)?;
        let read = read_trailer(&trailer).ok_or_else(|| unfit("its end does not check"))?;
        if (read.format, read.version) != (FORMAT_VERSION, version) {
            return Err(unfit("it is of another format"));
        }
        let is_named = (read.extent.first_seq, read.extent.last_seq) == (name.first_seq, name.last_seq);
        let rows = (read.blocks + read.spans) as u64;
        if !is_named || read.blocks_end.checked_add(rows * ROW_BYTES as u64) != Some(trailer_at) {
            return Err(unfit("it is not what it says"));
        }
        let mut tables = vec![0; usize::try_from(trailer_at - read.blocks_end).unwrap_or_default()];
        file.read_exact_at(&mut tables, read.blocks_end)?;
        if crc32c::crc32c(&tables) != read.tables {
            return Err(unfit("its tables do not check"));
        }
        let mut rows = tables.chunks_exact(ROW_BYTES).map_while(read_row);
        let blocks = rows.by_ref().take(read.blocks);
        let blocks = blocks.map(|[term, seq, offset]| BlockAt { term, seq, offset }).collect();
        let spans = rows.map(|[number, first_at, last_at]| Span {
            number,
            first_at: first_at.cast_signed(),
            last_at: last_at.cast_signed(),
        });
        let run = Self {
            extent: read.extent,
            identity: read.identity,
            blocks,
            blocks_end: read.blocks_end,
            spans: spans.collect(),
            stored: Stored::File { file, path, is_synced: AtomicBool::new(false) },
        };
        Ok((run, read.topics_bytes))
    }
}

struct Trailer {
    format: u32,
    version: u32,
    identity: u64,
    extent: Extent,
    blocks_end: u64,
    topics_bytes: u64,
    blocks: usize,
    spans: usize,
    tables: u32,
}

fn read_trailer(bytes: &[u8]) -> Option<Trailer> {
    let whole = crc32c::crc32c(bytes.get(..TRAILER_CHECKSUM_AT)?) == u32_at(bytes, TRAILER_CHECKSUM_AT)?;
    if !whole || bytes.get(..8)? != MAGIC {
        return None;
    }
    Some(Trailer {
        format: u32_at(bytes, 8)?,
        version: u32_at(bytes, 12)?,
        identity: u64_at(bytes, 16)?,
        extent: Extent {
            first_seq: u64_at(bytes, 24)?,
            last_seq: u64_at(bytes, 32)?,
            chain_seq: u64_at(bytes, 40)?,
            before: array_at(bytes, 48)?,
            chain: array_at(bytes, 80)?,
        },
        blocks_end: u64_at(bytes, 112)?,
        topics_bytes: u64_at(bytes, 120)?,
        blocks: usize::try_from(u32_at(bytes, 128)?).ok()?,
        spans: usize::try_from(u32_at(bytes, 132)?).ok()?,
        tables: u32_at(bytes, 136)?,
    })
}

fn read_row(row: &[u8]) -> Option<[u64; 3]> {
    Some([u64_at(row, 0)?, u64_at(row, 8)?, u64_at(row, 16)?])
}
