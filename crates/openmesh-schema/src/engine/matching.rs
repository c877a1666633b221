//! Which move of which instance an act is.

use super::Refusal;
use crate::conversation::{Act, ActTarget, ConversationState, IllegalKind, InstanceId};
use crate::definition::{Label, MAIN_MACHINE, Machine, Move};
use crate::protocol::Protocol;
use openmesh_message::AgentId;

/// A move that fits an act by performative, role, schema and addressee.
#[derive(Debug)]
pub(super) struct Candidate<'p> {
    pub(super) role: &'p str,
    pub(super) id: InstanceId,
    pub(super) machine: &'p Machine,
    pub(super) state: &'p Label,
    pub(super) index: usize,
    pub(super) one: &'p Move,
}

impl Candidate<'_> {
    /// Under which the payload is read. One sent along with a move that names no schema is not
    /// read at all: it could otherwise pass for the last offer.
    pub(super) fn variable<'r>(&self, protocol: &'r Protocol) -> Option<&'r Label> {
        let schema = self.one.schema.as_ref()?;
        protocol.rules().variable(schema)
    }

    /// Under which the move is counted, if it has a `max`.
    pub(super) fn counted(&self) -> Option<Label> {
        self.one.max.map(|_| move_key(self.state, self.index))
    }
}

pub(super) fn move_key(state: &str, index: usize) -> Label {
    format!("{state}/{index}").into()
}

/// The machines: the one that exists once, then the others by name.
pub(super) fn machines(protocol: &Protocol) -> impl Iterator<Item = (&Label, &Machine)> {
    let machines = &protocol.definition().machines;
    let others = machines.iter().filter(|(name, _)| ***name != *MAIN_MACHINE);
    machines.get_key_value(MAIN_MACHINE).into_iter().chain(others)
}

/// Finds the one move that fits; the checks at publish leave no two.
pub(super) fn find_move<'p>(
    protocol: &'p Protocol,
    state: &ConversationState,
    role: &'p str,
    act: &Act<'_>,
) -> Result<Candidate<'p>, Refusal> {
    let mut refusal = None;
    for (name, machine) in machines(protocol) {
        let fits =
            |one: &Move| one.performative == *act.performative && one.from.iter().any(|from| **from == *role);
        let Some(id) = instance_of(name, machine, state, role, act) else {
            if machine.moves().any(|(_, _, one)| fits(one)) {
                refusal = refusal.or_else(|| Some(no_instance(name, machine)));
            }
            continue;
        };
        let current = state.state_of(&id).unwrap_or(&machine.initial);
        let Some((current, rules)) = machine.states.get_key_value(&**current) else {
            continue;
        };
        let fitting = rules.moves.iter().enumerate().filter(|(_, one)| fits(one));
        for (index, one) in fitting {
            if one.schema.is_none() || one.schema.as_ref() == act.schema {
                return Ok(Candidate { role, id, machine, state: current, index, one });
            }
            refusal = Some(wrong_schema(one));
        }
    }
    Err(refusal.unwrap_or_else(|| {
        let detail = format!("`{role}` cannot `{}` in this state", act.performative);
        Refusal::new(IllegalKind::Illegal, detail)
    }))
}

/// The sender's own instance, or that of the agent it addresses.
fn instance_of(
    name: &Label,
    machine: &Machine,
    state: &ConversationState,
    role: &str,
    act: &Act<'_>,
) -> Option<InstanceId> {
    let Some(per) = &machine.per else {
        return Some(InstanceId::main());
    };
    if **per == *role {
        return Some(InstanceId::of(name, act.sender));
    }
    let addressee = addressed(act)?;
    let holds = state.role_of(&addressee) == Some(per);
    holds.then(|| InstanceId::of(name, addressee))
}

pub(super) fn addressed(act: &Act<'_>) -> Option<AgentId> {
    match act.to {
        ActTarget::Agent(agent) => Some(agent),
        ActTarget::Topic | ActTarget::Conversation => None,
    }
}

fn no_instance(name: &str, machine: &Machine) -> Refusal {
    let per = machine.per.as_deref().unwrap_or_default();
    let detail = format!("address it to the `{per}` whose `{name}` it concerns");
    Refusal::new(IllegalKind::NoInstance, detail)
}

fn wrong_schema(one: &Move) -> Refusal {
    let expected = one.schema.as_ref().map(ToString::to_string).unwrap_or_default();
    Refusal::new(IllegalKind::WrongSchema, format!("the payload's schema must be {expected}"))
}
