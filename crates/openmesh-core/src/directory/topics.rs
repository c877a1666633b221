//! Which topics are kept, and how much of each is handed out.

mod shelf;

pub(crate) use shelf::Shelved;
pub use shelf::{OnShelf, Shelves};

use openmesh_message::frame::Retention;
use openmesh_message::{TopicPath, TopicPattern};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The topics whose messages are kept, by pattern.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredTopics")]
pub struct Topics {
    settings: BTreeMap<TopicPattern, TopicSetting>,
}

/// How the topics of a pattern are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSetting {
    /// How much of them is handed out.
    pub retention: Retention,
    /// The number of the record that said so; 0 where a snapshot of version 1 did.
    pub version: u64,
}

/// Topics as snapshots have them; those of version 1 hold patterns alone.
#[derive(Deserialize)]
struct StoredTopics {
    #[serde(default)]
    pinned: BTreeSet<TopicPattern>,
    #[serde(default)]
    settings: BTreeMap<TopicPattern, TopicSetting>,
}

impl From<StoredTopics> for Topics {
    fn from(stored: StoredTopics) -> Self {
        let mut settings = stored.settings;
        for pattern in stored.pinned {
            settings.entry(pattern).or_default();
        }
        Self { settings }
    }
}

impl Topics {
    /// Whether messages of the topic are kept.
    pub fn is_pinned(&self, topic: &TopicPath) -> bool {
        self.settings.keys().any(|pattern| pattern.matches(topic))
    }

    /// The pattern that says how a topic is kept: of those that take it in, the narrowest.
    pub fn of(&self, topic: &TopicPath) -> Option<(&TopicPattern, &TopicSetting)> {
        let taking = self.settings.iter().filter(|(pattern, _)| pattern.matches(topic));
        taking.max_by_key(|(pattern, _)| narrowness(pattern))
    }

    /// How the topics of exactly this pattern are kept, if that was said.
    pub fn setting(&self, pattern: &TopicPattern) -> Option<&TopicSetting> {
        self.settings.get(pattern)
    }

    /// Every pattern whose topics are kept.
    pub fn pinned(&self) -> impl Iterator<Item = &TopicPattern> {
        self.settings.keys()
    }

    /// Every pattern and how its topics are kept.
    pub fn settings(&self) -> impl Iterator<Item = (&TopicPattern, &TopicSetting)> {
        self.settings.iter()
    }

    /// Keeps or no longer keeps the topics of a pattern; without a retention, that of before stays.
    pub(crate) fn set(
        &mut self,
        pattern: TopicPattern,
        pinned: bool,
        retention: Option<Retention>,
        version: u64,
    ) {
        if pinned {
            let before = self.settings.get(&pattern).map(|setting| setting.retention).unwrap_or_default();
            let retention = retention.unwrap_or(before);
            self.settings.insert(pattern, TopicSetting { retention, version });
        } else {
            self.settings.remove(&pattern);
        }
    }
}

/// More levels that are named make a pattern narrower; then `*` is narrower than `**`.
fn narrowness(pattern: &TopicPattern) -> (usize, bool) {
    let named = pattern.levels().filter(|level| !level.starts_with('*')).count();
    (named, !pattern.as_str().ends_with("**"))
}

#[cfg(test)]
mod tests {
    use super::Topics;
    use openmesh_message::frame::Retention;

    #[test]
    fn the_narrowest_pattern_decides() {
        let mut topics = Topics::default();
        for (version, pattern) in [(1, "**"), (2, "market/**"), (3, "market/*"), (4, "market/rfp")] {
            topics.set(pattern.parse().unwrap(), true, None, version);
        }
        let version = |topic: &str| topics.of(&topic.parse().unwrap()).map(|(_, setting)| setting.version);
        assert_eq!(
            [version("market/rfp"), version("market/news"), version("market/a/b"), version("news")],
            [Some(4), Some(3), Some(2), Some(1)]
        );
        assert_eq!(version("$mesh/health"), None);
    }

    #[test]
    fn a_pin_without_a_retention_leaves_that_of_before() {
        let (mut topics, pattern) = (Topics::default(), "market/**".parse::<super::TopicPattern>().unwrap());
        let retention = Retention { messages: Some(5), ..Retention::UNLIMITED };
        topics.set(pattern.clone(), true, Some(retention), 7);
        topics.set(pattern.clone(), true, None, 8);
        let setting = topics.setting(&pattern).unwrap();
        assert_eq!((setting.retention, setting.version), (retention, 8));
        topics.set(pattern.clone(), false, None, 9);
        assert_eq!(topics.setting(&pattern), None);
    }
}
