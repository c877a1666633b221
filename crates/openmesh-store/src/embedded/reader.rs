//! Reads of a log, from any thread, beside its writer or without one. Sees only what was synced.

mod filling;
mod sequence;

pub use sequence::Sequence;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openmesh_message::{PartitionId, Position};

use super::lock::FolderLock;
use super::published::Published;
use super::recovery::{open_segments, read_tail};
use super::segment::{Latest, Segment};
use super::snapshot::load_newest;
use super::walker::Item;
use crate::fault::Fault;
use crate::record::{LoadedSnapshot, SeqRange, StoredRecord};
use crate::report::RecoveryReport;
use filling::Filling;

const READ_AHEAD_BYTES: usize = 64 * 1024;
/// What most records take, at most: no more is read at once than is asked for.
const RECORD_BYTES_ABOUT: usize = 1_536;
/// What is read for one record: it begins at most a mark's distance behind the place where looking for it begins, and most
/// are small.
const POINT_READ_BYTES: usize = 6 * 1024;

/// A view of the log. Clones are cheap and see the same head.
#[derive(Clone, Debug)]
pub struct LogReader {
    published: Arc<Published>,
}

/// How much one page may hold; a page always has at least one record if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit {
    /// Records.
    pub records: usize,
    /// Headers and bodies together; the record that passes it is the last.
    pub bytes: usize,
}

impl Default for PageLimit {
    fn default() -> Self {
        Self { records: 1024, bytes: 1024 * 1024 }
    }
}

/// Consecutive records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In order; only lost ones are left out.
    pub records: Vec<StoredRecord>,
    /// Where the next page begins; past the head when this was the last.
    pub next_seq: u64,
    /// What corruption took from this page.
    pub lost: Vec<SeqRange>,
}

impl LogReader {
    pub(crate) fn new(published: Arc<Published>) -> Self {
        Self { published }
    }

    pub(crate) fn partition(&self) -> PartitionId {
        self.published.partition
    }

    /// The highest synced seq; 0 when there is none.
    pub fn head_seq(&self) -> u64 {
        self.published.head_seq()
    }

    /// The seq of the first record that is still kept.
    pub fn first_seq(&self) -> u64 {
        self.published.first_seq()
    }

    pub(crate) fn first_chain(&self) -> Option<[u8; 32]> {
        self.published.first_chain()
    }

    /// Waits until records above `seq` are synced or the time is over; gives the highest synced seq.
    pub fn wait_past(&self, seq: u64, at_most: Duration) -> u64 {
        self.published.wait_past(seq, at_most)
    }

    /// Whether a record stands in memory, so that reading it touches no disk.
    pub fn is_recent(&self, seq: u64) -> bool {
        seq <= self.head_seq() && self.published.recent_batch(seq).is_some()
    }

    /// One record, or none above the head or below the first. Errors: `Damaged` when corruption took it, `Io`.
    pub fn get(&self, seq: u64) -> Result<Option<StoredRecord>, Fault> {
        if seq > self.head_seq() || seq < self.published.first_seq() {
            return Ok(None);
        }
        if let Some(batch) = self.published.recent_batch(seq) {
            return Ok(batch.get(seq, self.published.partition));
        }
        let limit = PageLimit { records: 1, bytes: usize::MAX };
        let page = self.fill(Filling::new(&self.published, (seq, seq), limit).reading(POINT_READ_BYTES))?;
        match page.records.into_iter().next() {
            Some(record) => Ok(Some(record)),
            None => Err(Fault::Damaged { file: self.file_of(seq), seq: Some(seq) }),
        }
    }

    /// The same for who was told at which byte of its segment the record begins: it is read there, unless it lies
    /// somewhere else by now. Errors: as `get`.
    pub fn get_at_byte(&self, seq: u64, at: u64) -> Result<Option<StoredRecord>, Fault> {
        let is_on_disk = seq <= self.head_seq() && self.published.recent_batch(seq).is_none();
        if is_on_disk
            && let Some((segment, _)) = self.published.segment_of(seq)
            && let Some(Item::Record { at, head, frame }) =
                segment.item_at(at).map_err(|error| segment.fault("read", &error))?
            && head.seq == seq
        {
            return Ok(head.cut(&frame, self.published.partition, at));
        }
        self.get(seq)
    }

    /// One record, or none also when it has another epoch or partition. Errors: as `get`.
    pub fn get_at(&self, position: Position) -> Result<Option<StoredRecord>, Fault> {
        Ok(self.get(position.seq)?.filter(|record| record.position == position))
    }

    /// The records from `from_seq` on, up to the limit or the head. Errors: `Io`.
    pub fn scan(&self, from_seq: u64, limit: PageLimit) -> Result<Page, Fault> {
        self.scan_to(from_seq, self.head_seq(), limit)
    }

    /// The same for who was told at which byte of its segment the first record begins: it is read there, unless it lies
    /// somewhere else by now. Errors: `Io`.
    pub fn scan_at_byte(&self, from_seq: u64, at: Option<u64>, limit: PageLimit) -> Result<Page, Fault> {
        let filling = Filling::new(&self.published, (from_seq, self.head_seq()), limit);
        self.fill(filling.reading(about_bytes(limit)).told(at))
    }

    /// Every record from `from_seq` to the head of this moment, page by page.
    pub fn records(&self, from_seq: u64) -> Records {
        let (sequence, head_seq) = (self.sequence(from_seq), self.head_seq());
        Records { sequence, head_seq, rest: Vec::new().into_iter(), has_failed: false }
    }

    /// Reads from `from_seq` on, page by page: what was read ahead for one serves the next.
    pub fn sequence(&self, from_seq: u64) -> Sequence {
        Sequence::new(Arc::clone(&self.published), from_seq)
    }

    fn scan_to(&self, from_seq: u64, last_seq: u64, limit: PageLimit) -> Result<Page, Fault> {
        self.fill(Filling::new(&self.published, (from_seq, last_seq), limit).reading(about_bytes(limit)))
    }

    fn fill(&self, mut filling: Filling) -> Result<Page, Fault> {
        while !filling.is_full() {
            let seq = filling.next_seq();
            if filling.take_recent(&self.published) {
                continue;
            }
            let Some((segment, segment_last)) = self.published.segment_of(seq) else {
                if filling.pass_over_gone(&self.published) {
                    continue;
                }
                break;
            };
            self.read_segment(&segment, segment_last, &mut filling)
                .map_err(|error| segment.fault("read", &error))?;
        }
        Ok(filling.into_page())
    }

    fn read_segment(
        &self,
        segment: &Segment,
        segment_last: u64,
        filling: &mut Filling,
    ) -> std::io::Result<()> {
        let from_seq = filling.next_seq();
        let walk = |at| segment.walk(at, filling.read_bytes());
        let is_there = |item: &Item| matches!(item, Item::Record { head, .. } if head.seq == from_seq);
        let told = match filling.told_at_byte().map(walk) {
            Some(mut walker) => walker.here()?.filter(is_there).map(|_| walker),
            None => None,
        };
        let mut walker = match told {
            Some(walker) => walker,
            None => walk(segment.seek(from_seq)?),
        };
        let mut latest = Latest::after(segment, walker.pass_over(from_seq)?);
        filling.take_from(&mut walker, &mut latest, segment_last, |_, _| ())
    }

    fn file_of(&self, seq: u64) -> String {
        self.published.file_of(seq)
    }
}

/// What is read at once for so many records.
fn about_bytes(limit: PageLimit) -> usize {
    limit.records.saturating_mul(RECORD_BYTES_ABOUT).clamp(POINT_READ_BYTES, READ_AHEAD_BYTES)
}

/// Walks the log page by page. A record that corruption took is an error item; the walk goes on after it.
#[derive(Debug)]
pub struct Records {
    sequence: Sequence,
    head_seq: u64,
    rest: std::vec::IntoIter<Result<StoredRecord, Fault>>,
    has_failed: bool,
}

impl Iterator for Records {
    type Item = Result<StoredRecord, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.rest.next() {
                return Some(item);
            }
            self.rest = self.next_items(PageLimit::default())?.into_iter();
        }
    }
}

impl Records {
    /// The records of the next page, lost ones among them; `None` behind the last.
    pub(crate) fn next_items(&mut self, limit: PageLimit) -> Option<Vec<Result<StoredRecord, Fault>>> {
        if self.has_failed || self.sequence.next_seq() > self.head_seq {
            return None;
        }
        Some(match self.sequence.page_to(self.head_seq, limit) {
            Ok(page) => self.items(page),
            Err(fault) => {
                self.has_failed = true;
                vec![Err(fault)]
            }
        })
    }

    fn items(&self, page: Page) -> Vec<Result<StoredRecord, Fault>> {
        let Page { records, lost, .. } = page;
        let mut items: Vec<_> = records.into_iter().map(Ok).collect();
        for seq in lost.iter().flat_map(|lost| lost.first..=lost.last) {
            let is_before = |item: &Result<StoredRecord, Fault>| match item {
                Ok(record) => record.position.seq < seq,
                Err(Fault::Damaged { seq: Some(lost), .. }) => *lost < seq,
                Err(_) => true,
            };
            let place = items.partition_point(is_before);
            items.insert(place, Err(Fault::Damaged { file: self.sequence.file_of(seq), seq: Some(seq) }));
        }
        items
    }
}

/// What a read-only open found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOnlyReport {
    /// A writer has the folder: what looks torn may be on its way.
    pub writer_running: bool,
    /// The last thing in the log is a clean close.
    pub clean: bool,
    /// The last whole record, as recovery would keep it.
    pub head: Option<Position>,
    /// What recovery would report.
    pub report: RecoveryReport,
    /// The newest intact snapshot.
    pub snapshot: Option<LoadedSnapshot>,
}

/// Opens a log without its lock and without changing anything: beside a running writer, or after a crash. The reader
/// sees what is whole at this moment. Errors: `Newer`, `Damaged`, `Io` (also where there is no log).
pub fn open_read_only(folder: &Path) -> Result<(LogReader, ReadOnlyReport), Fault> {
    let writer_running = FolderLock::is_taken(folder);
    let (mut segments, mut corrupt) = open_segments(folder, false)?;
    let Some(last) = segments.pop() else {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Fault::io("find a log in", folder, &missing));
    };
    let tail = read_tail(&last).map_err(|error| last.fault("read", &error))?;
    corrupt.extend(tail.corrupt);
    last.set_marks(tail.marks);
    let partition = last.header.partition;
    segments.push(last);
    let segments = segments.into_iter().map(Arc::new).collect();
    let head_seq = tail.next_seq - 1;
    let reader = LogReader::new(Arc::new(Published::new(partition, segments, head_seq, 0)));
    let mut report = RecoveryReport { dropped: tail.dropped, corrupt, bad_snapshots: Vec::new() };
    let snapshot = load_newest(folder, &reader, &mut report)?;
    let head = (head_seq > 0).then_some(Position { partition, epoch: tail.head_epoch, seq: head_seq });
    Ok((reader, ReadOnlyReport { writer_running, clean: tail.closed, head, report, snapshot }))
}
