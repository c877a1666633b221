//! The thread that keeps the index: reads what the log has synced, adds it in batches, starts over where it must.

use super::run::Extent;
use super::runs::{self, Batch, RunFolder};
use super::{Entry, Indexed, ProjectionFault, Read, Runs, Shared};
use crate::embedded::{LogReader, PageLimit, Sequence};
use crate::pace::is_flood;
use crate::planted::{self, Planted};
use crate::record::StoredRecord;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Records added at once, at most.
const BATCH_RECORDS: u64 = 16_384;
/// Records read at once.
const PAGE: PageLimit = PageLimit { records: 1_024, bytes: 2 * 1024 * 1024 };
/// Between two batches of an index that keeps up: what comes meanwhile is added together, and seldom in the way of a
/// message that somebody waits for. What the index lacks the log answers.
const BATCH_INTERVAL: Duration = Duration::from_millis(100);
/// Between two looks at whether to stop.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Between two looks at whether the log still grows.
const GROWTH_INTERVAL: Duration = Duration::from_millis(50);
/// How much the thread gives way to those that keep and deliver (`nice`).
const NICE: i32 = 19;
/// While the log grows, the thread works one part in so many of the time: what comes in needs the cores, and the log
/// answers what the index lacks.
const LOADED_PARTS: u32 = 8;
/// And one in so many while it grows fast, and needs all there is.
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
    shared: Arc<Shared>,
    version: u32,
    log: LogReader,
    read: Box<Read>,
    entry: Entry,
    /// Where it reads.
    sequence: Option<Sequence>,
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>, version: u32, log: LogReader, read: Box<Read>) -> Self {
        Self { shared, version, log, read, entry: Entry::default(), sequence: None }
    }

    /// Follows the log until told to stop.
    pub(super) fn run(mut self) {
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

    fn follow(&mut self) -> Result<(), ProjectionFault> {
        let mut index = self.open()?;
        let mut is_at_rest = false;
        while !self.is_stopping() {
            if self.shared.unfit.load(Ordering::Acquire) {
                return Err(ProjectionFault::Unfit("a question found it damaged".to_owned()));
            }
            self.forget(&mut index)?;
            let covered_seq = index.runs.extent().last_seq;
            if self.log.wait_past(covered_seq, LOOK_INTERVAL) <= covered_seq {
                if !std::mem::replace(&mut is_at_rest, true) {
                    index.settle(true, &self.shared.stopping)?;
                    self.shared.publish(&index.runs);
                }
                continue;
            }
            is_at_rest = false;
            let (began, head) = (Instant::now(), self.log.head_seq());
            let is_full = self.add_batch(&mut index)?;
            index.settle(false, &self.shared.stopping)?;
            self.shared.publish(&index.runs);
            let took = began.elapsed();
            self.give_way(took * (parts(self.log.head_seq() - head, took) - 1));
            if !is_full {
                self.rest(BATCH_INTERVAL.saturating_sub(began.elapsed()));
            }
        }
        index.close()
    }

    /// Opens what there is, if it is of this log.
    fn open(&self) -> Result<RunFolder, ProjectionFault> {
        let (mut index, topics) = RunFolder::open(&self.shared.folder, self.version)?;
        if index.runs.list.is_empty() && planted::has(Planted::IndexFromHead) {
            let extent = Extent { first_seq: 1, last_seq: self.log.head_seq(), ..Extent::default() };
            index.add(Batch { extent, ..Batch::default() })?;
        }
        self.check(&index.runs)?;
        self.shared.topics.extend(topics);
        self.shared.publish(&index.runs);
        Ok(index)
    }

    /// Whether the index is of this log: it begins no later, and ends within it, with the same chain value.
    fn check(&self, runs: &Runs) -> Result<(), ProjectionFault> {
        let unfit = |why: &str| Err(ProjectionFault::Unfit(why.to_owned()));
        let covered = runs.extent();
        if covered.last_seq > self.log.head_seq() || covered.chain_seq > covered.last_seq {
            return unfit("it goes further than the log");
        }
        if runs.list.first().is_some_and(|first| first.extent.first_seq > self.log.first_seq()) {
            return unfit("its beginning is missing");
        }
        if covered.chain_seq == 0 {
            return Ok(());
        }
        match self.log.get(covered.chain_seq) {
            Ok(Some(record)) if *record.chain.as_bytes() == covered.chain => Ok(()),
            _ => unfit("it is of another log"),
        }
    }

    /// Forgets what was let go of the log, and what the bodies said that were erased.
    fn forget(&mut self, index: &mut RunFolder) -> Result<(), ProjectionFault> {
        if index.forget_before(self.log.first_seq())? {
            self.shared.publish(&index.runs);
        }
        let seqs = self.shared.forgetting().clone();
        if seqs.is_empty() {
            return Ok(());
        }
        let mut left = Vec::new();
        for seq in &seqs {
            if let Ok(Some(record)) = self.log.get(*seq)
                && let Some(indexed) = self.read(&record)
            {
                left.extend(indexed.entry.terms.iter().map(|term| (*term, *seq, indexed.at_byte)));
            }
        }
        index.replace(&seqs, &left)?;
        self.shared.publish(&index.runs);
        self.shared.forgetting().retain(|seq| !seqs.contains(seq));
        Ok(())
    }

    fn read(&mut self, record: &StoredRecord) -> Option<Indexed<'_>> {
        self.entry.clear();
        let is_read = (self.read)(record, &mut self.entry);
        let indexed = Indexed { seq: record.position.seq, at_byte: record.at, entry: &self.entry };
        is_read.then_some(indexed)
    }

    /// Adds what comes next; `true` if there was much of it.
    fn add_batch(&mut self, index: &mut RunFolder) -> Result<bool, ProjectionFault> {
        let mut batch = Batch::after(&index.runs.extent());
        let head_seq = self.log.head_seq();
        while batch.extent.last_seq < head_seq
            && batch.extent.records() < BATCH_RECORDS
            && !self.is_stopping()
        {
            let next_seq = batch.extent.last_seq + 1;
            let goes_on = self.sequence.take().filter(|sequence| sequence.next_seq() == next_seq);
            let mut sequence = goes_on.unwrap_or_else(|| self.log.sequence(next_seq));
            let page = match sequence.page(PAGE) {
                Ok(page) => page,
                Err(fault) => {
                    tracing::error!(%fault, "the log cannot be read to be indexed");
                    self.rest(RETRY_WAIT);
                    break;
                }
            };
            self.sequence = Some(sequence);
            for record in &page.records {
                self.add(&mut batch, record);
            }
            batch.extent.last_seq = page.next_seq - 1;
            if let Some(last) = page.records.last() {
                batch.extent.chain_seq = last.position.seq;
                batch.extent.chain = *last.chain.as_bytes();
            }
        }
        if batch.extent.last_seq < batch.extent.first_seq {
            return Ok(false);
        }
        let is_full = batch.extent.records() >= BATCH_RECORDS / 2;
        let topics = batch.topics.clone();
        index.add(batch)?;
        self.shared.topics.extend(topics);
        Ok(is_full)
    }

    fn add(&mut self, batch: &mut Batch, record: &StoredRecord) {
        let Some(indexed) = self.read(record) else { return };
        batch.add(indexed);
        let Entry { topic, topic_term, .. } = &self.entry;
        let is_known = topic.is_empty()
            || self.shared.topics.read().contains_key(topic)
            || batch.topics.contains_key(topic);
        if !is_known {
            batch.topics.insert(topic.clone(), *topic_term);
        }
    }

    fn throw_away(&self) {
        self.shared.publish(&Runs::default());
        self.shared.topics.clear();
        self.shared.unfit.store(false, Ordering::Release);
        match runs::remove(&self.shared.folder) {
            // It will be built from what the log has.
            Ok(()) => self.shared.forgetting().clear(),
            Err(fault) => {
                tracing::error!(%fault, "the index cannot be removed");
                self.rest(RETRY_WAIT);
            }
        }
    }

    /// Rests for so long, or until the log grows no more.
    fn give_way(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut head_seq = 0;
        while !self.is_stopping() && std::mem::replace(&mut head_seq, self.log.head_seq()) != head_seq {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(GROWTH_INTERVAL));
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
