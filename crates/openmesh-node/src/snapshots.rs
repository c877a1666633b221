//! Snapshots of a running node. A second partition reads what the log has since the last one, on a thread of its own and
//! of low priority, and writes what it came to: the owner never stops for a snapshot.

use crate::metering::note_snapshot;
use crate::recovery::recollect;
use anyhow::{Result, ensure};
use openmesh_core::{Config as PartitionConfig, Partition};
use openmesh_message::Position;
use openmesh_policy::Policy;
use openmesh_store::{LogReader, SnapshotFolder, is_flood};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

/// How much the thread gives way to the others of the node (`nice`).
const NICE: i32 = 19;
/// While the log grows, the thread works one part in so many of the time.
const LOADED_PARTS: u32 = 4;
/// And one in so many while it grows faster than a snapshot can follow.
const FLOODED_PARTS: u32 = 12;
/// Records read before it looks whether the log has grown.
const RECORDS_AT_ONCE: u32 = 2_048;

/// Makes snapshots now and then.
pub(crate) struct Snapshots {
    source: Source,
    records_between: u64,
    last_seq: u64,
    under_way: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

/// What a snapshot is made from.
#[derive(Clone)]
pub(crate) struct Source {
    /// What is synced.
    pub(crate) log: LogReader,
    /// Where snapshots are.
    pub(crate) folder: SnapshotFolder,
    /// The limits of the partition.
    pub(crate) config: PartitionConfig,
    /// Decides nothing here; a partition has one.
    pub(crate) policy: Policy,
}

impl Snapshots {
    /// None is under way; the last was made of everything up to `last_seq`.
    pub(crate) fn new(source: Source, records_between: u64, last_seq: u64) -> Self {
        Self { source, records_between, last_seq, under_way: None, stop: Arc::default() }
    }

    /// Everything up to a record is synced: begins a snapshot if enough came since the last and none is under way.
    pub(crate) fn note_head(&mut self, head_seq: u64) {
        let is_due = head_seq >= self.last_seq.saturating_add(self.records_between);
        if !is_due || self.under_way.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        self.last_seq = head_seq;
        let (source, stop) = (self.source.clone(), Arc::clone(&self.stop));
        self.begin(move || source.make_one(|source| source.write(&stop)));
    }

    /// Has a state written that is there already, all of which is synced: a start does not wait for the disk.
    pub(crate) fn keep(&mut self, head: Position, state: Vec<u8>) {
        self.last_seq = head.seq;
        let source = self.source.clone();
        self.begin(move || source.make_one(|source| Ok(source.folder.write(head, &state)?)));
    }

    fn begin(&mut self, make: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().name("snapshot".to_owned());
        match thread.spawn(make) {
            Ok(thread) => self.under_way = Some(thread),
            Err(error) => tracing::warn!(%error, "no thread for a snapshot; it is tried again later"),
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.under_way.take() {
            let _ = thread.join();
        }
    }
}

/// Leaves most of the cores to what comes in, while something does.
struct Pace<'a> {
    log: &'a LogReader,
    records: u32,
    worked_since: Instant,
    head_seq: u64,
}

impl<'a> Pace<'a> {
    fn new(log: &'a LogReader) -> Self {
        Self { log, records: 0, worked_since: Instant::now(), head_seq: log.head_seq() }
    }

    /// Called for each record; now and then it rests.
    fn keep(&mut self) {
        self.records += 1;
        if self.records < RECORDS_AT_ONCE {
            return;
        }
        let head_seq = self.log.head_seq();
        let (grown, worked) = (head_seq - self.head_seq, self.worked_since.elapsed());
        if grown > 0 {
            let parts = if is_flood(grown, worked) { FLOODED_PARTS } else { LOADED_PARTS };
            std::thread::sleep(worked * (parts - 1));
        }
        *self = Self { log: self.log, records: 0, worked_since: Instant::now(), head_seq };
    }
}

impl Source {
    fn make_one(&self, write: impl FnOnce(&Self) -> Result<()>) {
        // Where it cannot be lowered, it is as it was.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
        let begun = Instant::now();
        let made = write(self);
        note_snapshot(made.is_ok(), begun.elapsed());
        if let Err(error) = made {
            tracing::warn!("a snapshot could not be written; recovery will read more of the log: {error:#}");
        }
    }

    fn write(&self, stop: &AtomicBool) -> Result<()> {
        let Some(partition) = self.catch_up(stop)? else { return Ok(()) };
        let Some(head) = partition.state().head() else { return Ok(()) };
        let state = partition.snapshot()?;
        // As large as what the node itself remembers, and of no use while the disk is waited for.
        drop(partition);
        Ok(self.folder.write(head, &state)?)
    }

    /// The state after everything that is synced; `None` if told to stop.
    pub(crate) fn catch_up(&self, stop: &AtomicBool) -> Result<Option<Partition>> {
        let (config, policy) = (self.config.clone(), self.policy.clone());
        let (mut partition, through_seq) = match self.folder.newest()? {
            Some(last) => (Partition::restore(config, policy, &last.state)?, last.position.seq),
            None => (Partition::new(config, policy), 0),
        };
        let (mut next_seq, mut pace) = (through_seq + 1, Pace::new(&self.log));
        for stored in self.log.records(next_seq) {
            pace.keep();
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let stored = stored?;
            // Whoever began with an earlier snapshot must not step over what went meanwhile: the next attempt begins later.
            next_seq += 1;
            ensure!(stored.position.seq + 1 == next_seq, "records were let go while they were read");
            ensure!(!stored.is_erased, "record {} was erased while it was to be read", stored.position);
            partition.recollect(&recollect(stored)?);
        }
        Ok(Some(partition))
    }
}
