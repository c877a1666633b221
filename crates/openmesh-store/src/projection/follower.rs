//! The thread that keeps the index: reads what the log has synced, adds it in batches, starts over where it must.

use super::database::{self, Covered};
use super::{Indexed, ProjectionFault, Read, Shared};
use crate::embedded::{LogReader, PageLimit};
use crate::pace::is_flood;
use crate::planted::{self, Planted};
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Records added at once.
const BATCH: PageLimit = PageLimit { records: 8_192, bytes: 8 * 1024 * 1024 };
/// Between two batches of an index that keeps up: what comes meanwhile is added together, and seldom in the way of a
/// message that somebody waits for. What the index lacks the log answers.
const BATCH_INTERVAL: Duration = Duration::from_millis(100);
/// Between two looks at whether to stop.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How much the thread gives way to those that keep and deliver (`nice`).
const NICE: i32 = 19;
/// While the log grows, the thread works one part in so many of the time: what comes in needs the cores, and the log
/// answers what the index lacks.
const LOADED_PARTS: u32 = 8;
/// And one in so many while it grows faster than the index can follow.
const FLOODED_PARTS: u32 = 32;
/// After a fault that may pass.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// One part in how many of the time it works, the log having grown by so many records while it did.
fn parts(grown: u64, took: Duration) -> u32 {
    match grown {
        0 => 1,
        grown if is_flood(grown, took) => FLOODED_PARTS,
        _ => LOADED_PARTS,
    }
}

/// What the thread works with.
pub(super) struct Follower {
    pub(super) shared: Arc<Shared>,
    pub(super) version: u32,
    pub(super) log: LogReader,
    pub(super) read: Arc<Read>,
}

impl Follower {
    /// Follows the log until told to stop.
    pub(super) fn run(self) {
        // Where it cannot be lowered, it is as it was.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
        while !self.is_stopping() {
            match self.follow() {
                Ok(()) => return,
                Err(ProjectionFault::Unfit(why)) => {
                    tracing::warn!(%why, "the index of the log is thrown away and built anew");
                    self.throw_away();
                }
                Err(fault) => {
                    tracing::error!(%fault, "the log is not indexed; questions read the log itself");
                    self.rest(RETRY_WAIT);
                }
            }
        }
    }

    fn follow(&self) -> Result<(), ProjectionFault> {
        let (mut connection, mut covered) = database::open_to_write(&self.shared.folder, self.version)?;
        if covered == Covered::default() && planted::has(Planted::IndexFromHead) {
            covered.seq = self.log.head_seq();
            database::add(&mut connection, &[], covered)?;
        }
        self.check(&covered)?;
        self.shared.covered_seq.store(covered.seq, Ordering::Release);
        let mut is_at_rest = true;
        while !self.is_stopping() {
            if self.shared.unfit.load(Ordering::Acquire) {
                return Err(ProjectionFault::Unfit("a question found it damaged".to_owned()));
            }
            self.forget(&mut connection)?;
            if self.log.wait_past(covered.seq, LOOK_INTERVAL) <= covered.seq {
                if !std::mem::replace(&mut is_at_rest, true) {
                    database::let_go_of_pages(&connection)?;
                }
                continue;
            }
            is_at_rest = false;
            let (began, head) = (Instant::now(), self.log.head_seq());
            let is_full = self.add_batch(&mut connection, &mut covered)?;
            self.shared.covered_seq.store(covered.seq, Ordering::Release);
            let took = began.elapsed();
            let due = took * (parts(self.log.head_seq() - head, took) - 1);
            let gathering = if is_full { Duration::ZERO } else { BATCH_INTERVAL.saturating_sub(took) };
            self.rest(due.max(gathering));
        }
        database::close(&self.shared.folder, connection)
    }

    /// Whether the index is of this log: it ends within it, with the same chain value.
    fn check(&self, covered: &Covered) -> Result<(), ProjectionFault> {
        let unfit = |why: &str| Err(ProjectionFault::Unfit(why.to_owned()));
        if covered.seq > self.log.head_seq() || covered.chain_seq > covered.seq {
            return unfit("it goes further than the log");
        }
        if covered.chain_seq == 0 {
            return Ok(());
        }
        match self.log.get(covered.chain_seq) {
            Ok(Some(record)) if record.chain == database::chain_of(covered) => Ok(()),
            _ => unfit("it is of another log"),
        }
    }

    /// Forgets what was let go of the log, and what the bodies said that were erased.
    fn forget(&self, connection: &mut Connection) -> Result<(), ProjectionFault> {
        database::forget_before(connection, self.log.first_seq())?;
        let seqs = self.shared.forgetting().clone();
        if seqs.is_empty() {
            return Ok(());
        }
        let left = seqs.iter().filter_map(|seq| {
            let record = self.log.get(*seq).ok()??;
            Indexed::of(&record, &*self.read)
        });
        database::replace(connection, &seqs, &left.collect::<Vec<_>>())?;
        self.shared.forgetting().retain(|seq| !seqs.contains(seq));
        Ok(())
    }

    /// Adds what comes next; `true` if there was a whole batch of it.
    fn add_batch(&self, connection: &mut Connection, covered: &mut Covered) -> Result<bool, ProjectionFault> {
        let page = match self.log.scan(covered.seq + 1, BATCH) {
            Ok(page) => page,
            Err(fault) => {
                tracing::error!(%fault, "the log cannot be read to be indexed");
                self.rest(RETRY_WAIT);
                return Ok(false);
            }
        };
        let entries = page.records.iter().filter_map(|record| Indexed::of(record, &*self.read));
        let entries: Vec<_> = entries.collect();
        let mut reached = Covered { seq: page.next_seq - 1, ..*covered };
        if let Some(last) = page.records.last() {
            reached.chain_seq = last.position.seq;
            reached.chain = *last.chain.as_bytes();
        }
        database::add(connection, &entries, reached)?;
        *covered = reached;
        Ok(page.records.len() >= BATCH.records / 2)
    }

    fn throw_away(&self) {
        self.shared.covered_seq.store(0, Ordering::Release);
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        self.shared.unfit.store(false, Ordering::Release);
        match database::remove(&self.shared.folder) {
            // It will be built from what the log has.
            Ok(()) => self.shared.forgetting().clear(),
            Err(fault) => {
                tracing::error!(%fault, "the index cannot be removed");
                self.rest(RETRY_WAIT);
            }
        }
    }

    fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_stopping() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(LOOK_INTERVAL));
        }
    }

    fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
    }
}
