//! G4 of the log itself: positions follow each other and are never used twice, logical logs have no gap.

use super::event::Place;
use super::names::Names;
use crate::violation::Violation;
use std::collections::BTreeMap;

const POSITIONS: &str = "G4 positions follow each other and are never used twice";
const LOGICAL: &str = "G4 a logical log has no gap";

/// What has been read of the log.
#[derive(Debug, Default)]
pub(super) struct Logs {
    last: Option<Place>,
    lost: u64,
    names: Names,
    /// The last number read of each logical log, and whether records were lost since.
    numbers: BTreeMap<u32, (u64, u64)>,
}

impl Logs {
    /// The last number read of a logical log.
    pub(super) fn last_number(&mut self, log: &str) -> u64 {
        let name = self.names.number(log);
        self.numbers.get(&name).map_or(0, |(number, _)| *number)
    }

    /// Takes the next record.
    pub(super) fn record(&mut self, position: Place, logs: &[(String, u64)], found: &mut Vec<Violation>) {
        let expected = self.last.map_or(1, |last| last.1 + 1);
        let epoch = self.last.map_or(0, |last| last.0);
        if position.1 != expected || position.0 < epoch {
            let after = self.last.map_or_else(|| "the beginning".to_owned(), |last| last.to_string());
            found.push(Violation::new(POSITIONS, format!("{position} after {after}")));
        }
        self.last = Some(self.last.map_or(position, |last| last.max(position)));
        for (log, number) in logs {
            let name = self.names.number(log);
            let lost = self.lost;
            let (last, lost_before) = self.numbers.entry(name).or_insert((0, 0));
            let follows = if lost > *lost_before { *number > *last } else { *number == *last + 1 };
            if !follows {
                found.push(Violation::new(LOGICAL, format!("{log}: {number} after {last}, at {position}")));
            }
            (*last, *lost_before) = (*number, lost);
        }
    }

    /// Notes records that the log reported as lost.
    pub(super) fn lose(&mut self, first: u64, last: u64, found: &mut Vec<Violation>) {
        let (epoch, before) = self.last.map_or((0, 0), |last| (last.0, last.1));
        if first != before + 1 || last < first {
            found.push(Violation::new(POSITIONS, format!("{first} to {last} are lost, after {before}")));
        }
        self.last = Some(Place(epoch, last));
        self.lost += 1;
    }
}
