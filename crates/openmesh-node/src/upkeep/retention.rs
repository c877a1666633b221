//! Retention of the log as a whole: the oldest segments go while they are beyond a limit, and nothing in them is wanted.

use super::Worker;
use crate::stored::record_of;
use anyhow::Result;
use openmesh_core::record::decode_header;
use openmesh_core::{Partition, Wanted};
use openmesh_message::Timestamp;
use openmesh_store::planted::{self, Planted};
use openmesh_store::{PageLimit, SegmentSummary};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the log is left alone after its oldest segment turned out to be wanted.
const WANTED_WAIT: Duration = Duration::from_secs(10);

/// How much of the log is kept at least; what is beyond any of the limits may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Records decided within this time.
    pub(crate) age: Option<Duration>,
    /// Bytes of its files.
    pub(crate) bytes: Option<u64>,
    /// The latest so many records.
    pub(crate) records: Option<u64>,
}

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Retaining {
    wanted_until: Option<Instant>,
    /// When the last record of each sealed segment was decided.
    ends: BTreeMap<u64, Timestamp>,
}

impl Worker {
    /// Lets go of what is beyond the limits.
    pub(super) fn retain(&mut self) -> Result<()> {
        if self.retaining.wanted_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        let beyond = self.beyond()?;
        if beyond.is_empty() {
            return Ok(());
        }
        let partition = self.state()?;
        let mut going: Option<SegmentSummary> = None;
        for segment in beyond {
            if let Some((seq, why)) = self.wanted_in(&segment, &partition)? {
                tracing::info!(segment = segment.number, seq, %why, "a segment beyond the limits is kept");
                self.retaining.wanted_until = Some(Instant::now() + WANTED_WAIT);
                break;
            }
            going = Some(segment);
        }
        let Some(last) = going else { return Ok(()) };
        let is_told = self.shared.told().checkpoint().is_some_and(|through| through.seq >= last.last_seq);
        if !is_told || self.work.files.covered_seq()? < last.last_seq {
            self.checkpoint(&partition)?;
        }
        let gone = self.work.files.let_go(last.number)?;
        self.retaining.ends.retain(|number, _| *number > last.number);
        let bytes: u64 = gone.iter().map(|segment| segment.bytes).sum();
        tracing::info!(segments = gone.len(), bytes, through_seq = last.last_seq, "records were let go");
        Ok(())
    }

    /// The oldest sealed segments that are beyond a limit.
    fn beyond(&mut self) -> Result<Vec<SegmentSummary>> {
        let limits = self.work.keeping.limits;
        if limits == Limits::default() {
            return Ok(Vec::new());
        }
        let segments = self.work.files.segments();
        let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
        let head_seq = self.work.source.log.head_seq();
        let mut beyond = Vec::new();
        for segment in segments.into_iter().filter(|segment| segment.is_sealed) {
            let too_large = limits.bytes.is_some_and(|limit| bytes > limit);
            let too_many = limits.records.is_some_and(|limit| {
                head_seq - segment.last_seq >= if planted::has(Planted::LetGoTooMuch) { 1 } else { limit }
            });
            let too_old = match limits.age {
                Some(age) => self.is_older(&segment, age)?,
                None => false,
            };
            if !(too_large || too_many || too_old) {
                break;
            }
            bytes -= segment.bytes;
            beyond.push(segment);
        }
        Ok(beyond)
    }

    fn is_older(&mut self, segment: &SegmentSummary, age: Duration) -> Result<bool> {
        let end = match self.retaining.ends.get(&segment.number) {
            Some(end) => *end,
            None => {
                let one = PageLimit { records: 1, bytes: usize::MAX };
                // Where the last record is lost, the one after it is hardly younger.
                let page = self.work.source.log.scan(segment.last_seq, one)?;
                let Some(stored) = page.records.first() else { return Ok(false) };
                let end = decode_header(&stored.header)?.at;
                self.retaining.ends.insert(segment.number, end);
                end
            }
        };
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        Ok(end.plus_ms(age_ms) < Self::now())
    }

    /// A record of the segment that something still needs, and what that is.
    fn wanted_in(&self, segment: &SegmentSummary, partition: &Partition) -> Result<Option<(u64, Wanted)>> {
        let (log, now) = (&self.work.source.log, Self::now());
        let mut next_seq = segment.first_seq;
        while next_seq <= segment.last_seq && !self.is_stopping() {
            let page = log.scan(next_seq, PageLimit::default())?;
            for stored in page.records.iter().filter(|stored| stored.position.seq <= segment.last_seq) {
                if let Some(why) = partition.wanted(&record_of(stored)?, now) {
                    return Ok(Some((stored.position.seq, why)));
                }
            }
            next_seq = page.next_seq;
        }
        Ok(None)
    }
}
