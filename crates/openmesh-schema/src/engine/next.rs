//! What an agent may do next, as far as that can be said without the payload.

use super::checks::{answers_offer, counterparts};
use super::matching::{machines, move_key};
use super::scope::View;
use crate::conversation::{AllowedAct, ConversationState, Instance, InstanceId};
use crate::definition::{Label, MAIN_MACHINE, Machine, Move, main_machine};
use crate::protocol::Protocol;
use openmesh_message::AgentId;

/// What opens a conversation.
pub(super) fn opening(protocol: &Protocol) -> Vec<AllowedAct> {
    let definition = protocol.definition();
    let (Some(initiator), Some(machine)) = (definition.initiator(), definition.machines.get(MAIN_MACHINE))
    else {
        return Vec::new();
    };
    let moves = machine.moves().filter(|(state, _, _)| **state == machine.initial);
    let acts = moves.map(|(_, _, one)| AllowedAct {
        performative: one.performative.clone(),
        schema: one.schema.clone(),
        role: Label::clone(initiator),
        machine: main_machine(),
        to: None,
        to_roles: Vec::new(),
        parents: Vec::new(),
    });
    acts.collect()
}

/// What `agent` may do, bound or joining: the round first, then instances in binding order.
pub(super) fn allowed(protocol: &Protocol, state: &ConversationState, agent: &AgentId) -> Vec<AllowedAct> {
    if state.ended.is_some() {
        return Vec::new();
    }
    let roles = match state.role_of(agent) {
        Some(role) => vec![role],
        None => protocol.may_join(state, agent).collect(),
    };
    let mut acts = Vec::new();
    for role in roles {
        for (name, machine) in machines(protocol) {
            for id in instances(name, machine, state, role, agent) {
                let question = Question { protocol, state, agent, role, machine, id: &id };
                acts.extend(question.acts());
            }
        }
    }
    acts
}

fn instances(
    name: &Label,
    machine: &Machine,
    state: &ConversationState,
    role: &str,
    agent: &AgentId,
) -> Vec<InstanceId> {
    match &machine.per {
        None => vec![InstanceId::main()],
        Some(per) if **per == *role => vec![InstanceId::of(name, *agent)],
        Some(per) => state.agents_of(per).map(|other| InstanceId::of(name, *other)).collect(),
    }
}

struct Question<'a> {
    protocol: &'a Protocol,
    state: &'a ConversationState,
    agent: &'a AgentId,
    role: &'a Label,
    machine: &'a Machine,
    id: &'a InstanceId,
}

impl Question<'_> {
    fn acts(&self) -> Vec<AllowedAct> {
        let instance = self.state.instance(self.id);
        let current = instance.map_or(&self.machine.initial, |instance| &instance.state);
        let moves = self.machine.states.get(&**current).map(|state| state.moves.as_slice());
        let moves = moves.unwrap_or_default().iter().enumerate();
        moves
            .filter(|(index, one)| self.may(current, *index, one, instance))
            .map(|(_, one)| self.describe(one, instance))
            .collect()
    }

    fn may(&self, current: &str, index: usize, one: &Move, instance: Option<&Instance>) -> bool {
        let named = one.from.iter().any(|from| from == self.role);
        let last = instance.and_then(|instance| instance.last_mover);
        let turn = !one.turn_other || last != Some(*self.agent);
        let taken = |instance: &Instance| instance.taken.get(&move_key(current, index)).copied();
        let room = one.max.is_none_or(|max| instance.and_then(taken).unwrap_or(0) < max);
        let offer = !answers_offer(&one.performative) || instance.is_some_and(|found| found.offer.is_some());
        named && turn && room && offer && self.guard_may_hold(current, index, one, instance)
    }

    /// A guard that reads the act's own payload cannot be answered before there is one.
    fn guard_may_hold(&self, current: &str, index: usize, one: &Move, instance: Option<&Instance>) -> bool {
        let rules = self.protocol.rules();
        let guard = rules.state(&self.id.machine, current);
        let Some(guard) = guard.and_then(|state| state.guards.get(index)?.as_ref()) else {
            return true;
        };
        let own = one.schema.as_ref().and_then(|schema| rules.variable(schema));
        if own.is_some_and(|variable| guard.reads_payload(variable)) {
            return true;
        }
        let view = View { state: self.state, instance, act: None };
        guard.holds(&view).unwrap_or(false)
    }

    fn describe(&self, one: &Move, instance: Option<&Instance>) -> AllowedAct {
        let own = self.machine.per.as_ref() == Some(self.role);
        let to = self.id.agent.filter(|_| !own);
        let to_roles = match to {
            Some(_) => Vec::new(),
            None => counterparts(self.protocol, &self.id.machine, self.role).cloned().collect(),
        };
        let offer = instance.and_then(|instance| instance.offer);
        AllowedAct {
            performative: one.performative.clone(),
            schema: one.schema.clone(),
            role: Label::clone(self.role),
            machine: Label::clone(&self.id.machine),
            to,
            to_roles,
            parents: offer.into_iter().filter(|_| answers_offer(&one.performative)).collect(),
        }
    }
}
