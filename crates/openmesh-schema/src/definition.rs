//! What a protocol definition says, as data: roles, machines, rules. No checks and no behaviour here.

pub(crate) mod duration;
mod parse;
mod reader;
mod stored;

pub(crate) use parse::{Published, parse};
pub(crate) use stored::to_stored;

use minicbor::{Decode, Encode};
use openmesh_message::{DefinitionName, Performative, PinnedName, VersionedName};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// The name of a role, machine or state, or a payload's: one text, shared by all that bears it.
pub type Label = Arc<str>;

/// The machine that exists once a conversation.
pub const MAIN_MACHINE: &str = "round";
static MAIN: LazyLock<Label> = LazyLock::new(|| MAIN_MACHINE.into());

/// [`MAIN_MACHINE`], to be shared.
pub(crate) fn main_machine() -> Label {
    Label::clone(&MAIN)
}

/// A protocol: roles, machines and the rules between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name and version.
    pub name: VersionedName,
    /// Its roles.
    pub roles: BTreeMap<Label, Role>,
    /// JSON pointers that must be equal in every payload of the conversation, by schema.
    pub correlate: BTreeMap<DefinitionName, String>,
    /// Expressions that must hold for every act with that schema.
    pub require: BTreeMap<DefinitionName, String>,
    /// Its machines; [`MAIN_MACHINE`] is always there.
    pub machines: BTreeMap<Label, Machine>,
    /// Who owes what by when.
    pub obligations: Vec<ObligationRule>,
}

/// A role agents are bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// How many agents.
    pub count: Count,
    /// How an agent comes to it.
    pub binds: Binds,
    /// Whether every act of the conversation is delivered to it.
    pub sees_all: bool,
}

/// How many agents a role takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// At least; only checked for invited roles, when the conversation opens.
    pub min: u32,
    /// At most; unbounded (but for `AGENTS_MAX`) if absent.
    pub max: Option<u32>,
}

/// How an agent comes to a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binds {
    /// By opening the conversation.
    Initiator,
    /// By its first legal act.
    FirstMove,
    /// By the signed attribute `invite` of the opening act.
    Invited,
}

/// A state machine of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The role whose every agent has an instance; absent for the machine that exists once.
    pub per: Option<Label>,
    /// The state it begins in.
    pub initial: Label,
    /// The states it ends in, and what that means.
    pub finals: BTreeMap<Label, Outcome>,
    /// The other states.
    pub states: BTreeMap<Label, State>,
}

/// How a machine or a conversation ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, Encode, Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Outcome {
    /// As intended.
    #[n(0)]
    Success,
    /// Somebody said no.
    #[n(1)]
    Refused,
    /// Time ran out.
    #[n(2)]
    Timeout,
    /// Called off.
    #[n(3)]
    Cancelled,
    /// It went wrong.
    #[n(4)]
    Failure,
}

/// A state: what may happen in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What happens when nothing does.
    pub timer: Option<Timer>,
    /// The acts that are legal.
    pub moves: Vec<Move>,
    /// Moves that follow from the rest of the conversation.
    pub when: Vec<When>,
}

/// A timer; it starts again at every entry into its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// When it is due.
    pub starts: TimerStart,
    /// The state it leads to.
    pub next: Label,
}

/// When a timer is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimerStart {
    /// At a time that a payload names: `rfp.tenderPeriod.endDate`.
    At(String),
    /// After an ISO 8601 duration: `PT10M`.
    After {
        /// As written.
        text: String,
        /// In milliseconds.
        duration_ms: i64,
    },
}

/// A legal act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// What is done.
    pub performative: Performative,
    /// The payload's schema; any payload if absent.
    pub schema: Option<PinnedName>,
    /// The roles that may.
    pub from: Vec<Label>,
    /// The state it leads to.
    pub next: Label,
    /// An expression that must hold.
    pub guard: Option<String>,
    /// Only by an agent that did not make the instance's last move.
    pub turn_other: bool,
    /// How often in one instance.
    pub max: Option<u32>,
    /// Taken only when every agent in `from` has sent the same payload.
    pub signatures_all: bool,
    /// Whether signatures by a key that the node keeps count.
    pub custodial_allowed: bool,
}

/// A move that follows from the rest of the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// The expression that must hold.
    pub condition: String,
    /// The state it leads to.
    pub next: Label,
}

/// A duty that an act creates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObligationRule {
    /// The acts that create it.
    pub after: Vec<Performative>,
    /// The role that owes.
    pub role: Label,
    /// The acts any of which ends it.
    pub must: Arc<[Performative]>,
    /// The machine in whose instances it arises (`for: each bid`).
    pub machine: Label,
    /// Time to do it, as written (ISO 8601).
    pub within: String,
    /// Time to do it, in milliseconds.
    pub within_ms: i64,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: &[Self] = &[Self::Success, Self::Refused, Self::Timeout, Self::Cancelled, Self::Failure];

    /// As it is written in definitions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Failure => "failure",
        }
    }
}

impl Count {
    /// Whether at most one agent can have the role.
    pub const fn is_single(self) -> bool {
        matches!(self.max, Some(1))
    }

    /// Whether one more agent fits beside `bound` of them.
    pub fn has_room(self, bound: usize) -> bool {
        self.max.is_none_or(|max| bound < max as usize)
    }
}

impl Binds {
    /// As it is written in definitions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::FirstMove => "first-move",
            Self::Invited => "invited",
        }
    }
}

impl Definition {
    /// The role that opens conversations.
    pub fn initiator(&self) -> Option<&Label> {
        self.roles.iter().find(|(_, role)| role.binds == Binds::Initiator).map(|(name, _)| name)
    }

    /// Every schema that a move names, once.
    pub fn schemas(&self) -> Vec<&PinnedName> {
        let mut pins: Vec<&PinnedName> = self
            .machines
            .values()
            .flat_map(Machine::moves)
            .filter_map(|(_, _, one)| one.schema.as_ref())
            .collect();
        pins.sort();
        pins.dedup();
        pins
    }
}

impl Machine {
    /// Every move with its state's name and its place in that state.
    pub fn moves(&self) -> impl Iterator<Item = (&Label, usize, &Move)> {
        self.states.iter().flat_map(|(name, state)| {
            let numbered = state.moves.iter().enumerate();
            numbered.map(move |(index, one)| (name, index, one))
        })
    }

    /// The roles that make moves in it, sorted.
    pub fn movers(&self) -> Vec<&Label> {
        let from = self.moves().flat_map(|(_, _, one)| one.from.iter());
        let mut roles: Vec<&Label> = from.collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }

    /// The states one step can lead to from `state`, in order: moves, timer, `when`.
    pub fn successors(&self, state: &str) -> Vec<&str> {
        let Some(state) = self.states.get(state) else {
            return Vec::new();
        };
        let moves = state.moves.iter().map(|one| &*one.next);
        let timer = state.timer.iter().map(|timer| &*timer.next);
        let when = state.when.iter().map(|rule| &*rule.next);
        moves.chain(timer).chain(when).collect()
    }
}
