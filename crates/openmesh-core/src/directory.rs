//! Who is registered under which name, and which topics are kept.

use openmesh_message::{AgentId, AgentName, AgentRef, Timestamp, TopicPath, TopicPattern};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The agents of the domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Directory {
    agents: BTreeMap<AgentId, Agent>,
    names: BTreeMap<AgentName, AgentId>,
}

/// One registered agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// The name the domain gave it.
    pub name: AgentName,
    /// When it was registered.
    pub registered_at: Timestamp,
}

/// The topics whose messages are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Topics {
    pinned: BTreeSet<TopicPattern>,
}

impl Directory {
    /// What is known of an agent.
    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.agents.get(id)
    }

    /// The agent's name, if it is registered.
    pub fn name(&self, id: &AgentId) -> Option<&str> {
        self.agents.get(id).map(|agent| agent.name.as_str())
    }

    /// The agent a reference means: by name if the name is known, by id as it stands.
    pub fn resolve(&self, reference: &AgentRef) -> Option<AgentId> {
        match reference {
            AgentRef::Id(id) => Some(*id),
            AgentRef::Name(name) => self.names.get(name).copied(),
        }
    }

    /// The agent of a name.
    pub fn named(&self, name: &AgentName) -> Option<AgentId> {
        self.names.get(name).copied()
    }

    /// Every agent, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&AgentId, &Agent)> {
        self.agents.iter()
    }

    pub(crate) fn register(&mut self, id: AgentId, name: AgentName, at: Timestamp) {
        self.names.insert(name.clone(), id);
        self.agents.insert(id, Agent { name, registered_at: at });
    }
}

impl Topics {
    /// Whether messages of the topic are kept.
    pub fn is_pinned(&self, topic: &TopicPath) -> bool {
        self.pinned.iter().any(|pattern| pattern.matches(topic))
    }

    /// Every pattern whose topics are kept.
    pub fn pinned(&self) -> impl Iterator<Item = &TopicPattern> {
        self.pinned.iter()
    }

    pub(crate) fn configure(&mut self, pattern: TopicPattern, pinned: bool) {
        if pinned {
            self.pinned.insert(pattern);
        } else {
            self.pinned.remove(&pattern);
        }
    }
}
