//! Opening a log for writing: lock, recovery, the epoch, and the head that makes all of it durable.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use openmesh_message::{Digest, Position};

use super::disk::{Disk, Ways};
use super::end::End;
use super::frame::BatchKind;
use super::lock::{FolderLock, LOCK_NAME, Place};
use super::published::Published;
use super::recovery::{Tail, open_segments, read_tail, segment_numbers};
use super::rewrite::REWRITTEN_NAME;
use super::room::RoomMaker;
use super::segment::{DATA_START, FORMAT_VERSION, SPARE_NAME, Segment, SegmentHeader, Spare, segment_name};
use super::snapshot::{SnapshotFolder, UNFINISHED_NAME, epoch_ahead, load_newest};
use super::{EmbeddedLog, FIRST_SEQ, LogConfig, LogReader, MARKER_ROOM_BYTES};
use crate::failpoint;
use crate::fault::{Cause, Fault};
use crate::planted::{self, Planted};
use crate::record::{LoadedSnapshot, SeqRange};
use crate::report::{CorruptRange, RecoveryReport};

/// Unclean starts of the other copies of a log, after it was copied, that a copy taken over allows for.
const FAR_EPOCHS: u32 = 1 << 16;

/// What an open found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The epoch of everything appended from here on; grown by one unless the last close was clean.
    pub epoch: u32,
    /// The last run did not end with a clean close.
    pub unclean: bool,
    /// The seq of the next record.
    pub next_seq: u64,
    /// The last record, if there is one.
    pub head: Option<Position>,
    /// Its chain value; zero when there is none.
    pub head_chain: Digest,
    /// The newest intact snapshot.
    pub snapshot: Option<LoadedSnapshot>,
    /// What had to be dropped, crossed or skipped.
    pub report: RecoveryReport,
}

impl EmbeddedLog {
    pub(crate) fn open_on(disk: Disk, folder: &Path, config: &LogConfig) -> Result<(Self, Opened), Fault> {
        make_folder(folder)?;
        let lock = FolderLock::take(folder)?;
        failpoint::reached("open.locked");
        let place = lock.place(folder)?;
        if place == Place::Elsewhere && !config.adopt {
            return Err(Fault::Copied { folder: folder.to_owned() });
        }
        remove_unfinished(folder)?;
        let (mut segments, mut corrupt) = open_segments(folder, true)?;
        let fresh = segments.is_empty();
        if fresh {
            segments.push(first_segment(&disk, folder, config)?);
        }
        if let Some(other) = segments.iter().find(|segment| segment.header.partition != config.partition) {
            return Err(Fault::WrongPartition { expected: config.partition, found: other.header.partition });
        }
        let Some(active) = segments.pop() else {
            return Err(Fault::Damaged { file: folder.display().to_string(), seq: None });
        };
        let mut tail = read_tail(&active).map_err(|error| active.fault("read", &error))?;
        if let Some(epoch) = epoch_ahead(folder, config.partition, tail.next_seq)? {
            // What that snapshot covers was there, under positions that are not to be used again.
            (tail.epoch, tail.closed) = (tail.epoch.max(epoch), false);
        }
        active.set_marks(std::mem::take(&mut tail.marks));
        corrupt.append(&mut tail.corrupt);
        let active = Arc::new(active);
        let mut shared: Vec<Arc<Segment>> = segments.into_iter().map(Arc::new).collect();
        shared.push(Arc::clone(&active));
        if place == Place::Damaged {
            let segment = LOCK_NAME.to_owned();
            corrupt.push(CorruptRange { segment, from_byte: 0, to_byte: 0, lost: None });
        }
        let held = Held { segments: shared, active, lock };
        let mut log = Self::resume(disk, folder, config, held, &tail)?;
        log.epoch = tail.epoch.saturating_add(match config.adopt {
            true => far_step()?,
            false => u32::from(!tail.closed && !fresh && !planted::has(Planted::ReusePosition)),
        });
        let mut report = RecoveryReport { dropped: tail.dropped.clone(), corrupt, bad_snapshots: Vec::new() };
        let snapshot = log.find_beginning(&mut report)?;
        log.settle(&tail)?;
        let opened = log.begin(&tail, Found { fresh, report, snapshot })?;
        Ok((log, opened))
    }

    /// The newest state to go on from; a log without its first segment needs one.
    fn find_beginning(&self, report: &mut RecoveryReport) -> Result<Option<LoadedSnapshot>, Fault> {
        let snapshot = load_newest(&self.folder, &self.reader(), report)?;
        if segment_numbers(&self.folder)?.first().is_some_and(|first| *first > 1) {
            let first_seq = self.published.first_seq();
            if snapshot.is_none() {
                return Err(Fault::NoState { folder: self.folder.clone(), first_seq });
            }
            if self.snapshots.newest_checkpoint()?.is_none() {
                report.corrupt.push(missing_beginning(first_seq));
            }
        }
        Ok(snapshot)
    }

    fn resume(disk: Disk, folder: &Path, config: &LogConfig, held: Held, tail: &Tail) -> Result<Self, Fault> {
        let torn = tail.dropped.as_ref().filter(|_| planted::has(Planted::KeepTornTail));
        let at = torn.map_or(tail.end, |torn| torn.to_byte);
        let end = End::of(&disk, folder, &held.active, at, at)
            .map_err(|error| held.active.fault("read", &error))?;
        let synced_seq = tail.next_seq - 1;
        let published = Published::new(config.partition, held.segments, synced_seq, config.cache_bytes);
        let published = Arc::new(published);
        let reader = LogReader::new(Arc::clone(&published));
        Ok(Self {
            folder: folder.to_owned(),
            config: config.clone(),
            snapshots: SnapshotFolder::new(folder.to_owned(), disk.clone(), reader),
            room: RoomMaker::new(folder, &disk),
            disk,
            published,
            active: held.active,
            end,
            synced_to: tail.end,
            epoch: tail.epoch,
            next_seq: tail.next_seq,
            chain: tail.chain,
            unsynced: false,
            uncovered: false,
            stopped: None,
            lock: held.lock,
        })
    }

    /// Makes the run's epoch durable.
    fn begin(&mut self, tail: &Tail, found: Found) -> Result<Opened, Fault> {
        // Two copies: the epoch must outlive damage to either of them.
        failpoint::reached("open.before-epoch");
        self.write_marker(BatchKind::Opened, 2)?;
        failpoint::reached("open.after-epoch");
        // Not before: a folder that is taken over is not to be taken for another's without its epoch.
        self.lock.bind(&self.folder)?;
        let Found { fresh, report, snapshot } = found;
        let head_seq = self.next_seq - 1;
        let partition = self.config.partition;
        let head =
            (head_seq >= FIRST_SEQ).then_some(Position { partition, epoch: tail.head_epoch, seq: head_seq });
        Ok(Opened {
            epoch: self.epoch,
            unclean: (!tail.closed || self.config.adopt) && !fresh,
            next_seq: self.next_seq,
            head,
            head_chain: self.head_chain(),
            snapshot,
            report,
        })
    }

    /// Makes the kept part durable and the dropped part zero, before anything is written after it: what is left of a
    /// torn tail must never follow a later record.
    fn settle(&mut self, tail: &Tail) -> Result<(), Fault> {
        let segment = Arc::clone(&self.active);
        let settled = || -> io::Result<()> {
            let file_bytes = segment.header.file_bytes;
            if segment.file.metadata()?.len() < file_bytes {
                self.disk.allocate(&segment.file, file_bytes)?;
            }
            if let Some(dropped) = tail.dropped.as_ref().filter(|_| !planted::has(Planted::KeepTornTail)) {
                let ways = Ways { ordinary: &segment.file, direct: None };
                self.disk.write_zeros(ways, tail.end, dropped.to_byte.min(file_bytes))?;
            }
            self.disk.sync_file(&segment.file)
        };
        settled().map_err(|error| {
            self.stop(Fault::WriteFailed { segment: segment.name.clone(), cause: Cause::from(&error) })
        })
    }
}

/// Segments that are gone though no checkpoint let them go.
fn missing_beginning(first_seq: u64) -> CorruptRange {
    let lost = SeqRange { first: FIRST_SEQ, last: first_seq.saturating_sub(1) };
    CorruptRange { segment: segment_name(1), from_byte: 0, to_byte: 0, lost: Some(lost) }
}

/// What of the folder the log holds open.
struct Held {
    segments: Vec<Arc<Segment>>,
    active: Arc<Segment>,
    lock: FolderLock,
}

/// What the folder's files say.
struct Found {
    /// There was no segment before.
    fresh: bool,
    report: RecoveryReport,
    snapshot: Option<LoadedSnapshot>,
}

/// How far above the last epoch one begins that no other copy of the log can come to: none of them is opened so often, and
/// two that are taken over do not come to the same.
fn far_step() -> Result<u32, Fault> {
    if planted::has(Planted::NearEpoch) {
        return Ok(1);
    }
    let mut drawn = [0; 2];
    fill_random(&mut drawn)?;
    Ok(FAR_EPOCHS + u32::from(u16::from_le_bytes(drawn)))
}

fn fill_random(bytes: &mut [u8]) -> Result<(), Fault> {
    getrandom::fill(bytes).map_err(|error| {
        Fault::io("draw an identity for", Path::new("a segment"), &io::Error::other(error.to_string()))
    })
}

/// Nobody can guess it: a body cannot pass for a frame.
pub(crate) fn fresh_identity() -> Result<[u8; 16], Fault> {
    let mut identity = [0; 16];
    fill_random(&mut identity)?;
    Ok(identity)
}

/// A header for a log without records, with an identity of its own.
pub(crate) fn fresh_header(config: &LogConfig) -> Result<SegmentHeader, Fault> {
    let identity = fresh_identity()?;
    Ok(SegmentHeader {
        version: FORMAT_VERSION,
        number: 1,
        partition: config.partition,
        epoch: 1,
        first_seq: FIRST_SEQ,
        chain: [0; 32],
        file_bytes: config.segment_bytes,
        identity,
    })
}

fn first_segment(disk: &Disk, folder: &Path, config: &LogConfig) -> Result<Segment, Fault> {
    let bytes = config.segment_bytes.max(DATA_START + 2 * MARKER_ROOM_BYTES).next_multiple_of(8);
    let spare = Spare::make(disk, folder, bytes)?;
    Segment::create(disk, folder, spare, fresh_header(config)?)
        .map_err(|error| Fault::io("make a segment in", folder, &error))
}

/// Makes the folder and its name durable.
fn make_folder(folder: &Path) -> Result<(), Fault> {
    let fault = |error: io::Error| Fault::io("make", folder, &error);
    if folder.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(folder).map_err(fault)?;
    match folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent).and_then(|parent| parent.sync_all()).map_err(fault),
        None => Ok(()),
    }
}

/// A crash may leave what nobody had begun to rely on.
fn remove_unfinished(folder: &Path) -> Result<(), Fault> {
    for name in [SPARE_NAME, UNFINISHED_NAME, REWRITTEN_NAME] {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Fault::io("remove", &path, &error));
            }
            _ => {}
        }
    }
    Ok(())
}
