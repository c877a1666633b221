//! Searches: the records that have all terms, one of each set of terms, and a time within a range, in order.
//!
//! Each condition is a cursor that finds its first record at or past a given one. They are asked in turn until they
//! agree, so that the condition few records meet leads, whichever that is.

mod cursor;

use super::database::{read_covered, told};
use super::{Candidate, ProjectionFault, Shared};
use cursor::Cursor;
use rusqlite::Connection;
use std::sync::Arc;

/// Topics that one pattern may stand for; a pattern with more does not narrow the search down.
const TOPICS_MAX: usize = 1_000;
/// Steps of one search between two of its candidates; then it says how far it came.
const STEPS_MAX: usize = 500;

/// What to look for.
#[derive(Clone, Default)]
pub struct Sought {
    /// A candidate has all of these terms.
    pub all: Vec<u64>,
    /// And one of these, if there are any.
    pub any: Vec<u64>,
    /// And went to one of these topics.
    pub topics: Option<Topics>,
    /// And was decided at such a time.
    pub times: TimeRange,
    /// Whether candidates come with falling numbers.
    pub newest_first: bool,
}

/// Some topics.
#[derive(Clone)]
pub struct Topics {
    /// What all their paths begin with.
    pub prefix: String,
    /// Whether a path is one of theirs.
    pub takes: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

/// Milliseconds; `until` is not within.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// At this time or later.
    pub since: Option<i64>,
    /// Before this time.
    pub until: Option<i64>,
}

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A record that may fit.
    Candidate(Candidate),
    /// There is none up to the end of what is covered.
    End,
    /// None up to and including this record; the search goes on from here if asked again.
    NoneThrough(u64),
}

/// A search under way, over the index as it was when it began.
pub struct Candidates {
    connection: Option<Connection>,
    cursors: Vec<Cursor>,
    covered_seq: u64,
    newest_first: bool,
    lookups: u64,
    home: Option<(Arc<Shared>, u64)>,
}

impl Candidates {
    pub(super) fn begin(connection: Connection, sought: &Sought) -> Result<Self, ProjectionFault> {
        run(&connection, "BEGIN").map_err(told)?;
        let covered_seq = read_covered(&connection)?.seq;
        let mut cursors: Vec<_> = sought.all.iter().map(|term| Cursor::of_term(*term)).collect();
        if let Some(topics) = &sought.topics {
            let terms = cursor::terms_of(&connection, topics, TOPICS_MAX)?;
            cursors.extend(terms.map(Cursor::of_any));
        }
        if !sought.any.is_empty() {
            cursors.push(Cursor::of_any(sought.any.clone()));
        }
        if sought.times != TimeRange::default() {
            cursors.push(Cursor::of_times(sought.times));
        }
        Ok(Self {
            connection: Some(connection),
            cursors,
            covered_seq,
            newest_first: sought.newest_first,
            lookups: 1,
            home: None,
        })
    }

    /// The connection goes back when the search is over.
    pub(super) fn keeping(mut self, shared: Arc<Shared>, generation: u64) -> Self {
        self.home = Some((shared, generation));
        self
    }

    /// Up to this record the index has all.
    pub fn covered_seq(&self) -> u64 {
        self.covered_seq
    }

    /// Look-ups so far.
    pub const fn lookups(&self) -> u64 {
        self.lookups
    }

    /// The first candidate at `from` or past it, in the direction of the search.
    pub fn next(&mut self, from: u64) -> Result<Found, ProjectionFault> {
        let found = self.agree(from);
        if let (Err(fault), Some((shared, _))) = (&found, &self.home) {
            shared.note(fault);
        }
        found
    }

    fn agree(&mut self, from: u64) -> Result<Found, ProjectionFault> {
        let Some(connection) = &self.connection else { return Ok(Found::End) };
        let newest_first = self.newest_first;
        let mut at = if newest_first { from.min(self.covered_seq) } else { from.max(1) };
        let (mut agreed, mut at_byte) = (0, None);
        for turn in 0..STEPS_MAX {
            if at == 0 || at > self.covered_seq {
                return Ok(Found::End);
            }
            if agreed >= self.cursors.len() {
                return Ok(Found::Candidate(Candidate { seq: at, at_byte }));
            }
            let count = self.cursors.len();
            let Some(cursor) = self.cursors.get_mut(turn % count) else { return Ok(Found::End) };
            self.lookups += 1;
            match cursor.seek(connection, at, newest_first)? {
                None => return Ok(Found::End),
                Some(found) => {
                    agreed = if found.seq == at { agreed + 1 } else { 1 };
                    at_byte = found.at_byte.or(at_byte.filter(|_| found.seq == at));
                    at = found.seq;
                }
            }
        }
        let through = if newest_first { at.saturating_add(1) } else { at.saturating_sub(1) };
        Ok(Found::NoneThrough(through))
    }
}

impl Drop for Candidates {
    fn drop(&mut self) {
        if let (Some(connection), Some((shared, generation))) = (self.connection.take(), self.home.take())
            && run(&connection, "COMMIT").is_ok()
        {
            shared.give_back(generation, connection);
        }
    }
}

/// Runs a statement that is kept prepared.
fn run(connection: &Connection, statement: &str) -> rusqlite::Result<usize> {
    connection.prepare_cached(statement)?.execute([])
}
