//! Cursors: one condition of a search each.

use super::{TimeRange, Topics};
use crate::projection::ProjectionFault;
use crate::projection::database::{SPAN_RECORDS, told};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;

/// One condition of a search.
pub(super) enum Cursor {
    /// Has a term.
    Term(u64),
    /// Has one of some terms.
    Any(Union),
    /// Was decided within a range of times, as far as the row of times it stands in says.
    Times(TimeRange),
}

/// The next record of each of some terms.
pub(super) struct Union {
    terms: Vec<u64>,
    /// The next record of a term, and which term; terms that have none left are not in it.
    heads: BTreeSet<(u64, usize)>,
    began: bool,
}

impl Cursor {
    pub(super) const fn of_term(term: u64) -> Self {
        Self::Term(term)
    }

    pub(super) const fn of_any(terms: Vec<u64>) -> Self {
        Self::Any(Union { terms, heads: BTreeSet::new(), began: false })
    }

    pub(super) const fn of_times(times: TimeRange) -> Self {
        Self::Times(times)
    }

    /// The first record at `at` or past it that meets the condition.
    pub(super) fn seek(
        &mut self,
        connection: &Connection,
        at: u64,
        newest_first: bool,
    ) -> Result<Option<u64>, ProjectionFault> {
        match self {
            Self::Term(term) => seek_term(connection, *term, at, newest_first),
            Self::Any(union) => union.seek(connection, at, newest_first),
            Self::Times(times) => seek_times(connection, *times, at, newest_first),
        }
    }
}

impl Union {
    fn seek(
        &mut self,
        connection: &Connection,
        at: u64,
        newest_first: bool,
    ) -> Result<Option<u64>, ProjectionFault> {
        if !self.began {
            self.began = true;
            for (index, term) in self.terms.iter().enumerate() {
                let head = seek_term(connection, *term, at, newest_first)?;
                self.heads.extend(head.map(|seq| (seq, index)));
            }
        }
        loop {
            let head = if newest_first { self.heads.last() } else { self.heads.first() };
            let Some((seq, index)) = head.copied() else { return Ok(None) };
            if if newest_first { seq <= at } else { seq >= at } {
                return Ok(Some(seq));
            }
            self.heads.remove(&(seq, index));
            let Some(term) = self.terms.get(index) else { continue };
            let head = seek_term(connection, *term, at, newest_first)?;
            self.heads.extend(head.map(|seq| (seq, index)));
        }
    }
}

fn seek_term(
    connection: &Connection,
    term: u64,
    at: u64,
    newest_first: bool,
) -> Result<Option<u64>, ProjectionFault> {
    let select = if newest_first {
        "SELECT seq FROM posting WHERE term = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1"
    } else {
        "SELECT seq FROM posting WHERE term = ?1 AND seq >= ?2 ORDER BY seq LIMIT 1"
    };
    let mut select = connection.prepare_cached(select).map_err(told)?;
    let found = select.query_row((term.cast_signed(), at.cast_signed()), |row| row.get::<_, i64>(0));
    Ok(found.optional().map_err(told)?.map(i64::cast_unsigned))
}

fn seek_times(
    connection: &Connection,
    times: TimeRange,
    at: u64,
    newest_first: bool,
) -> Result<Option<u64>, ProjectionFault> {
    let select = if newest_first {
        "SELECT span FROM span WHERE span <= ?1 AND last_at >= ?2 AND first_at < ?3 ORDER BY span DESC LIMIT 1"
    } else {
        "SELECT span FROM span WHERE span >= ?1 AND last_at >= ?2 AND first_at < ?3 ORDER BY span LIMIT 1"
    };
    let mut select = connection.prepare_cached(select).map_err(told)?;
    let (since, until) = (times.since.unwrap_or(i64::MIN), times.until.unwrap_or(i64::MAX));
    let found =
        select.query_row(((at / SPAN_RECORDS).cast_signed(), since, until), |row| row.get::<_, i64>(0));
    let span = found.optional().map_err(told)?.map(i64::cast_unsigned);
    Ok(span.map(|span| {
        let first = span * SPAN_RECORDS;
        if newest_first { at.min(first + SPAN_RECORDS - 1) } else { at.max(first) }
    }))
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
