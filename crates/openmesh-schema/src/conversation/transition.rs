//! What one step does to a conversation: an ordered list of effects, small enough for a record's header.

use super::{ConversationState, InstanceId, Obligation};
use crate::definition::{Label, Outcome};
use openmesh_message::{AgentId, Digest, Timestamp};

/// One step: decided once, applied live and in recovery.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Transition {
    /// The `now` it was decided at.
    pub at: Timestamp,
    /// What it does, in order.
    pub effects: Vec<Effect>,
}

/// One thing that a step does.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The conversation begins.
    Opened {
        /// The one agent the opening act was addressed to.
        addressee: Option<AgentId>,
    },
    /// An agent takes a role.
    Bound {
        /// The agent.
        agent: AgentId,
        /// The role.
        role: Label,
    },
    /// An act was accepted in an instance, which is made if it was not there.
    Acted {
        /// The instance.
        instance: InstanceId,
        /// The move, by `state/index`, if it counts towards a `max`.
        counted: Option<Label>,
        /// Who acted.
        sender: AgentId,
        /// The message's digest, if it is an offer.
        offer: Option<Digest>,
        /// The payload's digest, if it counts towards `signatures: all`.
        signed: Option<Digest>,
        /// The schema variable under which the definition reads this payload.
        remember: Option<Label>,
    },
    /// A machine moved.
    Moved {
        /// The instance.
        instance: InstanceId,
        /// The state it left.
        from: Label,
        /// The state it entered.
        to: Label,
        /// Why.
        cause: Cause,
    },
    /// A timer runs.
    TimerSet {
        /// The instance.
        instance: InstanceId,
        /// When it is due.
        at: Timestamp,
    },
    /// A timer runs no more.
    TimerCleared {
        /// The instance.
        instance: InstanceId,
    },
    /// A duty arose.
    DutyBegun {
        /// The duty.
        duty: Obligation,
    },
    /// A duty ended.
    DutyEnded {
        /// Its place in the list at this point.
        index: u32,
    },
    /// The conversation is over.
    Ended {
        /// How.
        outcome: Outcome,
    },
}

/// Why a machine moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// An act.
    Act,
    /// A timer.
    Timer,
    /// A `when` rule.
    When,
}

/// A step that is allowed, and where it leads.
#[derive(Clone, Debug, PartialEq)]
pub struct Advance {
    /// The step.
    pub transition: Transition,
    /// The state that applying it leads to.
    pub after: ConversationState,
}

impl Cause {
    /// As it is written in notices.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Timer => "timer",
            Self::When => "when",
        }
    }
}

impl Transition {
    /// The machine moves: instance, from, to, cause.
    pub fn moves(&self) -> impl Iterator<Item = (&InstanceId, &Label, &Label, Cause)> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Moved { instance, from, to, cause } => Some((instance, from, to, *cause)),
            _ => None,
        })
    }

    /// The agents that take a role.
    pub fn bound(&self) -> impl Iterator<Item = (&AgentId, &Label)> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Bound { agent, role } => Some((agent, role)),
            _ => None,
        })
    }

    /// How the conversation ends by this step.
    pub fn ended(&self) -> Option<Outcome> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Ended { outcome } => Some(*outcome),
            _ => None,
        })
    }

    /// The moves in one line: `round start→open`.
    pub fn summary(&self) -> String {
        let moves = self.moves().map(|(instance, from, to, _)| format!("{instance} {from}→{to}"));
        moves.collect::<Vec<_>>().join(", ")
    }
}
