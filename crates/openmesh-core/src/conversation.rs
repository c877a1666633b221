//! Conversations: one run of a protocol each. The steps themselves are the protocol engine's.

use crate::admit::Admitted;
use crate::planted;
use crate::record::Step;
use crate::rejection::Rejection;
use crate::view::View;
use openmesh_message::json::Document;
use openmesh_message::{AgentId, ConversationId, Target, Timestamp};
use openmesh_policy::Authenticity;
use openmesh_schema::{Act, ActTarget, Advance, Catalog, ConversationState, Protocol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The state of one conversation.
pub type Conversation = ConversationState;

/// Every conversation of the partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Conversations {
    by_id: BTreeMap<ConversationId, Conversation>,
    open: usize,
}

/// A step that the protocol allows, and the state it leads to.
pub(crate) struct Allowed {
    pub(crate) protocol: Arc<Protocol>,
    pub(crate) advance: Advance,
}

impl Allowed {
    /// The step as a record keeps it.
    pub(crate) fn into_step(self, conversation: ConversationId) -> Step {
        let Advance { transition, after } = self.advance;
        let notices = self.protocol.notices(&after, &transition);
        Step { conversation, protocol: self.protocol.pinned().digest, transition, notices }
    }
}

impl Conversations {
    pub(crate) fn get(&self, id: &ConversationId) -> Option<&Conversation> {
        self.by_id.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ConversationId, &Conversation)> {
        self.by_id.iter()
    }

    /// How many have not ended.
    pub(crate) const fn open(&self) -> usize {
        self.open
    }

    /// The step of a timer that is due.
    pub(crate) fn fire(&self, id: &ConversationId, catalog: &Catalog, now: Timestamp) -> Option<Allowed> {
        let state = self.by_id.get(id)?;
        let protocol = catalog.protocol(&state.protocol.digest)?;
        let advance = protocol.fire(state, now)?;
        Some(Allowed { protocol: Arc::clone(protocol), advance })
    }

    /// When a conversation's next timer fires.
    pub(crate) fn next_deadline(&self, id: &ConversationId, catalog: &Catalog) -> Option<Timestamp> {
        let state = self.by_id.get(id)?;
        catalog.protocol(&state.protocol.digest)?.next_deadline(state)
    }

    /// Applies a step that was decided before.
    pub(crate) fn apply(&mut self, step: &Step, payload: Option<&Document>, catalog: &Catalog) {
        let Some(protocol) = catalog.protocol(&step.protocol) else {
            return;
        };
        let state = self.by_id.entry(step.conversation).or_insert_with(|| {
            self.open += 1;
            protocol.blank(&step.conversation)
        });
        let was_ended = state.is_ended();
        protocol.apply(state, &step.transition, payload);
        if state.is_ended() && !was_ended {
            self.open = self.open.saturating_sub(1);
        }
    }
}

/// Asks the protocol whether it allows an act of a conversation, or the act that opens it.
pub(crate) fn check(
    conversation: Option<&Conversation>,
    id: &ConversationId,
    admitted: &Admitted,
    view: &View,
    now: Timestamp,
) -> Result<Allowed, Rejection> {
    let control = &admitted.control;
    let protocol = named_protocol(admitted, view)?;
    let act = act_of(admitted, view)?;
    let advance = match conversation {
        None => protocol.open(id, &act, now)?,
        Some(state) if Some(&*state.protocol) != control.protocol.as_ref() => {
            let member = state.role_of(&control.source).is_some();
            return Err(if member {
                Rejection::OtherProtocol(state.protocol.to_string())
            } else {
                Rejection::NotFound
            });
        }
        Some(state) => {
            let step = protocol.step(state, &act, now);
            step.or_else(|illegal| planted::excuse(illegal, state, now))?
        }
    };
    Ok(Allowed { protocol: Arc::clone(protocol), advance })
}

fn named_protocol<'a>(admitted: &Admitted, view: &'a View) -> Result<&'a Arc<Protocol>, Rejection> {
    let pinned = admitted.control.protocol.as_ref().ok_or(Rejection::NotFound)?;
    let protocol = view.catalog.protocol(&pinned.digest).filter(|protocol| protocol.pinned() == pinned);
    protocol.ok_or_else(|| Rejection::UnknownProtocol(pinned.to_string()))
}

fn act_of<'a>(admitted: &'a Admitted, view: &View) -> Result<Act<'a>, Rejection> {
    let control = &admitted.control;
    let to = match &control.to.target {
        Target::Agent(agent) | Target::Inbox(agent) => {
            ActTarget::Agent(view.directory.resolve(agent).ok_or(Rejection::UnknownAgent)?)
        }
        Target::Topic(_) => ActTarget::Topic,
        Target::Conversation(_) => ActTarget::Conversation,
    };
    Ok(Act {
        sender: control.source,
        performative: &control.performative,
        schema: control.schema.as_ref(),
        payload: admitted.payload.as_deref(),
        payload_bytes: &admitted.envelope.payload,
        digest: admitted.digest(),
        parents: &control.parents,
        to,
        invites: &control.invites,
        custodial: admitted.authenticity == Authenticity::Custodial,
    })
}

/// Who an act is for besides its sender: those the protocol lets read it.
pub(crate) fn recipients(allowed: &Allowed, admitted: &Admitted, view: &View) -> Vec<AgentId> {
    let sender = admitted.control.source;
    let to = match &admitted.control.to.target {
        Target::Agent(agent) | Target::Inbox(agent) => match view.directory.resolve(agent) {
            Some(agent) => ActTarget::Agent(agent),
            None => ActTarget::Conversation,
        },
        Target::Topic(_) => ActTarget::Topic,
        Target::Conversation(_) => ActTarget::Conversation,
    };
    let mut readers = allowed.protocol.readers(&allowed.advance.after, &sender, &to);
    readers.retain(|reader| *reader != sender);
    readers
}
