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
    conversations: BTreeMap<ConversationId, Timestamp>,
    inboxes: BTreeMap<AgentId, Timestamp>,
    waiters: BTreeMap<AgentId, Timestamp>,
    streams: Option<Timestamp>,
    by_time: BTreeSet<(Timestamp, Owner)>,
}

impl Deadlines {
    /// Sets or clears an owner's deadline.
    pub(crate) fn set(&mut self, owner: Owner, deadline: Option<Timestamp>) {
        let before = match &owner {
            Owner::Conversation(id) => replace(&mut self.conversations, id, deadline),
            Owner::Inbox(agent) => replace(&mut self.inboxes, agent, deadline),
            Owner::Waiter(agent) => replace(&mut self.waiters, agent, deadline),
            Owner::Streams => std::mem::replace(&mut self.streams, deadline),
        };
        if before == deadline {
            return;
        }
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

/// Sets or clears what one of a kind has; gives what it had.
fn replace<K: Ord + Copy>(
    deadlines: &mut BTreeMap<K, Timestamp>,
    of: &K,
    deadline: Option<Timestamp>,
) -> Option<Timestamp> {
    let before = deadlines.get(of).copied();
    match deadline {
        _ if before == deadline => before,
        Some(time) => deadlines.insert(*of, time),
        None => deadlines.remove(of),
    }
}
