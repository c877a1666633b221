//! Who is connected and who listens to what. Lives as long as the connections do.

pub(crate) mod stream;

use crate::input::ConnectionId;
use crate::planted::{self, Planted};
use openmesh_message::{AgentId, TopicPath, TopicPattern};
use std::collections::{BTreeMap, BTreeSet};

/// A subscription: the connection and the number its agent gave it.
pub(crate) type SubscriptionKey = (ConnectionId, u64);

/// The subscription that stands for the agent's own address.
pub(crate) const OWN_ADDRESS: u64 = 0;

/// Connections and subscriptions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    agents: BTreeMap<ConnectionId, AgentId>,
    /// Of each agent, the connections on which it is handed what goes to its own address.
    receiving: BTreeMap<AgentId, BTreeSet<ConnectionId>>,
    patterns: BTreeMap<SubscriptionKey, TopicPattern>,
    exact: BTreeMap<TopicPattern, BTreeSet<SubscriptionKey>>,
    wild: BTreeMap<TopicPattern, BTreeSet<SubscriptionKey>>,
}

impl Routes {
    pub(crate) fn connect(&mut self, connection: ConnectionId, agent: AgentId, receives: bool) {
        self.agents.insert(connection, agent);
        if receives {
            self.receiving.entry(agent).or_default().insert(connection);
        }
    }

    pub(crate) fn disconnect(&mut self, connection: ConnectionId) {
        for (_, subscription) in self.of_connection(connection) {
            self.unsubscribe((connection, subscription));
        }
        let Some(agent) = self.agents.remove(&connection) else {
            return;
        };
        if let Some(connections) = self.receiving.get_mut(&agent) {
            connections.remove(&connection);
            if connections.is_empty() {
                self.receiving.remove(&agent);
            }
        }
    }

    /// The agent of a connection.
    pub(crate) fn agent(&self, connection: ConnectionId) -> Option<AgentId> {
        self.agents.get(&connection).copied()
    }

    /// The connections on which an agent is handed what goes to its own address.
    pub(crate) fn receiving(&self, agent: &AgentId) -> impl Iterator<Item = ConnectionId> {
        self.receiving.get(agent).into_iter().flatten().copied()
    }

    /// Adds a subscription; `false` if the number is in use.
    pub(crate) fn subscribe(&mut self, key: SubscriptionKey, pattern: TopicPattern) -> bool {
        if key.1 == OWN_ADDRESS || self.patterns.contains_key(&key) {
            return false;
        }
        self.index_of(&pattern).entry(pattern.clone()).or_default().insert(key);
        self.patterns.insert(key, pattern);
        true
    }

    /// Ends a subscription; `false` if there is none.
    pub(crate) fn unsubscribe(&mut self, key: SubscriptionKey) -> bool {
        let Some(pattern) = self.patterns.remove(&key) else {
            return false;
        };
        let index = self.index_of(&pattern);
        if let Some(keys) = index.get_mut(&pattern) {
            keys.remove(&key);
            if keys.is_empty() {
                index.remove(&pattern);
            }
        }
        true
    }

    /// What a subscription takes in.
    pub(crate) fn pattern(&self, key: SubscriptionKey) -> Option<TopicPattern> {
        self.patterns.get(&key).cloned()
    }

    /// How many subscriptions a connection has.
    pub(crate) fn count(&self, connection: ConnectionId) -> usize {
        self.of_connection(connection).len()
    }

    /// The subscriptions that take in a topic, with their agents.
    pub(crate) fn matching(&self, topic: &TopicPath) -> Vec<(SubscriptionKey, AgentId)> {
        let exact = self.exact.get(&TopicPattern::from(topic)).into_iter().flatten();
        let wild = self
            .wild
            .iter()
            .filter(|(pattern, _)| pattern.matches(topic) || planted::has(Planted::DeliverAnywhere));
        let keys = exact.chain(wild.flat_map(|(_, keys)| keys));
        keys.filter_map(|key| Some((*key, self.agent(key.0)?))).collect()
    }

    fn of_connection(&self, connection: ConnectionId) -> Vec<SubscriptionKey> {
        let range = (connection, 0)..=(connection, u64::MAX);
        self.patterns.range(range).map(|(key, _)| *key).collect()
    }

    fn index_of(&mut self, pattern: &TopicPattern) -> &mut BTreeMap<TopicPattern, BTreeSet<SubscriptionKey>> {
        if pattern.as_str().contains('*') { &mut self.wild } else { &mut self.exact }
    }
}
