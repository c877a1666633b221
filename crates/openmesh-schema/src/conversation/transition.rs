//! What one step does to a conversation: an ordered list of effects, small enough for a record's header.

use super::{ConversationState, InstanceId, Obligation, kept};
use crate::definition::{Label, Outcome};
use minicbor::{Decode, Encode};
use openmesh_message::{AgentId, Digest, Timestamp, shared_text};

/// One step: decided once, applied live and in recovery.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, Encode, Decode)]
pub struct Transition {
    /// The `now` it was decided at.
    #[n(0)]
    pub at: Timestamp,
    /// What it does, in order.
    #[n(1)]
    pub effects: Vec<Effect>,
}

/// One thing that a step does.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The conversation begins.
    #[n(0)]
    Opened {
        /// The one agent the opening act was addressed to.
        #[cbor(n(0), with = "kept::some_agent")]
        addressee: Option<AgentId>,
    },
    /// An agent takes a role.
    #[n(1)]
    Bound {
        /// The agent.
        #[cbor(n(0), with = "kept::agent")]
        agent: AgentId,
        /// The role.
        #[cbor(n(1), with = "shared_text")]
        role: Label,
    },
    /// An act was accepted in an instance, which is made if it was not there.
    #[n(2)]
    Acted {
        /// The instance.
        #[n(0)]
        instance: InstanceId,
        /// The move, by `state/index`, if it counts towards a `max`.
        #[cbor(n(1), with = "kept::text")]
        counted: Option<Label>,
        /// Who acted.
        #[cbor(n(2), with = "kept::agent")]
        sender: AgentId,
        /// The message's digest, if it is an offer.
        #[n(3)]
        offer: Option<Digest>,
        /// The payload's digest, if it counts towards `signatures: all`.
        #[n(4)]
        signed: Option<Digest>,
        /// The schema variable under which the definition reads this payload.
        #[cbor(n(5), with = "kept::text")]
        remember: Option<Label>,
    },
    /// A machine moved.
    #[n(3)]
    Moved {
        /// The instance.
        #[n(0)]
        instance: InstanceId,
        /// The state it left.
        #[cbor(n(1), with = "shared_text")]
        from: Label,
        /// The state it entered.
        #[cbor(n(2), with = "shared_text")]
        to: Label,
        /// Why.
        #[n(3)]
        cause: Cause,
    },
    /// A timer runs.
    #[n(4)]
    TimerSet {
        /// The instance.
        #[n(0)]
        instance: InstanceId,
        /// When it is due.
        #[n(1)]
        at: Timestamp,
    },
    /// A timer runs no more.
    #[n(5)]
    TimerCleared {
        /// The instance.
        #[n(0)]
        instance: InstanceId,
    },
    /// A duty arose.
    #[n(6)]
    DutyBegun {
        /// The duty.
        #[n(0)]
        duty: Obligation,
    },
    /// A duty ended.
    #[n(7)]
    DutyEnded {
        /// Its place in the list at this point.
        #[n(0)]
        index: u32,
    },
    /// The conversation is over.
    #[n(8)]
    Ended {
        /// How.
        #[n(0)]
        outcome: Outcome,
    },
}

/// Why a machine moved.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, Encode, Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Cause {
    /// An act.
    #[n(0)]
    Act,
    /// A timer.
    #[n(1)]
    Timer,
    /// A `when` rule.
    #[n(2)]
    When,
}

/// A step that is allowed, and where it leads.
#[derive(Clone, Debug, PartialEq)]
pub struct Advance {
    /// The step.
    pub transition: Transition,
    /// The state that applying it leads to.
    pub after: Box<ConversationState>,
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
