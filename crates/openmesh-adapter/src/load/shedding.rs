//! What is shed, and in which order: what is not kept before what is, and strangers' before that of registered agents.

use super::Load;
use crate::metrics::SHED;
use metrics::{Counter, counter};
use openmesh_core::{Rejection, Standing};
use openmesh_message::Problem;
use std::sync::LazyLock;

/// When another try makes sense, where little is shed.
const RETRY_AFTER_MS_MIN: u64 = 100;
/// And for each class that is shed more.
const RETRY_AFTER_MS_A_CLASS: f64 = 400.0;
/// Tries are spread over so much more, so that they do not all come at once.
const RETRY_SPREAD: u64 = 8;

static COUNTS: LazyLock<[Counter; 4]> =
    LazyLock::new(|| Class::ALL.map(|class| counter!(SHED, "class" => class.name())));

/// What is shed together, in the order of shedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Not kept, of an agent that is not registered.
    PassingOfStranger,
    /// Not kept, of a registered agent.
    PassingOfRegistered,
    /// To be kept, of an agent that is not registered.
    KeptOfStranger,
    /// To be kept, of a registered agent.
    KeptOfRegistered,
}

/// What one connection sheds of its messages: of each class the part that is to be shed, evenly.
#[derive(Debug, Default)]
pub struct Shedding {
    /// By class, how many messages are still to be shed.
    owed: [f64; 4],
    shed: u64,
}

impl Class {
    /// Every class, in the order of shedding.
    pub const ALL: [Self; 4] =
        [Self::PassingOfStranger, Self::PassingOfRegistered, Self::KeptOfStranger, Self::KeptOfRegistered];

    /// The class of a message; an administrator's is none: it is never shed.
    pub const fn of(standing: Standing, is_kept: bool) -> Option<Self> {
        match (standing, is_kept) {
            (Standing::Stranger, false) => Some(Self::PassingOfStranger),
            (Standing::Registered, false) => Some(Self::PassingOfRegistered),
            (Standing::Stranger, true) => Some(Self::KeptOfStranger),
            (Standing::Registered, true) => Some(Self::KeptOfRegistered),
            (Standing::Admin, _) => None,
        }
    }

    /// What metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PassingOfStranger => "passing_stranger",
            Self::PassingOfRegistered => "passing_registered",
            Self::KeptOfStranger => "kept_stranger",
            Self::KeptOfRegistered => "kept_registered",
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::PassingOfStranger => {
                "the node is overloaded: it passes nothing on for agents that are not registered"
            }
            Self::PassingOfRegistered => "the node is overloaded: it passes little on that is not kept",
            Self::KeptOfStranger => {
                "the node is overloaded: it keeps nothing for agents that are not registered"
            }
            Self::KeptOfRegistered => "the node is overloaded: it takes in only part of what is to be kept",
        }
    }
}

/// Shows every count, also of what was never shed.
pub(super) fn show_counts() {
    COUNTS.iter().for_each(|count| count.increment(0));
}

impl Shedding {
    /// Whether the next messages of a class are shed, together; then with what is said of each.
    pub fn sheds(&mut self, class: Class, messages: usize, load: &Load) -> Option<Problem> {
        let share = load.share_of(class);
        let owed = self.owed.get_mut(class as usize)?;
        *owed = if share > 0.0 { share.mul_add(messages as f64, *owed) } else { 0.0 };
        if *owed < messages as f64 || share <= 0.0 {
            return None;
        }
        *owed -= messages as f64;
        self.shed += 1;
        if let Some(count) = COUNTS.get(class as usize) {
            count.increment(messages as u64);
        }
        Some(self.problem(class, load.pressure()))
    }

    fn problem(&self, class: Class, pressure: f64) -> Problem {
        let after = RETRY_AFTER_MS_MIN + (pressure * RETRY_AFTER_MS_A_CLASS) as u64;
        let spread = after * (self.shed % RETRY_SPREAD) / (2 * RETRY_SPREAD);
        let mut problem = Rejection::Busy.to_problem();
        class.detail().clone_into(&mut problem.detail);
        problem.retry_after_ms = Some(after + spread);
        problem
    }
}
