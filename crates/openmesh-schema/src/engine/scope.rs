//! What expressions read in a conversation: the round's state, counts, and last payloads.

use crate::conversation::{ConversationState, Instance};
use crate::definition::Label;
use crate::expression::{Input, Scope, to_cel};
use serde_json::Value;

/// An instance's view: the act under check first, then its own last payloads, then the round's.
pub(super) struct View<'a> {
    pub(super) state: &'a ConversationState,
    pub(super) instance: Option<&'a Instance>,
    /// The schema variable and payload of the act under check.
    pub(super) act: Option<(&'a Label, &'a Value)>,
}

impl<'a> View<'a> {
    /// The value at a path of the last payload read under `variable`.
    pub(super) fn payload(&self, variable: &str, pointer: &str) -> Option<&'a Value> {
        if let Some((_, payload)) = self.act.filter(|(name, _)| ***name == *variable) {
            return payload.pointer(pointer);
        }
        let own = self.instance.and_then(|instance| instance.last.get(variable));
        own.or_else(|| self.state.round.last.get(variable))?.get(pointer)
    }

    fn count(&self, machine: &str, state: &str) -> usize {
        let slots = self.state.instances.iter();
        slots.filter(|slot| *slot.machine == *machine && *slot.instance.state == *state).count()
    }
}

impl Scope for View<'_> {
    fn read(&self, input: &Input) -> Option<cel::Value> {
        match input {
            Input::RoundState => Some((&*self.state.round.state).into()),
            Input::Count { machine, state } => {
                let count = u32::try_from(self.count(machine, state)).unwrap_or(u32::MAX);
                Some(cel::Value::Float(f64::from(count)))
            }
            Input::Path { variable, pointer } => self.payload(variable, pointer).map(to_cel),
        }
    }
}
