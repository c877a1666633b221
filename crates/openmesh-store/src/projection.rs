//! An index over a log, kept in a folder of its own: which records bear which terms, and when they were decided.
//!
//! It is a projection: built from the log by a thread that follows it, thrown away and built anew whenever it does not
//! fit. What a record means is its caller's: it says which terms a record has. What is added together becomes a run, sorted
//! once and written once; runs that follow one another are merged now and then (docs/decisions/0046).

mod follower;
mod marker;
mod merge;
mod run;
mod runs;
mod search;
#[cfg(test)]
mod tests;
mod topics;

pub use search::{Candidates, Found, Sought, TimeRange, Topics};

use crate::embedded::LogReader;
use crate::record::StoredRecord;
use follower::Follower;
use runs::Runs;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;

/// What the index keeps of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What it can be found by.
    pub terms: Vec<u64>,
    /// The topic it went to; empty if to none.
    pub topic: String,
    /// The term of that.
    pub topic_term: u64,
    /// When it was decided, in milliseconds.
    pub at: i64,
}

impl Entry {
    /// Says nothing any more, and keeps its memory.
    pub fn clear(&mut self) {
        self.terms.clear();
        self.topic.clear();
        (self.topic_term, self.at) = (0, 0);
    }
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
#[derive(Clone, Copy, Debug)]
struct Indexed<'a> {
    seq: u64,
    at_byte: u64,
    entry: &'a Entry,
}

/// Reads a record for the index into an empty entry; `false` for one that cannot be read.
pub type Read = dyn FnMut(&StoredRecord, &mut Entry) -> bool + Send;

/// What went wrong with the index. The log is untouched and answers in its place; the index is built anew where that
/// helps.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionFault {
    /// The index is not whole, of another format, or of another log: it is thrown away.
    #[error("the index does not fit: {0}")]
    Unfit(String),
    /// It cannot be read or written at the moment; it is tried again.
    #[error("the index cannot be used: {0}")]
    Unusable(#[from] std::io::Error),
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
    runs: RwLock<Runs>,
    topics: topics::Topics,
    stopping: AtomicBool,
    unfit: AtomicBool,
    /// Records whose bodies were erased and that are to be indexed by what is left of them.
    forgetting: Mutex<BTreeSet<u64>>,
}

impl Projection {
    /// Opens the index in `folder` and follows the log from where it ends. A format other than `version` is thrown
    /// away. Never fails: what cannot be indexed is left to the log, and tried again.
    pub fn start(folder: &Path, version: u32, log: LogReader, read: Box<Read>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            covered_seq: AtomicU64::new(0),
            runs: RwLock::default(),
            topics: topics::Topics::default(),
            stopping: AtomicBool::new(false),
            unfit: AtomicBool::new(false),
            forgetting: Mutex::default(),
        });
        let follower = Follower::new(Arc::clone(&shared), version, log, read);
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

    /// Looks for candidates, in the index as it is at this moment.
    pub fn search(&self, sought: &Sought) -> Candidates {
        Candidates::begin(Arc::clone(&self.shared), sought)
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

    /// The index as it is.
    fn runs(&self) -> Runs {
        self.runs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn publish(&self, runs: &Runs) {
        *self.runs.write().unwrap_or_else(PoisonError::into_inner) = runs.clone();
        self.covered_seq.store(runs.extent().last_seq, Ordering::Release);
    }

    /// An index that does not fit is thrown away by the thread that keeps it.
    fn note(&self, fault: &ProjectionFault) {
        if matches!(fault, ProjectionFault::Unfit(_)) {
            self.unfit.store(true, Ordering::Release);
        }
    }
}
