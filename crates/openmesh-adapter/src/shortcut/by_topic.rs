//! The shortcuts that were given, by topic, to be ended when who listens, or what the rules say, changes.

use super::{Reader, Shortcut};
use crate::outbox::Outbox;
use crate::planted::{self, Planted};
use openmesh_core::{ConnectionId, Shorten};
use openmesh_message::{TopicPath, TopicPattern};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Weak};

/// Topics without a shortcut that are let go of together.
const IDLE_TOPICS_MAX: usize = 1_024;

/// Shortcuts by topic.
#[derive(Debug, Default)]
pub struct ShortcutsByTopic {
    given: BTreeMap<TopicPath, Vec<Weak<Shortcut>>>,
    /// Topics from which on those without one are let go of.
    topics_max: usize,
}

impl ShortcutsByTopic {
    /// Gives the connection that messages come from a shortcut, unless it has one for their form; `reader` tells the way to a
    /// subscription, if it still has one.
    pub fn give(
        &mut self,
        outbox: &Outbox,
        shorten: Shorten,
        reader: impl FnMut((ConnectionId, u64)) -> Option<Reader>,
    ) {
        let Shorten { form, topic, lane, readers, .. } = shorten;
        if outbox.is_shortened(&form) {
            return;
        }
        let shortcut = Arc::new(Shortcut::new(lane, readers.into_iter().filter_map(reader).collect()));
        outbox.shorten(form, Arc::clone(&shortcut));
        self.add(topic, &shortcut);
    }

    fn add(&mut self, topic: TopicPath, shortcut: &Arc<Shortcut>) {
        if self.given.len() > self.topics_max {
            self.given.retain(|_, given| given.iter().any(is_used));
            self.topics_max = self.given.len() * 2 + IDLE_TOPICS_MAX;
        }
        let given = self.given.entry(topic).or_default();
        given.retain(is_used);
        given.push(Arc::downgrade(shortcut));
    }

    /// Who listens to topics of a pattern has changed.
    pub fn end(&mut self, pattern: &TopicPattern) {
        if planted::has(Planted::OutliveListeners) {
            return;
        }
        if !pattern.has_wildcards() {
            return end_all(self.given.remove(pattern.as_str()));
        }
        let begins = |(topic, _): &(&TopicPath, _)| topic.as_str().starts_with(pattern.prefix());
        let from = (Bound::Included(pattern.prefix()), Bound::Unbounded);
        let near = self.given.range::<str, _>(from).take_while(begins);
        let ended: Vec<_> =
            near.filter(|(topic, _)| pattern.matches(topic)).map(|(topic, _)| topic.clone()).collect();
        ended.iter().for_each(|topic| end_all(self.given.remove(topic)));
    }

    /// What the rules say, or who is known, has changed.
    pub fn end_every(&mut self) {
        if planted::has(Planted::OutliveRules) {
            return;
        }
        end_all(std::mem::take(&mut self.given).into_values());
    }
}

fn is_used(shortcut: &Weak<Shortcut>) -> bool {
    shortcut.upgrade().is_some_and(|shortcut| !shortcut.has_ended())
}

fn end_all(given: impl IntoIterator<Item = impl IntoIterator<Item = Weak<Shortcut>>>) {
    given.into_iter().flatten().filter_map(|shortcut| shortcut.upgrade()).for_each(|shortcut| shortcut.end());
}

#[cfg(test)]
mod tests {
    use super::{Shortcut, ShortcutsByTopic};
    use openmesh_message::Priority;
    use std::sync::Arc;

    #[test]
    fn a_pattern_ends_the_shortcuts_to_its_topics_and_no_others() {
        let topics = ["a/b", "a/b/c", "a-b/c", "b/a/c", "$a/b", "c"];
        for (pattern, ended) in [
            ("a/b", vec!["a/b"]),
            ("a/*", vec!["a/b"]),
            ("a/**", vec!["a/b", "a/b/c"]),
            ("*/*/c", vec!["a/b/c", "b/a/c"]),
            ("**", vec!["a/b", "a/b/c", "a-b/c", "b/a/c", "c"]),
            ("$a/*", vec!["$a/b"]),
            ("d/**", vec![]),
        ] {
            let mut by_topic = ShortcutsByTopic::default();
            let give = |topic: &str| {
                let shortcut = Arc::new(Shortcut::new(Priority::Normal, Vec::new()));
                by_topic.add(topic.parse().unwrap(), &shortcut);
                shortcut
            };
            let given = topics.map(give);
            by_topic.end(&pattern.parse().unwrap());
            let gone = topics.iter().zip(&given).filter(|(_, shortcut)| shortcut.has_ended());
            assert_eq!(gone.map(|(topic, _)| *topic).collect::<Vec<_>>(), ended, "{pattern}");
            by_topic.end_every();
            assert!(given.iter().all(|shortcut| shortcut.has_ended()));
        }
    }
}
