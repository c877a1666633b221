//! Who is registered under which name, with which keys and tokens.

pub(crate) mod shared_map;
mod stored;
pub(crate) mod tokens;
pub(crate) mod topics;

pub use tokens::{IssuedToken, Tokens};

use crate::planted::{self, Planted};
use crate::record::{Custody, Record};
use openmesh_message::{AgentId, AgentName, AgentRef, Digest, Timestamp};
use openmesh_policy::Authenticity;
use serde::{Deserialize, Serialize};
use shared_map::SharedMap;
use std::collections::BTreeMap;

/// The agents of the domain. Copies share what they have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Directory {
    agents: SharedMap<AgentId, Agent>,
    names: SharedMap<AgentName, AgentId>,
}

/// One registered agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// The name the domain gave it.
    pub name: AgentName,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// The keys that the node keeps for it.
    #[serde(default)]
    pub keys: BTreeMap<AgentId, CustodialKey>,
}

/// A key that the node keeps for an agent: what it is derived from, never the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustodialKey {
    /// What the custodian makes it from.
    pub nonce: Digest,
    /// Since when it can sign for the agent.
    pub since: Timestamp,
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

    /// How a sender is known by a proof made with a key; `None` if the key is not the sender's.
    pub fn authenticity(&self, source: &AgentId, keyid: &AgentId) -> Option<Authenticity> {
        let kept = self.agents.get(source).is_some_and(|agent| agent.keys.contains_key(keyid));
        if kept && !planted::has(Planted::CustodialAsSigned) {
            return Some(Authenticity::Custodial);
        }
        (kept || keyid == source).then_some(Authenticity::Signed)
    }

    /// How many agents are registered.
    pub const fn count(&self) -> usize {
        self.agents.len()
    }

    /// Every agent, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&AgentId, &Agent)> {
        self.agents.iter()
    }

    /// Takes in what a record says of agents.
    pub fn note(&mut self, record: &Record) {
        let at = record.header.at;
        if let Some((agent, name)) = record.header.outcome.registered()
            && let Ok(name) = name.parse()
        {
            self.register(agent, name, at);
        }
        if let Some((agent, custody)) = record.header.outcome.custody() {
            self.keep_key(&agent, custody, at);
        }
    }

    pub(crate) fn register(&mut self, id: AgentId, name: AgentName, at: Timestamp) {
        self.names.insert(name.clone(), id);
        self.agents.insert(id, Agent { name, registered_at: at, keys: BTreeMap::new() });
    }

    fn keep_key(&mut self, agent: &AgentId, custody: &Custody, at: Timestamp) {
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.keys.insert(custody.key, CustodialKey { nonce: custody.nonce, since: at });
        }
    }
}

impl Agent {
    /// The latest key that the node keeps for the agent.
    pub fn custodial_key(&self) -> Option<(&AgentId, &CustodialKey)> {
        self.keys.iter().max_by_key(|(_, kept)| kept.since)
    }

    /// Whether the agent has no key but those that the node keeps: `id` is its own id.
    pub fn is_keyless(&self, id: &AgentId) -> bool {
        self.keys.contains_key(id)
    }
}
