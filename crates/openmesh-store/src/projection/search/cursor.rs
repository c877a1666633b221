//! Cursors: one condition of a search each.

use super::{TimeRange, Topics};
use crate::projection::database::{SPAN_RECORDS, told};
use crate::projection::{Candidate, ProjectionFault};
use rusqlite::{Connection, OptionalExtension};
use std::collections::{BTreeSet, VecDeque};

/// Records of a term read at once, at first; then four times as many each time that all of them were taken.
const AHEAD_MIN: usize = 2;
/// And at most.
const AHEAD_MAX: usize = 128;

/// One condition of a search.
pub(super) enum Cursor {
    /// Has a term.
    Term(TermCursor),
    /// Has one of some terms.
    Any(Union),
    /// Was decided within a range of times, as far as the row of times it stands in says.
    Times(Times),
}

/// The records of a term, read ahead: in a search that takes them one after the other, and in one that skips most.
pub(super) struct TermCursor {
    term: u64,
    ahead: VecDeque<Candidate>,
    ahead_max: usize,
    /// Whether nothing comes after what was read ahead.
    is_all: bool,
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
        connection: &Connection,
        at: u64,
        newest_first: bool,
    ) -> Result<Option<Candidate>, ProjectionFault> {
        match self {
            Self::Term(term) => term.seek(connection, at, newest_first),
            Self::Any(union) => union.seek(connection, at, newest_first),
            Self::Times(times) => times.seek(connection, at, newest_first),
        }
    }
}

impl TermCursor {
    const fn new(term: u64) -> Self {
        Self { term, ahead: VecDeque::new(), ahead_max: 0, is_all: false }
    }

    fn seek(
        &mut self,
        connection: &Connection,
        at: u64,
        newest_first: bool,
    ) -> Result<Option<Candidate>, ProjectionFault> {
        let is_before = |place: &Candidate| if newest_first { place.seq > at } else { place.seq < at };
        let skipped = self.ahead.partition_point(is_before);
        let had = self.ahead.len();
        self.ahead.drain(..skipped);
        if let Some(next) = self.ahead.front() {
            return Ok(Some(*next));
        }
        if self.is_all {
            return Ok(None);
        }
        // Whoever skips what was read ahead skips more of it.
        let was_taken = skipped <= had.min(1);
        self.ahead_max = if was_taken { (self.ahead_max * 4).clamp(AHEAD_MIN, AHEAD_MAX) } else { AHEAD_MIN };
        self.read_ahead(connection, at, newest_first)?;
        Ok(self.ahead.front().copied())
    }

    fn read_ahead(
        &mut self,
        connection: &Connection,
        at: u64,
        newest_first: bool,
    ) -> Result<(), ProjectionFault> {
        let select = if newest_first {
            "SELECT seq, at_byte FROM posting WHERE term = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT ?3"
        } else {
            "SELECT seq, at_byte FROM posting WHERE term = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3"
        };
        let mut select = connection.prepare_cached(select).map_err(told)?;
        let limit = i64::try_from(self.ahead_max).unwrap_or(i64::MAX);
        let bound = (self.term.cast_signed(), at.cast_signed(), limit);
        let mut rows = select.query(bound).map_err(told)?;
        while let Some(row) = rows.next().map_err(told)? {
            let number = |column| row.get::<_, i64>(column).map_err(told).map(i64::cast_unsigned);
            self.ahead.push_back(Candidate { seq: number(0)?, at_byte: Some(number(1)?) });
        }
        self.is_all = self.ahead.len() < self.ahead_max;
        Ok(())
    }
}

impl Union {
    fn seek(
        &mut self,
        connection: &Connection,
        at: u64,
        newest_first: bool,
    ) -> Result<Option<Candidate>, ProjectionFault> {
        if !self.began {
            self.began = true;
            for (index, term) in self.terms.iter_mut().enumerate() {
                let head = term.seek(connection, at, newest_first)?;
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
            let head = term.seek(connection, at, newest_first)?;
            self.heads.extend(head.map(|place| (place, index)));
        }
    }
}

impl Times {
    fn seek(
        &mut self,
        connection: &Connection,
        at: u64,
        newest_first: bool,
    ) -> Result<Option<Candidate>, ProjectionFault> {
        if !self.found.is_some_and(|(first, last)| (first..=last).contains(&at)) {
            self.found = self.next_row(connection, at, newest_first)?;
        }
        let seq = |(first, last)| if newest_first { at.min(last) } else { at.max(first) };
        Ok(self.found.map(|row| Candidate { seq: seq(row), at_byte: None }))
    }

    /// The next row of times within the range: its first record and its last.
    fn next_row(
        &self,
        connection: &Connection,
        at: u64,
        newest_first: bool,
    ) -> Result<Option<(u64, u64)>, ProjectionFault> {
        let select = if newest_first {
            "SELECT span FROM span WHERE span <= ?1 AND last_at >= ?2 AND first_at < ?3 ORDER BY span DESC LIMIT 1"
        } else {
            "SELECT span FROM span WHERE span >= ?1 AND last_at >= ?2 AND first_at < ?3 ORDER BY span LIMIT 1"
        };
        let mut select = connection.prepare_cached(select).map_err(told)?;
        let (since, until) = (self.range.since.unwrap_or(i64::MIN), self.range.until.unwrap_or(i64::MAX));
        let bound = ((at / SPAN_RECORDS).cast_signed(), since, until);
        let found = select.query_row(bound, |row| row.get::<_, i64>(0)).optional().map_err(told)?;
        let first = found.map(|span| span.cast_unsigned() * SPAN_RECORDS);
        Ok(first.map(|first| (first, first + SPAN_RECORDS - 1)))
    }
}

/// The terms of some topics; `None` if there are more than `topics_max`.
pub(super) fn terms_of(
    connection: &Connection,
    topics: &Topics,
    topics_max: usize,
) -> Result<Option<Vec<u64>>, ProjectionFault> {
    // Paths are ASCII: nothing that begins with the prefix sorts after it and this.
    let last = format!("{}\u{7f}", topics.prefix);
    let select = "SELECT path, term FROM topic WHERE path >= ?1 AND path < ?2 ORDER BY path";
    let mut select = connection.prepare_cached(select).map_err(told)?;
    let mut rows = select.query([&topics.prefix, &last]).map_err(told)?;
    let mut terms = Vec::new();
    while let Some(row) = rows.next().map_err(told)? {
        let path = row.get_ref(0).map_err(told)?.as_str().unwrap_or_default();
        if !(topics.takes)(path) {
            continue;
        }
        if terms.len() >= topics_max {
            return Ok(None);
        }
        terms.push(row.get::<_, i64>(1).map_err(told)?.cast_unsigned());
    }
    Ok(Some(terms))
}
