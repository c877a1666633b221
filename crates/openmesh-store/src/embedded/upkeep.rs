//! What is done to a log beside its writer: old segments are let go, or rewritten without bodies that are no longer wanted.
//! Only what a durable checkpoint covers is touched, so that no start ever has to read what is not there any more.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::Disk;
use super::published::Published;
use super::rewrite::{Rewritten, Unwanted, rewrite};
use super::segment::Segment;
use super::snapshot::SnapshotFolder;
use crate::failpoint;
use crate::fault::Fault;
use crate::record::SeqRange;

/// Keeps a log small. Clones take turns.
#[derive(Clone, Debug)]
pub struct Upkeep {
    folder: PathBuf,
    disk: Disk,
    published: Arc<Published>,
    snapshots: SnapshotFolder,
    working: Arc<Mutex<()>>,
}

/// One segment, as retention looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Its number.
    pub number: u64,
    /// The first record that can be in it.
    pub first_seq: u64,
    /// The last that can be; the head of the log for the one that is written.
    pub last_seq: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// Whether nothing more is written to it.
    pub is_sealed: bool,
}

impl Upkeep {
    pub(crate) fn new(
        folder: PathBuf,
        disk: Disk,
        published: Arc<Published>,
        snapshots: SnapshotFolder,
    ) -> Self {
        Self { folder, disk, published, snapshots, working: Arc::new(Mutex::new(())) }
    }

    /// Every segment, in order.
    pub fn segments(&self) -> Vec<SegmentSummary> {
        let segments = self.published.segments();
        let nexts = segments.iter().skip(1).map(|next| Some(next.header.first_seq)).chain([None]);
        let summary = |(segment, next): (&Arc<Segment>, Option<u64>)| SegmentSummary {
            number: segment.header.number,
            first_seq: segment.header.first_seq,
            last_seq: next.map_or_else(|| self.published.head_seq(), |next| next.saturating_sub(1)),
            bytes: segment.header.file_bytes,
            is_sealed: next.is_some(),
        };
        segments.iter().zip(nexts).map(summary).collect()
    }

    /// The last record that a whole checkpoint covers; 0 for none. Errors: `Newer`, `Io`.
    pub fn covered_seq(&self) -> Result<u64, Fault> {
        Ok(self.snapshots.newest_checkpoint()?.map_or(0, |checkpoint| checkpoint.position.seq))
    }

    /// Lets go of every segment up to a number, the oldest first; the one that is written stays. Readers that have begun
    /// with one go on with it. Errors: `NotCovered`, `Newer`, `Io`.
    pub fn let_go(&self, through_number: u64) -> Result<Vec<SegmentSummary>, Fault> {
        let _one = self.lock();
        let going: Vec<_> = self.segments();
        let going: Vec<_> =
            going.into_iter().filter(|one| one.is_sealed && one.number <= through_number).collect();
        if let Some(last) = going.last() {
            self.check_covered(last.last_seq)?;
        }
        failpoint::reached("checkpoint.let-go-begun");
        for segment in &going {
            let path = self.folder.join(super::segment::segment_name(segment.number));
            self.published.remove_first(segment.number);
            self.disk.remove(&path).map_err(|error| Fault::io("remove", &path, &error))?;
            failpoint::reached("checkpoint.let-go-removed");
            // In order also after a power cut: what is left never has a gap.
            self.disk.sync_folder(&self.folder).map_err(|error| Fault::io("sync", &self.folder, &error))?;
            failpoint::reached("checkpoint.let-go-synced");
        }
        Ok(going)
    }

    /// Writes a sealed segment anew without the bodies that are not wanted; `None` if none goes. Readers that have begun
    /// with the old file go on with it. Errors: `NotCovered`, `Full`, `Newer`, `Io`.
    pub fn rewrite(&self, number: u64, unwanted: &Unwanted<'_>) -> Result<Option<Rewritten>, Fault> {
        let _one = self.lock();
        let summary = self.segments().into_iter().find(|one| one.number == number && one.is_sealed);
        let segments = self.published.segments();
        let old = segments.iter().find(|segment| segment.header.number == number);
        let (Some(summary), Some(old)) = (summary, old) else { return Ok(None) };
        self.check_covered(summary.last_seq)?;
        let Some((segment, rewritten)) = rewrite(&self.disk, &self.folder, old, unwanted)? else {
            return Ok(None);
        };
        self.published.replace(Arc::new(segment));
        self.published.forget_recent(SeqRange { first: summary.first_seq, last: summary.last_seq });
        Ok(Some(rewritten))
    }

    fn check_covered(&self, seq: u64) -> Result<(), Fault> {
        let covered_seq = self.covered_seq()?;
        if seq > covered_seq { Err(Fault::NotCovered { seq, covered_seq }) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
