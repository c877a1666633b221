//! Who is connected and who listens to what. Lives as long as the connections do.

pub(crate) mod census;
mod exact;
mod few;
mod shards;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
mod wild;

use crate::input::ConnectionId;
use crate::planted::{self, Planted};
use exact::Exact;
use few::Few;
use openmesh_message::{AgentId, TopicPath, TopicPattern};
use shards::Keyed;
use std::collections::BTreeMap;
use wild::Wild;

/// A subscription: the connection and the number its agent gave it.
pub(crate) type SubscriptionKey = (ConnectionId, u64);

/// The subscription that stands for the agent's own address.
pub(crate) const OWN_ADDRESS: u64 = 0;

/// Connections and subscriptions.
#[derive(Debug)]
pub(crate) struct Routes {
    connections: BTreeMap<ConnectionId, Connection>,
    /// Of each agent, the connections on which it is handed what goes to its own address.
    receiving: BTreeMap<AgentId, Few<ConnectionId>>,
    exact: Exact,
    wild: Wild,
}

/// A subscription that takes in a topic, and the connection it is of.
pub(crate) struct Listening<'a> {
    pub(crate) key: SubscriptionKey,
    pub(crate) at: &'a Connection,
}

/// Whose a connection is, and what is subscribed to on it.
#[derive(Debug)]
pub(crate) struct Connection {
    agent: AgentId,
    subscriptions: BTreeMap<u64, TopicPattern>,
}

impl Connection {
    pub(crate) const fn agent(&self) -> AgentId {
        self.agent
    }

    /// What a subscription takes in.
    pub(crate) fn pattern(&self, subscription: u64) -> Option<&TopicPattern> {
        self.subscriptions.get(&subscription)
    }
}

impl Routes {
    /// Nobody yet. The key is drawn anew for each run: where names lie in memory.
    pub(crate) fn keyed(key: u64) -> Self {
        let keyed = Keyed::new(key);
        Self {
            connections: BTreeMap::new(),
            receiving: BTreeMap::new(),
            exact: Exact::new(keyed),
            wild: Wild::new(keyed),
        }
    }

    pub(crate) fn connect(&mut self, connection: ConnectionId, agent: AgentId, receives: bool) {
        self.connections.insert(connection, Connection { agent, subscriptions: BTreeMap::new() });
        if receives {
            self.receiving.entry(agent).or_default().insert(connection);
        }
    }

    pub(crate) fn disconnect(&mut self, connection: ConnectionId) {
        let Some(Connection { agent, subscriptions }) = self.connections.remove(&connection) else {
            return;
        };
        for (subscription, pattern) in subscriptions {
            self.forget(&pattern, (connection, subscription));
        }
        if let Some(connections) = self.receiving.get_mut(&agent) {
            connections.remove(&connection);
            if connections.is_empty() {
                self.receiving.remove(&agent);
            }
        }
    }

    /// The agent of a connection.
    pub(crate) fn agent(&self, connection: ConnectionId) -> Option<AgentId> {
        self.connections.get(&connection).map(|found| found.agent)
    }

    /// The connections on which an agent is handed what goes to its own address.
    pub(crate) fn receiving(&self, agent: &AgentId) -> impl Iterator<Item = ConnectionId> {
        self.receiving.get(agent).into_iter().flat_map(Few::iter)
    }

    /// Adds a subscription; `false` if the number is in use.
    pub(crate) fn subscribe(&mut self, key: SubscriptionKey, pattern: TopicPattern) -> bool {
        let Some(connection) = self.connections.get_mut(&key.0) else { return false };
        if key.1 == OWN_ADDRESS || connection.subscriptions.contains_key(&key.1) {
            return false;
        }
        let kept = if pattern.has_wildcards() {
            self.wild.insert(&pattern, key);
            pattern
        } else {
            self.exact.insert(pattern, key)
        };
        connection.subscriptions.insert(key.1, kept);
        true
    }

    /// Ends a subscription, and tells what it took in; `None` if there is none.
    pub(crate) fn unsubscribe(&mut self, key: SubscriptionKey) -> Option<TopicPattern> {
        let pattern = self.connections.get_mut(&key.0)?.subscriptions.remove(&key.1)?;
        self.forget(&pattern, key);
        Some(pattern)
    }

    /// How many subscriptions a connection has.
    pub(crate) fn count(&self, connection: ConnectionId) -> usize {
        self.connections.get(&connection).map_or(0, |found| found.subscriptions.len())
    }

    /// The subscriptions that take in a topic: those without wildcards, then in the order of patterns.
    pub(crate) fn matching(&self, topic: &TopicPath) -> Vec<Listening<'_>> {
        let mut matching = Vec::new();
        let mut add = |key: SubscriptionKey| {
            matching.extend(self.connections.get(&key.0).map(|at| Listening { key, at }));
        };
        self.exact.listeners(topic.as_str()).for_each(&mut add);
        if planted::has(Planted::DeliverAnywhere) {
            self.all_wild().for_each(add);
        } else {
            self.wild.find(topic, &mut add);
        }
        matching
    }

    fn forget(&mut self, pattern: &TopicPattern, key: SubscriptionKey) {
        if pattern.has_wildcards() {
            self.wild.remove(pattern, key);
        } else {
            self.exact.remove(pattern, key);
        }
    }

    fn all_wild(&self) -> impl Iterator<Item = SubscriptionKey> {
        self.connections.iter().flat_map(|(connection, found)| {
            let wild = found.subscriptions.iter().filter(|(_, pattern)| pattern.has_wildcards());
            wild.map(|(subscription, _)| (*connection, *subscription))
        })
    }
}
