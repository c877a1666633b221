//! Snapshots of the state up to one position, so that recovery reads only what came after. Written beside the log;
//! the last two are kept. A checkpoint is a snapshot that stays until the next checkpoint is durable: what it covers need
//! not be in the log any more.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openmesh_message::{Digest, PartitionId, Position};
use sha2::{Digest as _, Sha256};

use super::disk::Disk;
use super::frame::{array_at, u32_at, u64_at};
use super::reader::LogReader;
use super::recovery::file_names;
use super::segment::{newer_version, prologue, room_fault};
use crate::failpoint;
use crate::fault::Fault;
use crate::planted::{self, Late, Planted};
use crate::record::{Checkpoint, LoadedSnapshot, StoredRecord};
use crate::report::{BadSnapshot, RecoveryReport};

/// A snapshot that is being written.
pub(crate) const UNFINISHED_NAME: &str = "snapshot.tmp";
const SNAPSHOT: &str = "snapshot";
const CHECKPOINT: &str = "checkpoint";

const SNAPSHOT_VERSION: u32 = 1;
const KEPT: usize = 2;
/// Bytes that are written and synced at once.
const PIECE_BYTES: usize = 1024 * 1024;
const MAGIC: [u8; 8] = *b"OMSNAPSH";
const DIGEST_AT: usize = 72;
const STATE_AT: usize = 104;

/// Where snapshots are written; clones share one writer at a time.
#[derive(Clone, Debug)]
pub struct SnapshotFolder {
    folder: PathBuf,
    disk: Disk,
    reader: LogReader,
    writing: Arc<Mutex<()>>,
}

impl SnapshotFolder {
    pub(crate) fn new(folder: PathBuf, disk: Disk, reader: LogReader) -> Self {
        Self { folder, disk, reader, writing: Arc::new(Mutex::new(())) }
    }

    /// Writes the state as of `at`, which must be synced, and removes all but the last two. The log is not touched.
    /// Errors: `SnapshotAhead`, `OutOfOrder` (no such position), `Damaged` (its record is), `Full`, `Io`.
    pub fn write(&self, at: Position, state: &[u8]) -> Result<(), Fault> {
        let _one = self.lock();
        let early = planted::has(Planted::SnapshotAheadOfLog);
        let at = if early { self.before(at)? } else { at };
        self.put(SNAPSHOT, at, state)?;
        self.remove_old()
    }

    /// Writes the state as of `at` as a checkpoint, beside those there are. The log is not touched. Errors: as `write`.
    pub fn write_checkpoint(&self, at: Position, state: &[u8]) -> Result<Checkpoint, Fault> {
        let _one = self.lock();
        let chain = self.put(CHECKPOINT, at, state)?;
        failpoint::reached("checkpoint.written");
        Ok(Checkpoint { position: at, chain, state: Digest::of(state) })
    }

    /// Removes the checkpoints that end before `seq`. Errors: `Io`.
    pub fn remove_checkpoints_before(&self, seq: u64) -> Result<(), Fault> {
        let _one = self.lock();
        let seq = seq + u64::from(planted::has(Planted::KeepNoCheckpoint));
        for (of, name) in state_files(&self.folder, CHECKPOINT)? {
            if of < seq {
                self.remove(&name)?;
                failpoint::reached("checkpoint.old-removed");
            }
        }
        Ok(())
    }

    /// The newest checkpoint that is intact and agrees with the log. Errors: `Newer`, `Io`.
    pub fn newest_checkpoint(&self) -> Result<Option<LoadedSnapshot>, Fault> {
        let files = state_files(&self.folder, CHECKPOINT)?;
        load_first(&self.folder, files, &self.reader, &mut RecoveryReport::default())
    }

    /// Makes a file durable under its name; gives the chain value at its position.
    fn put(&self, kind: &str, at: Position, state: &[u8]) -> Result<Digest, Fault> {
        let head_seq = self.reader.head_seq();
        if at.seq > head_seq {
            return Err(Fault::SnapshotAhead { seq: at.seq, head_seq });
        }
        let record = self.reader.get(at.seq)?;
        let Some(record) = record.filter(|record| record.position == at) else {
            return Err(Fault::OutOfOrder { expected: Position { seq: head_seq, ..at }, found: at });
        };
        self.put_of(&record, kind, state)?;
        Ok(record.chain)
    }

    fn put_of(&self, record: &StoredRecord, kind: &str, state: &[u8]) -> Result<(), Fault> {
        static BEFORE: Late<Vec<u8>> = Late::by(1);
        let stale = planted::has(Planted::TrustStaleSnapshot).then(|| BEFORE.swap(state.to_vec())).flatten();
        let state = stale.as_deref().unwrap_or(state);
        let head = head(record.position, &record.chain, state);
        let unfinished = self.folder.join(UNFINISHED_NAME);
        let finished = self.folder.join(state_name(kind, record.position.seq));
        self.write_whole(&unfinished, &finished, (&head, state)).map_err(|error| {
            let _ = std::fs::remove_file(&unfinished);
            room_fault(&self.folder, &finished, (head.len() + state.len()) as u64, &error)
        })
    }

    /// The newest snapshot or checkpoint that is intact and agrees with the log. Errors: `Newer`, `Io`.
    pub fn newest(&self) -> Result<Option<LoadedSnapshot>, Fault> {
        load_newest(&self.folder, &self.reader, &mut RecoveryReport::default())
    }

    fn write_whole(
        &self,
        unfinished: &Path,
        finished: &Path,
        (head, state): (&[u8], &[u8]),
    ) -> std::io::Result<()> {
        failpoint::reached("snapshot.begun");
        let file = self.disk.create(unfinished)?;
        self.disk.write_at(&file, head, 0)?;
        // Synced piece by piece, so that the log's syncs find no long queue at the disk.
        for (piece, offset) in state.chunks(PIECE_BYTES).zip((STATE_AT as u64..).step_by(PIECE_BYTES)) {
            self.disk.write_at(&file, piece, offset)?;
            self.disk.sync_file(&file)?;
        }
        failpoint::reached("snapshot.written");
        self.disk.rename(unfinished, finished)?;
        failpoint::reached("snapshot.renamed");
        self.disk.sync_folder(&self.folder)?;
        failpoint::reached("snapshot.folder-synced");
        Ok(())
    }

    fn before(&self, at: Position) -> Result<Position, Fault> {
        Ok(self.reader.get(at.seq - 1)?.map_or(at, |record| record.position))
    }

    fn remove_old(&self) -> Result<(), Fault> {
        for (_, name) in snapshot_files(&self.folder)?.into_iter().skip(KEPT) {
            self.remove(&name)?;
            failpoint::reached("snapshot.old-removed");
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        let path = self.folder.join(name);
        self.disk.remove(&path).map_err(|error| Fault::io("remove", &path, &error))
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The newest snapshot or checkpoint that is intact and agrees with the log; those skipped for it are added to the report.
/// Errors: `Newer`, `Io`.
pub(crate) fn load_newest(
    folder: &Path,
    reader: &LogReader,
    report: &mut RecoveryReport,
) -> Result<Option<LoadedSnapshot>, Fault> {
    load_first(folder, snapshots_and_checkpoints(folder)?, reader, report)
}

fn load_first(
    folder: &Path,
    files: Vec<(u64, String)>,
    reader: &LogReader,
    report: &mut RecoveryReport,
) -> Result<Option<LoadedSnapshot>, Fault> {
    for (_, file) in files {
        let checked = load(folder, &file, reader.partition())?.and_then(|snapshot| agree(snapshot, reader));
        match checked {
            Ok(snapshot) => return Ok(Some(snapshot)),
            Err(reason) => report.bad_snapshots.push(BadSnapshot { file, reason: reason.to_owned() }),
        }
    }
    Ok(None)
}

/// The highest epoch that an intact snapshot names which covers more than a log that goes on with `next_seq`; `None` where
/// there is none: the log has all that snapshots ever covered. Errors: `Newer`, `Io`.
pub(crate) fn epoch_ahead(
    folder: &Path,
    partition: PartitionId,
    next_seq: u64,
) -> Result<Option<u32>, Fault> {
    let mut highest = None;
    for (_, file) in snapshot_files(folder)?.into_iter().take_while(|(seq, _)| *seq >= next_seq) {
        if let Ok(snapshot) = load(folder, &file, partition)? {
            highest = highest.max(Some(snapshot.position.epoch));
        }
    }
    Ok(highest)
}

/// Reads one snapshot; the inner error says what is wrong with it. Errors: `Newer`, `Io`.
pub(crate) fn load(
    folder: &Path,
    file: &str,
    partition: PartitionId,
) -> Result<Result<LoadedSnapshot, &'static str>, Fault> {
    let path = folder.join(file);
    let bytes = std::fs::read(&path).map_err(|error| Fault::io("read", &path, &error))?;
    if let Some(found) = newer_version(&bytes, MAGIC, SNAPSHOT_VERSION) {
        return Err(Fault::Newer { file: file.to_owned(), found, supported: SNAPSHOT_VERSION });
    }
    let Some(snapshot) = decode(bytes) else {
        return Ok(Err("its bytes do not match its digest"));
    };
    if snapshot.position.partition != partition {
        return Ok(Err("it belongs to another partition"));
    }
    if ![SNAPSHOT, CHECKPOINT].iter().any(|kind| state_name(kind, snapshot.position.seq) == file) {
        return Ok(Err("its name does not match its position"));
    }
    Ok(Ok(snapshot))
}

/// Whether these are the bytes of a whole snapshot of a partition as of `seq`.
pub(crate) fn is_whole(bytes: &[u8], partition: PartitionId, seq: u64) -> bool {
    read_head(bytes).is_some_and(|(at, _)| at.partition == partition && at.seq == seq)
}

/// The snapshots in the folder, newest first. Errors: `Io`.
pub(crate) fn snapshot_files(folder: &Path) -> Result<Vec<(u64, String)>, Fault> {
    state_files(folder, SNAPSHOT)
}

/// Both kinds, newest first. Errors: `Io`.
pub(crate) fn snapshots_and_checkpoints(folder: &Path) -> Result<Vec<(u64, String)>, Fault> {
    let mut files = state_files(folder, SNAPSHOT)?;
    files.extend(state_files(folder, CHECKPOINT)?);
    files.sort_unstable_by(|one, other| other.cmp(one));
    Ok(files)
}

fn state_files(folder: &Path, kind: &str) -> Result<Vec<(u64, String)>, Fault> {
    let names = file_names(folder)?.into_iter();
    let mut files: Vec<(u64, String)> =
        names.filter_map(|name| Some((state_seq(kind, &name)?, name))).collect();
    files.sort_unstable_by(|one, other| other.cmp(one));
    Ok(files)
}

/// Whether a file's name is that of a snapshot or a checkpoint.
pub(crate) fn is_state_file(name: &str) -> bool {
    [SNAPSHOT, CHECKPOINT].iter().any(|kind| state_seq(kind, name).is_some())
}

/// Whether a file's name is that of a checkpoint.
pub(crate) fn is_checkpoint(name: &str) -> bool {
    state_seq(CHECKPOINT, name).is_some()
}

/// The seq in a file's name, if it is of the kind.
fn state_seq(kind: &str, name: &str) -> Option<u64> {
    let seq = name.strip_prefix(kind)?.strip_prefix('-')?.strip_suffix(".state")?.parse().ok()?;
    (state_name(kind, seq) == name).then_some(seq)
}

fn agree(snapshot: LoadedSnapshot, reader: &LogReader) -> Result<LoadedSnapshot, &'static str> {
    let seq = snapshot.position.seq;
    if seq > reader.head_seq() {
        return Err("it is ahead of the log");
    }
    let first_seq = reader.first_seq();
    if seq.saturating_add(1) < first_seq {
        return Err("records after it are no longer in the log");
    }
    if seq < first_seq && reader.first_chain() != Some(*snapshot.chain.as_bytes()) {
        return Err("its chain value is not the one the log begins with");
    }
    match reader.get(seq) {
        Ok(Some(record)) if record.position != snapshot.position || record.chain != snapshot.chain => {
            Err("its chain value is not the log's")
        }
        _ => Ok(snapshot),
    }
}

fn state_name(kind: &str, seq: u64) -> String {
    format!("{kind}-{seq:020}.state")
}

/// What stands before the state, which is not copied: it may be most of what the node has in memory.
fn head(at: Position, chain: &Digest, state: &[u8]) -> Vec<u8> {
    let mut bytes = prologue(MAGIC, SNAPSHOT_VERSION);
    bytes.extend_from_slice(&at.partition.0.to_le_bytes());
    bytes.extend_from_slice(&at.epoch.to_le_bytes());
    bytes.extend_from_slice(&at.seq.to_le_bytes());
    bytes.extend_from_slice(chain.as_bytes());
    bytes.extend_from_slice(&(state.len() as u64).to_le_bytes());
    let digest: [u8; 32] = Sha256::new().chain_update(&bytes).chain_update(state).finalize().into();
    bytes.extend_from_slice(&digest);
    bytes
}

/// What a whole snapshot says of itself: its position, and the log's chain value there.
fn read_head(bytes: &[u8]) -> Option<(Position, Digest)> {
    let state = bytes.get(STATE_AT..)?;
    let digest: [u8; 32] =
        Sha256::new().chain_update(bytes.get(..DIGEST_AT)?).chain_update(state).finalize().into();
    let whole = digest == array_at(bytes, DIGEST_AT)? && u64_at(bytes, 64)? == state.len() as u64;
    if !whole || !bytes.starts_with(&prologue(MAGIC, SNAPSHOT_VERSION)) {
        return None;
    }
    let partition = PartitionId(u32_at(bytes, 16)?);
    let position = Position { partition, epoch: u32_at(bytes, 20)?, seq: u64_at(bytes, 24)? };
    Some((position, Digest::from_bytes(array_at(bytes, 32)?)))
}

fn decode(mut bytes: Vec<u8>) -> Option<LoadedSnapshot> {
    let (position, chain) = read_head(&bytes)?;
    bytes.drain(..STATE_AT);
    Some(LoadedSnapshot { position, chain, state: bytes })
}
