//! A log as it lies there at one moment, for those who copy it: its files, opened at once, and how far each is to be read.

use std::path::Path;

use openmesh_message::PartitionId;

use super::lock::FolderLock;
use super::recovery::{file_names, open_segments, read_tail};
use super::segment::{Segment, segment_name};
use super::snapshot::is_whole;
use super::walker::{CHUNK_BYTES, Item, read_up_to};
use crate::fault::Fault;

/// How often a look is begun anew because the log's writer removed a file meanwhile.
const LOOKS_MAX: u32 = 8;
/// Bytes looked at at once for the end of a file.
const LOOK_BYTES: u64 = 64 * 1024;

/// What is there, up to what is synced.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) partition: PartitionId,
    pub(crate) segments: Vec<FrozenSegment>,
    /// Every name in the folder.
    pub(crate) names: Vec<String>,
    pub(crate) records: u64,
    /// Places that do not check.
    pub(crate) damaged: u64,
    pub(crate) last_seq: u64,
    pub(crate) chain: [u8; 32],
    pub(crate) epoch: u32,
}

/// A segment's file, open.
#[derive(Debug)]
pub(crate) struct FrozenSegment {
    segment: Segment,
    pub(crate) number: u64,
    pub(crate) file_bytes: u64,
    /// Up to here it is read: zeros follow, or what is not synced.
    pub(crate) kept: u64,
}

impl Frozen {
    /// Errors: as `open_read_only`.
    pub(crate) fn look(folder: &Path) -> Result<Self, Fault> {
        for _ in 1..LOOKS_MAX {
            match Self::look_once(folder) {
                // The writer may have let go of a segment since its name was read.
                Err(Fault::Io { cause, .. }) if cause.errno == Some(2) && folder.is_dir() => {}
                looked => return looked,
            }
        }
        Self::look_once(folder)
    }

    fn look_once(folder: &Path) -> Result<Self, Fault> {
        let is_written = FolderLock::is_taken(folder);
        let (segments, corrupt) = open_segments(folder, false)?;
        let Some(last) = segments.last() else {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(Fault::Io {
                doing: "find a log in",
                path: folder.to_owned(),
                cause: (&missing).into(),
            });
        };
        let tail = read_tail(last).map_err(|error| last.fault("read", &error))?;
        let mut frozen = Self {
            partition: last.header.partition,
            segments: Vec::new(),
            names: file_names(folder)?,
            records: 0,
            damaged: corrupt.len() as u64,
            last_seq: segments.first().map_or(0, |first| first.header.first_seq.saturating_sub(1)),
            chain: segments.first().map_or([0; 32], |first| first.header.chain),
            epoch: tail.epoch,
        };
        let last_number = last.header.number;
        for segment in segments {
            let is_last = segment.header.number == last_number;
            let end = if !is_last {
                u64::MAX
            } else if is_written {
                synced_end(&segment)?
            } else {
                tail.end
            };
            frozen.add(segment, end)?;
        }
        Ok(frozen)
    }

    fn add(&mut self, segment: Segment, end: u64) -> Result<(), Fault> {
        let fault = |error: std::io::Error| segment.fault("read", &error);
        let mut walker = segment.walk(segment.data_start(), CHUNK_BYTES);
        while walker.at() < end {
            match walker.next().map_err(fault)? {
                Some(Item::Record { head, .. }) => {
                    self.records += 1;
                    self.last_seq = self.last_seq.max(head.seq);
                    self.chain = head.chain;
                }
                Some(Item::Batch { .. }) => {}
                Some(Item::Bad { .. }) => self.damaged += 1,
                None => break,
            }
        }
        let kept = end.min(used_bytes(&segment).map_err(fault)?);
        let (number, file_bytes) = (segment.header.number, segment.header.file_bytes);
        self.segments.push(FrozenSegment { segment, number, file_bytes, kept: kept.min(file_bytes) });
        Ok(())
    }

    /// Whether these are the bytes of a snapshot of this log as of `seq`.
    pub(crate) fn is_whole_snapshot(&self, bytes: &[u8], seq: u64) -> bool {
        is_whole(bytes, self.partition, seq)
    }
}

impl FrozenSegment {
    /// Errors: `Io`.
    pub(crate) fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, Fault> {
        let read = read_up_to(&self.segment.file, at, length);
        Ok(read.map_err(|error| self.segment.fault("read", &error))?.to_vec())
    }
}

/// The file name of a segment.
pub(crate) fn segment_file_name(number: u64) -> String {
    segment_name(number)
}

/// Up to here everything was synced before the last head was written.
fn synced_end(segment: &Segment) -> Result<u64, Fault> {
    let mut end = segment.data_start();
    let mut walker = segment.walk(segment.data_start(), CHUNK_BYTES);
    while let Some(item) = walker.next().map_err(|error| segment.fault("read", &error))? {
        if let Item::Batch { head, .. } = item {
            end = end.max(head.synced_bytes);
        }
    }
    Ok(end.min(segment.header.file_bytes))
}

/// Where the zeros begin that reach to the end of the file.
fn used_bytes(segment: &Segment) -> std::io::Result<u64> {
    let mut end = segment.file.metadata()?.len();
    while end > 0 {
        let from = end.saturating_sub(LOOK_BYTES);
        let bytes = read_up_to(&segment.file, from, usize::try_from(end - from).unwrap_or(usize::MAX))?;
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            return Ok(from + last as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}
