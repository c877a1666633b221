//! How far a campaign is, and how long it will take.

use std::fmt;
use std::time::Instant;

/// How far a campaign is.
pub(crate) struct Progress {
    begun: Instant,
    done: usize,
    whole: usize,
}

impl Progress {
    /// At the beginning of so many rounds.
    pub(crate) fn of(whole: usize) -> Self {
        Self { begun: Instant::now(), done: 0, whole }
    }

    /// One round more is done.
    pub(crate) const fn add(&mut self) {
        self.done += 1;
    }

    /// The same; says how far it is after each `rounds`.
    pub(crate) fn add_and_show_each(&mut self, rounds: usize) {
        self.add();
        if self.done.is_multiple_of(rounds) {
            println!("{self}");
        }
    }

    /// How long it has taken.
    pub(crate) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, whole, .. } = self;
        let left = self.seconds() / (*done).max(1) as f64 * (whole - done) as f64;
        write!(f, "[{done}/{whole}, {:.0} s, about {left:.0} s left]", self.seconds())
    }
}
