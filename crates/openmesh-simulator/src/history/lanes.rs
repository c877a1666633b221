//! The order of what one client sends to one destination on one connection.

use super::event::Place;
use std::collections::BTreeMap;

/// A sender, a destination and a connection, by their numbers.
pub(super) type LaneKey = (u32, u32, u64);

/// Where an attempt to send stands: its lane, and the place in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) lane: LaneKey,
    pub(super) place: u64,
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    UnderWay,
    /// It did not store the message, or nobody can say.
    Silent,
    /// It stored the message there.
    Stored(Place),
}

#[derive(Debug, Default)]
struct Lane {
    begun: u64,
    settled: u64,
    waiting: std::collections::VecDeque<Step>,
    last: Option<Place>,
}

/// Every lane.
#[derive(Debug, Default)]
pub(super) struct Lanes(BTreeMap<LaneKey, Lane>);

impl Lanes {
    /// Notes an attempt.
    pub(super) fn begin(&mut self, key: LaneKey) -> Attempt {
        let lane = self.0.entry(key).or_default();
        lane.begun += 1;
        lane.waiting.push_back(Step::UnderWay);
        Attempt { lane: key, place: lane.begun }
    }

    /// Notes what came of one: where it stored the message, if it did. The two places of an inversion, if it shows one.
    pub(super) fn end(&mut self, attempt: Attempt, stored: Option<Place>) -> Option<(Place, Place)> {
        let lane = self.0.get_mut(&attempt.lane)?;
        let index = attempt.place.checked_sub(lane.settled + 1)?;
        let step = lane.waiting.get_mut(usize::try_from(index).ok()?)?;
        *step = stored.map_or(Step::Silent, Step::Stored);
        lane.settle()
    }
}

impl Lane {
    /// Compares what is known from the front on.
    fn settle(&mut self) -> Option<(Place, Place)> {
        while let Some(step) = self.waiting.front().copied().filter(|step| *step != Step::UnderWay) {
            self.waiting.pop_front();
            self.settled += 1;
            let Step::Stored(place) = step else { continue };
            let before = self.last.replace(place);
            if let Some(before) = before.filter(|before| before.1 >= place.1) {
                return Some((before, place));
            }
        }
        None
    }
}
