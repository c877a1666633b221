//! What expressions read in a conversation: the round's state, counts, and last payloads.

use crate::conversation::{ConversationState, Instance};
use crate::definition::Label;
use crate::expression::{Scope, to_cel};
use openmesh_message::json::{Document, Part};
use serde_json::Value;
use std::borrow::Cow;

/// An instance's view: the act under check first, then its own last payloads, then the round's.
pub(super) struct View<'a> {
    pub(super) state: &'a ConversationState,
    pub(super) instance: Option<&'a Instance>,
    /// The schema variable and payload of the act under check.
    pub(super) act: Option<(&'a Label, &'a Document)>,
}

impl<'a> View<'a> {
    /// The value at a path of the last payload read under `variable`.
    pub(super) fn value(&self, variable: &str, pointer: &str) -> Option<Cow<'a, Value>> {
        if let Some((_, payload)) = self.act.filter(|(name, _)| ***name == *variable) {
            return payload.pointer(pointer).map(Part::to_value).map(Cow::Owned);
        }
        let own = self.instance.and_then(|instance| instance.last.get(variable));
        own.or_else(|| self.state.round.last.get(variable))?.get(pointer).map(Cow::Borrowed)
    }
}

impl Scope for View<'_> {
    fn round(&self) -> &str {
        &self.state.round.state
    }

    fn count(&self, machine: &str, state: &str) -> f64 {
        let slots = self.state.instances.iter();
        let found = slots.filter(|slot| *slot.machine == *machine && *slot.instance.state == *state);
        f64::from(u32::try_from(found.count()).unwrap_or(u32::MAX))
    }

    fn payload(&self, variable: &str, pointer: &str) -> Option<cel::Value> {
        self.value(variable, pointer).map(|value| to_cel(&value))
    }
}
