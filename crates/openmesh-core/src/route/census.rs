//! How many subscriptions there are, by agent and in all.

use openmesh_message::AgentId;
use std::collections::BTreeMap;

/// Counts of subscriptions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Census {
    by_agent: BTreeMap<AgentId, usize>,
    all: usize,
}

impl Census {
    /// How many an agent has.
    pub(crate) fn of(&self, agent: &AgentId) -> usize {
        self.by_agent.get(agent).copied().unwrap_or_default()
    }

    /// How many there are.
    pub(crate) const fn all(&self) -> usize {
        self.all
    }

    /// An agent has one more.
    pub(crate) fn enter(&mut self, agent: AgentId) {
        *self.by_agent.entry(agent).or_default() += 1;
        self.all += 1;
    }

    /// An agent has so many less.
    pub(crate) fn leave(&mut self, agent: &AgentId, subscriptions: usize) {
        self.all = self.all.saturating_sub(subscriptions);
        let Some(count) = self.by_agent.get_mut(agent) else { return };
        *count = count.saturating_sub(subscriptions);
        if *count == 0 {
            self.by_agent.remove(agent);
        }
    }
}
