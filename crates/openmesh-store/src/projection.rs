//! An index over a log, kept in a folder of its own: which records bear which terms, and when they were decided.
//!
//! It is a projection: built from the log by a thread that follows it, thrown away and built anew whenever it does not
//! fit. What a record means is its caller's: it says which terms a record has.

mod database;
mod follower;
mod marker;
mod search;
#[cfg(test)]
mod tests;

pub use search::{Candidates, Found, Sought, TimeRange, Topics};

use crate::embedded::LogReader;
use crate::record::StoredRecord;
use follower::Follower;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Readers whose connections are kept open for the next question.
const IDLE_READERS_MAX: usize = 8;

/// What the index keeps of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What it can be found by.
    pub terms: Vec<u64>,
    /// The topic it went to, and its term.
    pub topic: Option<(String, u64)>,
    /// When it was decided, in milliseconds.
    pub at: i64,
}

/// A record that may fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The record.
    pub seq: u64,
    /// At which byte of its segment it was when it was indexed, if that was looked up.
    pub at_byte: Option<u64>,
}

/// What is added for one record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Indexed {
    seq: u64,
    at_byte: u64,
    entry: Entry,
}

impl Indexed {
    fn of(record: &StoredRecord, read: &Read) -> Option<Self> {
        Some(Self { seq: record.position.seq, at_byte: record.at, entry: read(record)? })
    }
}

/// Reads a record for the index; `None` for one that cannot be read.
pub type Read = dyn Fn(&StoredRecord) -> Option<Entry> + Send + Sync;

/// What went wrong with the index. The log is untouched and answers in its place; the index is built anew where that
/// helps.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionFault {
    /// The index is not whole, of another format, or of another log: it is thrown away.
    #[error("the index does not fit: {0}")]
    Unfit(String),
    /// It cannot be read or written at the moment; it is tried again.
    #[error("the index cannot be used: {0}")]
    Unusable(#[from] rusqlite::Error),
    /// Its folder cannot be used; it is tried again.
    #[error("the index's folder {} cannot be used: {cause}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
}

/// The index of a log, and the thread that keeps it.
#[derive(Debug)]
pub struct Projection {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread shares with those who ask.
#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    covered_seq: AtomicU64,
    /// Grows whenever the index is thrown away: connections to an earlier one are of no use.
    generation: AtomicU64,
    stopping: AtomicBool,
    unfit: AtomicBool,
    /// Records whose bodies were erased and that are to be indexed by what is left of them.
    forgetting: Mutex<BTreeSet<u64>>,
    idle: Mutex<Vec<(u64, Connection)>>,
}

impl Projection {
    /// Opens the index in `folder` and follows the log from where it ends. A format other than `version` is thrown
    /// away. Never fails: what cannot be indexed is left to the log, and tried again.
    pub fn start(folder: &Path, version: u32, log: LogReader, read: Arc<Read>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            covered_seq: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            unfit: AtomicBool::new(false),
            forgetting: Mutex::default(),
            idle: Mutex::new(Vec::new()),
        });
        let follower = Follower { shared: Arc::clone(&shared), version, log, read };
        let thread =
            std::thread::Builder::new().name("projection".to_owned()).spawn(move || follower.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Up to this record the index has all; 0 before it is open.
    pub fn covered_seq(&self) -> u64 {
        self.shared.covered_seq.load(Ordering::Acquire)
    }

    /// Has these records, whose bodies the log has no more, found by what is left of them alone; soon, not at once.
    pub fn forget(&self, seqs: &BTreeSet<u64>) {
        self.shared.forgetting().extend(seqs);
    }

    /// Whether everything that was to be forgotten is.
    pub fn has_forgotten(&self) -> bool {
        self.shared.forgetting().is_empty()
    }

    /// Looks for candidates. An index that turns out not to fit is built anew.
    pub fn search(&self, sought: &Sought) -> Result<Candidates, ProjectionFault> {
        let (generation, connection) = self.shared.reader()?;
        let searched = Candidates::begin(connection, sought);
        match searched {
            Ok(candidates) => Ok(candidates.keeping(Arc::clone(&self.shared), generation)),
            Err(fault) => {
                self.shared.note(&fault);
                Err(fault)
            }
        }
    }
}

impl Drop for Projection {
    /// Ends the thread; what it is writing is finished first.
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn forgetting(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.forgetting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to the index as it is.
    fn reader(&self) -> Result<(u64, Connection), ProjectionFault> {
        let generation = self.generation.load(Ordering::Acquire);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(of, _)| *of == generation);
        if let Some(reader) = idle.pop() {
            return Ok(reader);
        }
        drop(idle);
        Ok((generation, database::open_to_read(&self.folder)?))
    }

    fn give_back(&self, generation: u64, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if generation == self.generation.load(Ordering::Acquire) && idle.len() < IDLE_READERS_MAX {
            idle.push((generation, connection));
        }
    }

    /// An index that does not fit is thrown away by the thread that keeps it.
    fn note(&self, fault: &ProjectionFault) {
        if matches!(fault, ProjectionFault::Unfit(_)) {
            self.unfit.store(true, Ordering::Release);
        }
    }
}
