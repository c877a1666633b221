//! Searches: the records that have all terms, one of each set of terms, and a time within a range, in order.
//!
//! Each condition is a cursor that finds its first record at or past a given one. They are asked in turn until they
//! agree, so that the condition few records meet leads, whichever that is.

mod cursor;

use super::{Candidate, ProjectionFault, Runs, Shared};
use cursor::Cursor;
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
    runs: Runs,
    cursors: Vec<Cursor>,
    covered_seq: u64,
    newest_first: bool,
    lookups: u64,
    shared: Arc<Shared>,
}

impl Candidates {
    pub(super) fn begin(shared: Arc<Shared>, sought: &Sought) -> Self {
        let runs = shared.runs();
        let mut cursors: Vec<_> = sought.all.iter().map(|term| Cursor::of_term(*term)).collect();
        if let Some(topics) = &sought.topics {
            let terms = cursor::terms_of(&shared.topics.read(), topics, TOPICS_MAX);
            cursors.extend(terms.map(Cursor::of_any));
        }
        if !sought.any.is_empty() {
            cursors.push(Cursor::of_any(sought.any.clone()));
        }
        if sought.times != TimeRange::default() {
            cursors.push(Cursor::of_times(sought.times));
        }
        Self {
            covered_seq: runs.extent().last_seq,
            runs,
            cursors,
            newest_first: sought.newest_first,
            lookups: 1,
            shared,
        }
    }

    /// Up to this record the index has all.
    pub fn covered_seq(&self) -> u64 {
        self.covered_seq
    }

    /// Look-ups so far.
    pub const fn lookups(&self) -> u64 {
        self.lookups
    }

    /// The first candidate at `from` or past it, in the direction of the search. An index that turns out not to fit is
    /// built anew.
    pub fn next(&mut self, from: u64) -> Result<Found, ProjectionFault> {
        self.agree(from).inspect_err(|fault| self.shared.note(fault))
    }

    fn agree(&mut self, from: u64) -> Result<Found, ProjectionFault> {
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
            match cursor.seek(&self.runs.list, at, newest_first)? {
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
