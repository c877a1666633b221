//! Every inbox, and the sum of what they count, so that nobody has to look at them all.

use super::Inbox;
use openmesh_message::AgentId;
use openmesh_message::frame::InboxCounts;
use std::collections::BTreeMap;

/// The inbox of each agent that has one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Inboxes {
    by_agent: BTreeMap<AgentId, Inbox>,
    total: InboxCounts,
}

impl Inboxes {
    pub(crate) fn get(&self, agent: &AgentId) -> Option<&Inbox> {
        self.by_agent.get(agent)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_agent.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&AgentId, &Inbox)> {
        self.by_agent.iter()
    }

    /// What all inboxes count together.
    pub(crate) const fn total(&self) -> InboxCounts {
        self.total
    }

    /// Changes an inbox; one that is not there is made.
    pub(crate) fn change(&mut self, agent: AgentId, change: impl FnOnce(&mut Inbox)) {
        let inbox = self.by_agent.entry(agent).or_default();
        let before = inbox.counts();
        change(inbox);
        let after = inbox.counts();
        let sum = |total: u64, before: u64, after: u64| total.wrapping_sub(before).wrapping_add(after);
        self.total = InboxCounts {
            accepted: sum(self.total.accepted, before.accepted, after.accepted),
            pending: sum(self.total.pending, before.pending, after.pending),
            acknowledged: sum(self.total.acknowledged, before.acknowledged, after.acknowledged),
            expired: sum(self.total.expired, before.expired, after.expired),
            dead_lettered: sum(self.total.dead_lettered, before.dead_lettered, after.dead_lettered),
            recalled: sum(self.total.recalled, before.recalled, after.recalled),
        };
    }

    /// Takes an inbox out; only where a fault is planted.
    pub(crate) fn remove_last(&mut self) {
        self.by_agent.pop_last();
        *self = std::mem::take(&mut self.by_agent).into_iter().collect();
    }
}

impl FromIterator<(AgentId, Inbox)> for Inboxes {
    fn from_iter<I: IntoIterator<Item = (AgentId, Inbox)>>(inboxes: I) -> Self {
        let mut total = InboxCounts::default();
        let add = |(agent, inbox): (AgentId, Inbox)| {
            let counts = inbox.counts();
            total.accepted = total.accepted.wrapping_add(counts.accepted);
            total.pending = total.pending.wrapping_add(counts.pending);
            total.acknowledged = total.acknowledged.wrapping_add(counts.acknowledged);
            total.expired = total.expired.wrapping_add(counts.expired);
            total.dead_lettered = total.dead_lettered.wrapping_add(counts.dead_lettered);
            total.recalled = total.recalled.wrapping_add(counts.recalled);
            (agent, inbox)
        };
        let by_agent = inboxes.into_iter().map(add).collect();
        Self { by_agent, total }
    }
}
