//! Does one effect. No effect is refused and none asks a question: deciding is over.

use crate::conversation::{Bound, ConversationState, Effect, Instance, InstanceId, Slot};
use crate::definition::Label;
use crate::protocol::Protocol;
use openmesh_message::json::{Document, Part};
use openmesh_message::{AgentId, Timestamp};
use std::sync::Arc;

pub(super) fn apply(
    protocol: &Protocol,
    state: &mut ConversationState,
    effect: &Effect,
    payload: Option<&Document>,
    at: Timestamp,
) {
    match effect {
        Effect::Opened { addressee } => {
            state.opened = Some(at);
            state.addressee = *addressee;
            state.round.entered = at;
        }
        Effect::Bound { agent, role } => state.bound.push(Bound { agent: *agent, role: Label::clone(role) }),
        Effect::Acted { instance: id, remember, .. } => {
            make_if_absent(protocol, state, id, at);
            if let Some(variable) = remember {
                correlate(protocol, state, variable, payload);
            }
            if let Some(instance) = state.instance_mut(id) {
                note_act(protocol, instance, effect, payload);
            }
        }
        Effect::Moved { instance: id, to, .. } => {
            if let Some(instance) = state.instance_mut(id) {
                instance.state = Label::clone(to);
                instance.entered = at;
                instance.signatures.clear();
            }
        }
        Effect::TimerSet { instance: id, at } => set_deadline(state, id, Some(*at)),
        Effect::TimerCleared { instance: id } => set_deadline(state, id, None),
        Effect::DutyBegun { duty } => state.duties.push(duty.clone()),
        Effect::DutyEnded { index } => {
            let index = *index as usize;
            if index < state.duties.len() {
                state.duties.remove(index);
            }
        }
        Effect::Ended { outcome } => {
            state.ended = Some(*outcome);
            state.duties.clear();
        }
    }
}

fn set_deadline(state: &mut ConversationState, id: &InstanceId, deadline: Option<Timestamp>) {
    if let Some(instance) = state.instance_mut(id) {
        instance.deadline = deadline;
    }
}

/// Instances stand in the order their agents were bound, and by machine for one agent.
fn make_if_absent(protocol: &Protocol, state: &mut ConversationState, id: &InstanceId, at: Timestamp) {
    let Some(agent) = id.agent.filter(|_| state.instance(id).is_none()) else {
        return;
    };
    let machine = protocol.definition().machines.get(&id.machine);
    let initial = machine.map(|machine| Label::clone(&machine.initial)).unwrap_or_default();
    let rank = |agent: &AgentId| state.bound.iter().position(|bound| bound.agent == *agent);
    let key = (rank(&agent), &*id.machine);
    let after = |slot: &Slot| (rank(&slot.agent), &*slot.machine) > key;
    let place = state.instances.iter().position(after).unwrap_or(state.instances.len());
    let slot = Slot { machine: Label::clone(&id.machine), agent, instance: Instance::begin(initial, at) };
    state.instances.insert(place, slot);
}

fn correlate(protocol: &Protocol, state: &mut ConversationState, variable: &str, payload: Option<&Document>) {
    if state.correlation.is_some() {
        return;
    }
    let pointer = protocol.rules().correlated(variable);
    let value = pointer.and_then(|pointer| payload?.pointer(pointer));
    state.correlation = value.map(Part::to_value);
}

fn note_act(protocol: &Protocol, instance: &mut Instance, effect: &Effect, payload: Option<&Document>) {
    let Effect::Acted { counted, sender, offer, signed, remember, .. } = effect else {
        return;
    };
    instance.last_mover = Some(*sender);
    if let Some(key) = counted {
        let taken = instance.taken.entry(Label::clone(key)).or_insert(0);
        *taken = taken.saturating_add(1);
    }
    if offer.is_some() {
        instance.offer = *offer;
    }
    if let Some(digest) = signed {
        instance.signatures.insert(*sender, *digest);
    }
    let remembered = remember.as_ref().and_then(|variable| {
        let pointers = protocol.rules().remembered(variable)?;
        Some((variable, pointers))
    });
    if let (Some((variable, pointers)), Some(payload)) = (remembered, payload) {
        let found = pointers.iter().filter_map(|pointer| {
            let value = payload.pointer(pointer)?;
            Some((Label::clone(pointer), value.to_value()))
        });
        instance.last.insert(Label::clone(variable), Arc::new(found.collect()));
    }
}
