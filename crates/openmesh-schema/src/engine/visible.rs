//! Who sees what: the readers of an act, the notices of steps that no act took, the state shown with a refusal.

use super::matching::{addressed, machines};
use crate::conversation::{Act, ActTarget, Cause, ConversationState, InstanceId, Notice, Transition};
use crate::definition::MAIN_MACHINE;
use crate::protocol::Protocol;
use openmesh_message::AgentId;

pub(super) fn readers(
    protocol: &Protocol,
    state: &ConversationState,
    sender: &AgentId,
    to: &ActTarget,
) -> Vec<AgentId> {
    let mut readers = seeing_all(protocol, state);
    readers.push(*sender);
    match to {
        ActTarget::Agent(agent) => readers.push(*agent),
        ActTarget::Conversation => readers.extend(state.bound.iter().map(|bound| bound.agent)),
        ActTarget::Topic => {}
    }
    sorted(readers)
}

pub(super) fn notices(
    protocol: &Protocol,
    state: &ConversationState,
    transition: &Transition,
) -> Vec<Notice> {
    let outcome = transition.ended();
    let moves = transition.moves().filter(|(_, _, _, cause)| *cause != Cause::Act);
    let notices = moves.map(|(instance, from, to, cause)| Notice {
        instance: instance.clone(),
        from: from.clone(),
        to: to.clone(),
        cause,
        outcome,
        readers: concerned(protocol, state, instance),
    });
    notices.collect()
}

/// The round concerns everybody; another instance its agent, who else moves in it, and who sees all.
fn concerned(protocol: &Protocol, state: &ConversationState, id: &InstanceId) -> Vec<AgentId> {
    let Some(agent) = id.agent else {
        return sorted(state.bound.iter().map(|bound| bound.agent).collect());
    };
    let mut readers = seeing_all(protocol, state);
    readers.push(agent);
    let machine = protocol.definition().machines.get(&id.machine);
    for role in protocol.rules().movers(&id.machine) {
        if machine.is_some_and(|machine| machine.per.as_ref() != Some(role)) {
            readers.extend(state.agents_of(role));
        }
    }
    sorted(readers)
}

/// The round and the one instance that the act concerns: never another agent's.
pub(super) fn text(protocol: &Protocol, state: &ConversationState, act: &Act<'_>) -> String {
    let mut text = format!("{MAIN_MACHINE}={}", state.round.state);
    let role = state.role_of(&act.sender);
    for (name, machine) in machines(protocol) {
        let Some(per) = machine.per.as_ref() else {
            continue;
        };
        let moves_in = role.is_none_or(|role| protocol.rules().movers(name).contains(role));
        let agent = match role == Some(per) || role.is_none() {
            true => Some(act.sender),
            false => addressed(act).filter(|_| moves_in),
        };
        let found = agent.and_then(|agent| {
            let id = InstanceId::of(name, agent);
            state.state_of(&id).map(|state| format!(" {id}={state}"))
        });
        text.push_str(&found.unwrap_or_default());
    }
    text
}

fn seeing_all(protocol: &Protocol, state: &ConversationState) -> Vec<AgentId> {
    let bound = state.bound.iter().map(|bound| bound.agent);
    bound.filter(|agent| protocol.may_read_all(state, agent)).collect()
}

fn sorted(mut agents: Vec<AgentId>) -> Vec<AgentId> {
    agents.sort_unstable();
    agents.dedup();
    agents
}
