//! A conversation as data: its state, the acts that reach it, the transitions they cause. No behaviour here.

mod act;
mod kept;
mod notice;
mod transition;

pub use act::{Act, ActTarget, AllowedAct, IllegalAct, IllegalKind};
pub use notice::Notice;
pub use transition::{Advance, Cause, Effect, Transition};

use crate::definition::{Label, MAIN_MACHINE, Outcome, main_machine};
use minicbor::{Decode, Encode};
use openmesh_message::{AgentId, ConversationId, Digest, Performative, PinnedName, Timestamp, shared_text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Everything a conversation needs to go on; plain and serialisable.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ConversationState {
    /// The form of this state: [`ConversationState::VERSION`].
    pub version: u16,
    /// The conversation.
    pub id: ConversationId,
    /// The protocol it follows.
    pub protocol: Arc<PinnedName>,
    /// When it was opened; absent before its first transition.
    pub opened: Option<Timestamp>,
    /// The one agent its opening act was addressed to, if it was one.
    pub addressee: Option<AgentId>,
    /// Who is bound to which role, in binding order.
    pub bound: Vec<Bound>,
    /// The value that correlates its payloads.
    pub correlation: Option<Value>,
    /// The machine that exists once.
    pub round: Instance,
    /// The instances of the other machines, in the order they were made.
    pub instances: Vec<Slot>,
    /// Open duties, oldest first.
    pub duties: Vec<Obligation>,
    /// How it ended; absent while it goes on.
    pub ended: Option<Outcome>,
}

/// An agent in its role.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bound {
    /// The agent.
    pub agent: AgentId,
    /// Its role.
    pub role: Label,
}

/// An instance of a machine that exists once for each agent of a role.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Slot {
    /// The machine.
    pub machine: Label,
    /// The agent whose instance it is.
    pub agent: AgentId,
    /// The instance.
    pub instance: Instance,
}

/// Where one machine is.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Instance {
    /// Its state.
    pub state: Label,
    /// When it entered the state.
    pub entered: Timestamp,
    /// When the state's timer is due.
    pub deadline: Option<Timestamp>,
    /// Who acted last in it.
    pub last_mover: Option<AgentId>,
    /// The latest propose or counter-propose.
    pub offer: Option<Digest>,
    /// How often each move that has a `max` was taken, by `state/index`.
    pub taken: BTreeMap<Label, u32>,
    /// Payload digests sent towards `signatures: all`, by agent; forgotten when the state is left.
    pub signatures: BTreeMap<AgentId, Digest>,
    /// What the definition reads of the last payloads: by schema variable, then JSON pointer.
    pub last: BTreeMap<Label, Arc<BTreeMap<Label, Value>>>,
}

/// Names an instance: a machine, and the agent if the machine exists once for each.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, Encode, Decode,
)]
pub struct InstanceId {
    /// The machine.
    #[cbor(n(0), with = "shared_text")]
    pub machine: Label,
    /// The agent; absent for the machine that exists once.
    #[cbor(n(1), with = "kept::some_agent")]
    pub agent: Option<AgentId>,
}

/// Who owes whom what by when.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, Encode, Decode)]
pub struct Obligation {
    /// The role that owes.
    #[cbor(n(0), with = "shared_text")]
    pub role: Label,
    /// The agent that owes.
    #[cbor(n(1), with = "kept::agent")]
    pub agent: AgentId,
    /// The agent it is owed to.
    #[cbor(n(2), with = "kept::agent")]
    pub to: AgentId,
    /// The instance it arose in.
    #[n(3)]
    pub instance: InstanceId,
    /// The acts any of which ends it.
    #[cbor(n(4), with = "kept::acts")]
    pub must: Arc<[Performative]>,
    /// Since when.
    #[n(5)]
    pub since: Timestamp,
    /// By when.
    #[n(6)]
    pub by: Timestamp,
    /// The rule of the definition, by its place.
    #[n(7)]
    pub rule: u32,
}

impl ConversationState {
    /// The form of this state; a higher one is refused by the reader.
    pub const VERSION: u16 = 1;

    /// The role an agent is bound to.
    pub fn role_of(&self, agent: &AgentId) -> Option<&Label> {
        let bound = self.bound.iter().find(|bound| bound.agent == *agent);
        bound.map(|bound| &bound.role)
    }

    /// The agents bound to a role, in binding order.
    pub fn agents_of<'s>(&'s self, role: &'s str) -> impl Iterator<Item = &'s AgentId> {
        let bound = self.bound.iter().filter(move |bound| *bound.role == *role);
        bound.map(|bound| &bound.agent)
    }

    /// The state an instance is in; absent if it was not made yet.
    pub fn state_of(&self, id: &InstanceId) -> Option<&Label> {
        self.instance(id).map(|instance| &instance.state)
    }

    /// An instance, if it was made.
    pub fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        let Some(agent) = &id.agent else {
            return (*id.machine == *MAIN_MACHINE).then_some(&self.round);
        };
        let found = |slot: &&Slot| slot.machine == id.machine && slot.agent == *agent;
        self.instances.iter().find(found).map(|slot| &slot.instance)
    }

    /// Whether it is over.
    pub fn is_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Every machine and its state: `round=open bid[did:key:z6Mk…]=offered`.
    pub fn text(&self) -> String {
        let mut text = format!("{MAIN_MACHINE}={}", self.round.state);
        for slot in &self.instances {
            text.push_str(&format!(" {}[{}]={}", slot.machine, slot.agent, slot.instance.state));
        }
        text
    }

    /// Every instance that was made: the one first, then the others in their order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Instance> {
        std::iter::once(&self.round).chain(self.instances.iter().map(|slot| &slot.instance))
    }

    /// The name of an instance by its place among all.
    pub(crate) fn id_at(&self, place: usize) -> Option<InstanceId> {
        match place.checked_sub(1) {
            None => Some(InstanceId::main()),
            Some(index) => self.instances.get(index).map(|slot| InstanceId::of(&slot.machine, slot.agent)),
        }
    }

    pub(crate) fn instance_mut(&mut self, id: &InstanceId) -> Option<&mut Instance> {
        let Some(agent) = &id.agent else {
            return (*id.machine == *MAIN_MACHINE).then_some(&mut self.round);
        };
        let found = |slot: &&mut Slot| slot.machine == id.machine && slot.agent == *agent;
        self.instances.iter_mut().find(found).map(|slot| &mut slot.instance)
    }
}

impl Instance {
    pub(crate) fn begin(state: Label, entered: Timestamp) -> Self {
        Self {
            state,
            entered,
            deadline: None,
            last_mover: None,
            offer: None,
            taken: BTreeMap::new(),
            signatures: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }
}

impl InstanceId {
    /// The machine that exists once.
    pub fn main() -> Self {
        Self { machine: main_machine(), agent: None }
    }

    /// An agent's instance.
    pub fn of(machine: &Label, agent: AgentId) -> Self {
        Self { machine: Label::clone(machine), agent: Some(agent) }
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.agent {
            Some(agent) => write!(f, "{}[{agent}]", self.machine),
            None => f.write_str(&self.machine),
        }
    }
}
