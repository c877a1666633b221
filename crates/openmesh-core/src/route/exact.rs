//! Who is subscribed to exactly one topic: found by the topic's text, whole.

use super::SubscriptionKey;
use super::few::Few;
use super::shards::{Keyed, Shards};
use openmesh_message::TopicPattern;

/// Subscriptions without wildcards, by topic.
#[derive(Debug)]
pub(super) struct Exact {
    keyed: Keyed,
    topics: Shards<Topic>,
}

#[derive(Debug)]
struct Topic {
    pattern: TopicPattern,
    listeners: Few<SubscriptionKey>,
}

impl Exact {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { keyed, topics: Shards::default() }
    }

    /// Adds a subscription, and gives the pattern as it is kept: of one topic there is one text.
    pub(super) fn insert(&mut self, pattern: TopicPattern, key: SubscriptionKey) -> TopicPattern {
        let hash = self.keyed.hash(0, pattern.as_str());
        if let Some(topic) = self.topics.find_mut(hash, |topic| topic.pattern == pattern) {
            topic.listeners.insert(key);
            return topic.pattern.clone();
        }
        self.topics.insert(hash, Topic { pattern: pattern.clone(), listeners: Few::One(key) });
        pattern
    }

    pub(super) fn remove(&mut self, pattern: &TopicPattern, key: SubscriptionKey) {
        let hash = self.keyed.hash(0, pattern.as_str());
        let Some(topic) = self.topics.find_mut(hash, |topic| topic.pattern == *pattern) else { return };
        topic.listeners.remove(&key);
        if topic.listeners.is_empty() {
            self.topics.remove(hash, |topic| topic.pattern == *pattern);
        }
    }

    /// Who listens to a topic, in the order of their keys.
    pub(super) fn listeners(&self, topic: &str) -> impl Iterator<Item = SubscriptionKey> {
        let hash = self.keyed.hash(0, topic);
        let found = self.topics.find(hash, |other| other.pattern.as_str() == topic);
        found.into_iter().flat_map(|topic| topic.listeners.iter())
    }

    /// How many topics somebody is subscribed to.
    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.topics.len()
    }
}
