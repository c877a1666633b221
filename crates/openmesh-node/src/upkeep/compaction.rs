//! Compaction: a sealed segment that is at least half bodies of mail that has ended is written anew without them. Dead letters
//! keep theirs: somebody will want to know what it was that nobody could do.

use super::Worker;
use crate::stored::record_of;
use anyhow::Result;
use openmesh_core::Partition;
use openmesh_core::record::{Outcome, Record, decode_header};
use openmesh_message::AgentId;
use openmesh_store::{PageLimit, SegmentSummary, StoredRecord, Unwanted};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long after one look a segment is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(300);
/// A segment is written anew when this part of it would go.
const PART: u64 = 2;

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    looked: BTreeMap<u64, Instant>,
    dead: DeadLetters,
}

/// Mail that was leased too often, read from the log once.
#[derive(Debug, Default)]
struct DeadLetters {
    through_seq: u64,
    entries: BTreeSet<(AgentId, u64)>,
}

impl Worker {
    /// Writes segments anew that are mostly bodies nobody waits for.
    pub(super) fn compact(&mut self) -> Result<()> {
        let due = self.due();
        if !self.work.keeping.compact_mail || due.is_empty() {
            return Ok(());
        }
        let partition = self.state()?;
        self.note_dead_letters()?;
        for segment in due {
            if self.is_stopping() {
                return Ok(());
            }
            self.compaction.looked.insert(segment.number, Instant::now());
            if self.is_mostly_ended(&segment, &partition)? {
                self.cover(segment.last_seq)?;
                let ended = |stored: &StoredRecord| self.is_ended(stored, &partition);
                let rewritten = self.work.files.rewrite(segment.number, &Unwanted::Ended(&ended))?;
                if let Some(done) = rewritten {
                    let (bodies, before, after) = (done.bodies, done.bytes_before, done.bytes_after);
                    tracing::info!(segment = segment.number, bodies, before, after, "mail was compacted");
                }
            }
        }
        Ok(())
    }

    /// Sealed segments that were not looked at lately.
    fn due(&mut self) -> Vec<SegmentSummary> {
        let segments = self.work.files.segments();
        let first = segments.first().map_or(0, |segment| segment.number);
        self.compaction.looked.retain(|number, _| *number >= first);
        let looked = &self.compaction.looked;
        let is_due = |number: &u64| looked.get(number).is_none_or(|at| at.elapsed() >= LOOK_AGAIN);
        segments.into_iter().filter(|segment| segment.is_sealed && is_due(&segment.number)).collect()
    }

    fn is_mostly_ended(&self, segment: &SegmentSummary, partition: &Partition) -> Result<bool> {
        let mut bytes = 0;
        self.each(segment.first_seq, segment.last_seq, |stored| {
            if self.is_ended(stored, partition) {
                bytes += stored.body.len() as u64;
            }
            Ok(())
        })?;
        Ok(bytes.saturating_mul(PART) >= segment.bytes)
    }

    fn is_ended(&self, stored: &StoredRecord, partition: &Partition) -> bool {
        let is_dead = |record: &Record| {
            let dead = &self.compaction.dead.entries;
            record.puts().iter().any(|put| dead.contains(&(put.agent, put.number)))
        };
        let record = if stored.is_erased { None } else { record_of(stored).ok() };
        record.is_some_and(|record| partition.is_ended_mail(&record) && !is_dead(&record))
    }

    fn note_dead_letters(&mut self) -> Result<()> {
        let (from_seq, head_seq) = (self.compaction.dead.through_seq + 1, self.work.source.log.head_seq());
        let mut found = BTreeSet::new();
        self.each(from_seq, head_seq, |stored| {
            if let Outcome::Settled { agent, settlement } = decode_header(&stored.header)?.outcome {
                found.extend(settlement.dead_lettered.iter().map(|number| (agent, *number)));
            }
            Ok(())
        })?;
        self.compaction.dead.entries.append(&mut found);
        self.compaction.dead.through_seq = head_seq;
        Ok(())
    }

    fn each(
        &self,
        from_seq: u64,
        last_seq: u64,
        mut each: impl FnMut(&StoredRecord) -> Result<()>,
    ) -> Result<()> {
        let mut next_seq = from_seq;
        while next_seq <= last_seq && !self.is_stopping() {
            let page = self.work.source.log.scan(next_seq, PageLimit::default())?;
            page.records.iter().filter(|stored| stored.position.seq <= last_seq).try_for_each(&mut each)?;
            next_seq = page.next_seq;
        }
        Ok(())
    }
}
