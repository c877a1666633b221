//! Cursors: one condition of a search each.

use super::{TimeRange, Topics};
use crate::projection::run::{Extent, Posting, Run, SPAN_RECORDS, Span};
use crate::projection::{Candidate, ProjectionFault};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// One condition of a search.
pub(super) enum Cursor {
    /// Has a term.
    Term(TermCursor),
    /// Has one of some terms.
    Any(Union),
    /// Was decided within a range of times, as far as the row of times it stands in says.
    Times(Times),
}

/// The records of a term, some of which were read.
pub(super) struct TermCursor {
    term: u64,
    read: Vec<Posting>,
}

/// The next record of each of some terms.
pub(super) struct Union {
    terms: Vec<TermCursor>,
    /// The next record of a term, and which term; terms that have none left are not in it.
    heads: BTreeSet<(Candidate, usize)>,
    began: bool,
}

/// A range of times, and the row of times that was found last.
pub(super) struct Times {
    range: TimeRange,
    /// Its first record and its last.
    found: Option<(u64, u64)>,
}

impl Cursor {
    pub(super) const fn of_term(term: u64) -> Self {
        Self::Term(TermCursor::new(term))
    }

    pub(super) fn of_any(terms: Vec<u64>) -> Self {
        let terms = terms.into_iter().map(TermCursor::new).collect();
        Self::Any(Union { terms, heads: BTreeSet::new(), began: false })
    }

    pub(super) const fn of_times(range: TimeRange) -> Self {
        Self::Times(Times { range, found: None })
    }

    /// The first record at `at` or past it that meets the condition. It is asked for later and later records only.
    pub(super) fn seek(
        &mut self,
        runs: &[Arc<Run>],
        at: u64,
        newest_first: bool,
    ) -> Result<Option<Candidate>, ProjectionFault> {
        match self {
            Self::Term(term) => term.seek(runs, at, newest_first),
            Self::Any(union) => union.seek(runs, at, newest_first),
            Self::Times(times) => Ok(times.seek(runs, at, newest_first)),
        }
    }
}

impl TermCursor {
    const fn new(term: u64) -> Self {
        Self { term, read: Vec::new() }
    }

    fn seek(
        &mut self,
        runs: &[Arc<Run>],
        at: u64,
        newest_first: bool,
    ) -> Result<Option<Candidate>, ProjectionFault> {
        let found = self.among_read(at, newest_first);
        if found.is_some() {
            return Ok(found);
        }
        // The first run that may have such a record, and those past it.
        let first = runs.partition_point(|run| run.extent.last_seq < at);
        let mut places = (0..(first + 1).min(runs.len())).rev();
        let mut places_up = first..runs.len();
        while let Some(place) = if newest_first { places.next() } else { places_up.next() } {
            let Some(run) = runs.get(place) else { break };
            run.seek(self.term, (at, newest_first), &mut self.read)?;
            let found = self.among_read(at, newest_first);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The first at `at` or past it among those that were read: they are all there are between where reading began and the
    /// last of them.
    fn among_read(&self, at: u64, newest_first: bool) -> Option<Candidate> {
        if newest_first {
            let after = self.read.partition_point(|posting| posting.first <= at);
            let found = self.read.get(after.checked_sub(1)?)?;
            Some(candidate(found, at.min(found.last)))
        } else {
            let found = self.read.get(self.read.partition_point(|posting| posting.last < at))?;
            Some(candidate(found, at.max(found.first)))
        }
    }
}

/// One of a posting's records.
fn candidate(posting: &Posting, seq: u64) -> Candidate {
    Candidate { seq, at_byte: posting.at_byte.filter(|_| seq == posting.first) }
}

impl Union {
    fn seek(
        &mut self,
        runs: &[Arc<Run>],
        at: u64,
        newest_first: bool,
    ) -> Result<Option<Candidate>, ProjectionFault> {
        if !self.began {
            self.began = true;
            for (index, term) in self.terms.iter_mut().enumerate() {
                let head = term.seek(runs, at, newest_first)?;
                self.heads.extend(head.map(|place| (place, index)));
            }
        }
        loop {
            let head = if newest_first { self.heads.last() } else { self.heads.first() };
            let Some((place, index)) = head.copied() else { return Ok(None) };
            if if newest_first { place.seq <= at } else { place.seq >= at } {
                return Ok(Some(place));
            }
            self.heads.remove(&(place, index));
            let Some(term) = self.terms.get_mut(index) else { continue };
            let head = term.seek(runs, at, newest_first)?;
            self.heads.extend(head.map(|place| (place, index)));
        }
    }
}

impl Times {
    fn seek(&mut self, runs: &[Arc<Run>], at: u64, newest_first: bool) -> Option<Candidate> {
        if !self.found.is_some_and(|(first, last)| (first..=last).contains(&at)) {
            self.found = self.next_row(runs, at, newest_first);
        }
        let seq = |(first, last)| if newest_first { at.min(last) } else { at.max(first) };
        self.found.map(|row| Candidate { seq: seq(row), at_byte: None })
    }

    /// The next row of times within the range: its first record and its last.
    fn next_row(&self, runs: &[Arc<Run>], at: u64, newest_first: bool) -> Option<(u64, u64)> {
        let (since, until) = (self.range.since.unwrap_or(i64::MIN), self.range.until.unwrap_or(i64::MAX));
        let number = at / SPAN_RECORDS;
        let is_within = |span: &&Span| span.last_at >= since && span.first_at < until;
        let place = runs.partition_point(|run| run.extent.last_seq < at);
        if newest_first {
            let runs = runs.get(..(place + 1).min(runs.len()))?.iter().rev();
            let mut rows = runs.flat_map(|run| rows_of(run).rev());
            rows.find(|(span, row)| span.number <= number && row.0 <= at && is_within(span))
        } else {
            let mut rows = runs.get(place..)?.iter().flat_map(|run| rows_of(run));
            rows.find(|(span, row)| span.number >= number && row.1 >= at && is_within(span))
        }
        .map(|(_, row)| row)
    }
}

/// The rows of times of a run, and the records that each is of.
fn rows_of(run: &Run) -> impl DoubleEndedIterator<Item = (&Span, (u64, u64))> {
    let Extent { first_seq, last_seq, .. } = run.extent;
    run.spans.iter().map(move |span| {
        let first = span.number * SPAN_RECORDS;
        (span, (first.max(first_seq), (first + SPAN_RECORDS - 1).min(last_seq)))
    })
}

/// The terms of some topics; `None` if there are more than `topics_max`.
pub(super) fn terms_of(
    known: &BTreeMap<String, u64>,
    topics: &Topics,
    topics_max: usize,
) -> Option<Vec<u64>> {
    let from = known.range::<str, _>((Bound::Included(topics.prefix.as_str()), Bound::Unbounded));
    let own = from.take_while(|(path, _)| path.starts_with(&topics.prefix));
    let terms = own.filter(|(path, _)| (topics.takes)(path)).map(|(_, term)| *term);
    let terms: Vec<u64> = terms.take(topics_max + 1).collect();
    (terms.len() <= topics_max).then_some(terms)
}
