//! How much each sign of overload says: a time, a size or a share becomes a pressure, from 0 (nothing) to [`CLASSES`]
//! (everything that may be shed). Pure: no clock, no counters.

use std::time::Duration;

/// Classes of messages that are shed one after the other.
pub const CLASSES: usize = 4;
/// Looks in a row that must agree before a wait counts: a machine that stood still for a moment is not overloaded.
const STANDING: usize = 5;
/// Where a pressure of 0, 1, 2, 3 and 4 is reached: the wait for the owner.
const OWNER_WAIT_MS: [f64; CLASSES + 1] = [100.0, 250.0, 500.0, 1_000.0, 2_000.0];
/// The same: the wait for the owner and the disk together. A slow disk makes receipts slow, and nothing else, for long.
const WHOLE_WAIT_MS: [f64; CLASSES + 1] = [1_000.0, 2_000.0, 3_000.0, 4_000.0, 6_000.0];
/// The same: what waits for the owner, as a share of the room for it.
const WAITING_SHARE: [f64; CLASSES + 1] = [0.4, 0.6, 0.75, 0.85, 1.0];
/// The same: memory, as a share of the ceiling.
const MEMORY_SHARE: [f64; CLASSES + 1] = [0.75, 0.8, 0.85, 0.9, 0.95];
/// How fast pressure falls, in classes a second. It rises at once.
const FALLS_PER_SECOND: f64 = 5.0;

/// What was seen since the last look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// How long what comes waits for the owner alone.
    pub(super) owner_wait: Duration,
    /// How long it waits for owner and disk.
    pub(super) whole_wait: Duration,
    /// What waits, as a share of the room for it.
    pub(super) waiting_share: f64,
    /// Memory, as a share of the ceiling.
    pub(super) memory_share: f64,
}

/// The pressure of each sign.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Signs {
    pub(super) owner: f64,
    pub(super) disk: f64,
    pub(super) waiting: f64,
    pub(super) memory: f64,
}

/// What the last looks said.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// Pressure of the waits at the last looks.
    waits: [(f64, f64); STANDING],
    next: usize,
    pressure: f64,
}

impl Judge {
    /// Takes in what was seen in a time, and says which pressure there is, and what each sign says.
    pub(super) fn judge(&mut self, seen: &Seen, elapsed: Duration) -> (f64, Signs) {
        let waits = (
            pressure_of(millis(seen.owner_wait), &OWNER_WAIT_MS),
            pressure_of(millis(seen.whole_wait), &WHOLE_WAIT_MS),
        );
        if let Some(place) = self.waits.get_mut(self.next) {
            *place = waits;
        }
        self.next = (self.next + 1) % STANDING;
        let standing = |one: fn(&(f64, f64)) -> f64| self.waits.iter().map(one).fold(f64::MAX, f64::min);
        let signs = Signs {
            owner: standing(|waits| waits.0),
            disk: standing(|waits| waits.1),
            waiting: pressure_of(seen.waiting_share, &WAITING_SHARE),
            memory: pressure_of(seen.memory_share, &MEMORY_SHARE),
        };
        let risen = signs.owner.max(signs.disk).max(signs.waiting).max(signs.memory);
        let fallen = FALLS_PER_SECOND.mul_add(-elapsed.as_secs_f64(), self.pressure);
        self.pressure = risen.max(fallen).max(0.0);
        (self.pressure, signs)
    }
}

fn millis(wait: Duration) -> f64 {
    wait.as_secs_f64() * 1_000.0
}

/// Between two steps it rises evenly.
fn pressure_of(value: f64, steps: &[f64; CLASSES + 1]) -> f64 {
    let rise = |(from, to): (&f64, &f64)| ((value - from) / (to - from)).clamp(0.0, 1.0);
    steps.iter().zip(steps.iter().skip(1)).map(rise).sum()
}

#[cfg(test)]
mod tests {
    use super::{Judge, Seen, WAITING_SHARE, pressure_of};
    use std::time::Duration;

    const LOOK: Duration = Duration::from_millis(20);

    fn waited(ms: u64) -> Seen {
        Seen { owner_wait: Duration::from_millis(ms), ..Seen::default() }
    }

    #[test]
    fn pressure_rises_evenly_from_step_to_step_and_no_further() {
        let of = |share| pressure_of(share, &WAITING_SHARE);
        assert_eq!((of(0.0), of(0.4), of(0.6), of(9.0)), (0.0, 0.0, 1.0, 4.0));
        assert!((of(0.5) - 0.5).abs() < 1e-9);
        let mut last = 0.0;
        for percent in 0..200 {
            let pressure = of(f64::from(percent) / 100.0);
            assert!(pressure >= last);
            last = pressure;
        }
    }

    #[test]
    fn a_moment_of_standing_still_is_no_overload_and_a_standing_queue_is() {
        let mut judge = Judge::default();
        assert_eq!(judge.judge(&waited(180_000), LOOK).0, 0.0, "the clock of a stopped process jumps");
        assert_eq!(judge.judge(&waited(1), LOOK).0, 0.0);
        let pressures: Vec<_> = (0..5).map(|_| judge.judge(&waited(1_000), LOOK).0).collect();
        assert_eq!(pressures[..4], [0.0; 4]);
        assert!((pressures[4] - 3.0).abs() < 1e-9);
    }

    #[test]
    fn it_rises_at_once_and_falls_slowly() {
        let mut judge = Judge::default();
        let full = Seen { memory_share: 0.9, ..Seen::default() };
        assert!((judge.judge(&full, LOOK).0 - 3.0).abs() < 1e-9);
        let (pressure, signs) = judge.judge(&Seen::default(), LOOK);
        assert!(pressure > 2.8 && signs.memory == 0.0);
        assert_eq!(judge.judge(&Seen::default(), Duration::from_secs(2)).0, 0.0);
    }
}
