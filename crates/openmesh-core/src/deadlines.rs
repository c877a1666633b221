//! Who wants to be called when: one deadline for each conversation, inbox and waiting agent.

pub(crate) mod wheel;

use openmesh_message::{AgentId, ConversationId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Who has a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Conversation(ConversationId),
    Inbox(AgentId),
    Waiter(AgentId),
    /// All streams together, which keep their own.
    Streams,
}

/// Deadlines, the earliest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deadlines {
    by_owner: BTreeMap<Owner, Timestamp>,
    by_time: BTreeSet<(Timestamp, Owner)>,
}

impl Deadlines {
    /// Sets or clears an owner's deadline.
    pub(crate) fn set(&mut self, owner: Owner, deadline: Option<Timestamp>) {
        if self.by_owner.get(&owner).copied() == deadline {
            return;
        }
        let before = match deadline {
            Some(time) => self.by_owner.insert(owner, time),
            None => self.by_owner.remove(&owner),
        };
        if let Some(time) = before {
            self.by_time.remove(&(time, owner));
        }
        if let Some(time) = deadline {
            self.by_time.insert((time, owner));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(time, _)| *time)
    }

    /// Someone whose deadline has come.
    pub(crate) fn due(&self, now: Timestamp) -> Option<Owner> {
        self.by_time.first().filter(|(time, _)| *time <= now).map(|(_, owner)| *owner)
    }
}
