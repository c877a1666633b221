//! Saying and showing how topics are kept.

use super::{Answer, Caller};
use crate::directory::topics::TopicSetting;
use crate::partition::Partition;
use crate::plan::Plan;
use crate::record::{Body, Outcome};
use crate::rejection::Rejection;
use openmesh_message::frame::{Reply, Retention};
use openmesh_message::{TopicPath, TopicPattern};
use openmesh_policy::{Action, Destination};
use serde_json::{Value, json};

/// Patterns that say how topics are kept.
const SETTINGS_MAX: usize = 1_000;
/// Topics of one answer.
const TOPICS_MAX: u32 = 500;

impl Partition {
    /// Pins topics or sets them free; a retention that was said before stays.
    pub(super) fn pin_topics(
        &mut self,
        caller: Caller,
        topic: &str,
        pinned: bool,
        plan: &mut Plan,
    ) -> Answer {
        let pattern = self.parse_pattern(topic)?;
        let retention = self.state.topics.setting(&pattern).map(|setting| setting.retention);
        self.keep_topics(caller, &pattern, (pinned, retention.unwrap_or_default()), plan)?;
        Ok(Some(Reply::Done))
    }

    /// Says how the topics of a pattern are kept, if what is said so far has the version expected.
    pub(super) fn set_topics(
        &mut self,
        caller: Caller,
        topic: &str,
        (pinned, retention, expected_version): (bool, Retention, Option<u64>),
        plan: &mut Plan,
    ) -> Answer {
        let pattern = self.parse_pattern(topic)?;
        let version = self.state.topics.setting(&pattern).map_or(0, |setting| setting.version);
        if expected_version.is_some_and(|expected| expected != version) {
            return Err(Rejection::OtherVersion(version));
        }
        if [retention.age_ms, retention.bytes, retention.messages].contains(&Some(0)) {
            let why = "a limit of nothing hands nothing out: unpin the topic".to_owned();
            return Err(Rejection::BadArgument("retention", why));
        }
        self.keep_topics(caller, &pattern, (pinned, retention), plan)?;
        Ok(Some(Reply::Rows(vec![self.setting_row(&pattern).to_string()])))
    }

    fn keep_topics(
        &mut self,
        caller: Caller,
        pattern: &TopicPattern,
        (pinned, retention): (bool, Retention),
        plan: &mut Plan,
    ) -> Result<(), Rejection> {
        let is_new = pinned && self.state.topics.setting(pattern).is_none();
        if is_new && self.state.topics.settings().count() >= SETTINGS_MAX {
            let why = format!("{SETTINGS_MAX} patterns say how topics are kept; unpin one");
            return Err(Rejection::BadArgument("topic", why));
        }
        let outcome = Outcome::TopicsSet { pattern: pattern.to_string(), pinned, retention };
        self.commit_administrative(caller, outcome, Body::Empty, plan);
        Ok(())
    }

    pub(super) fn list_topics(&self, caller: Caller) -> Answer {
        self.decide_plain(caller, Action::Read, None)?;
        let row = |(pattern, setting): (&TopicPattern, &TopicSetting)| row_of(pattern, setting).to_string();
        Ok(Some(Reply::Rows(self.state.topics.settings().map(row).collect())))
    }

    /// First how the topic or pattern is kept, then what is there of each of its topics that the caller may read.
    pub(super) fn get_topics(
        &self,
        caller: Caller,
        topic: &str,
        (after, topics_max): (Option<&str>, u32),
    ) -> Answer {
        self.decide_plain(caller, Action::Read, None)?;
        let pattern = self.parse_pattern(topic)?;
        let after = after.map(str::parse::<TopicPath>).transpose();
        let after = after.map_err(|error| Rejection::BadArgument("after", error.to_string()))?;
        let topics = self.state.shelves.topics_after(after.as_ref());
        let readable = topics.filter(|topic| pattern.matches(topic) && self.may_read_topic(caller, topic));
        let rows = readable.take(topics_max.clamp(1, TOPICS_MAX) as usize);
        let rows = rows.filter_map(|topic| self.topic_row(caller, topic));
        let rows = std::iter::once(self.setting_row(&pattern)).chain(rows);
        Ok(Some(Reply::Rows(rows.map(|row| row.to_string()).collect())))
    }

    fn may_read_topic(&self, caller: Caller, topic: &TopicPath) -> bool {
        let mut context = self.context(caller, Action::Read, None);
        context.destination = Some(Destination::Topic(topic));
        self.decide_context(&context).is_ok()
    }

    fn setting_row(&self, pattern: &TopicPattern) -> Value {
        match self.state.topics.setting(pattern) {
            Some(setting) => row_of(pattern, setting),
            None => json!({"pattern": pattern, "pinned": false, "version": 0}),
        }
    }

    fn topic_row(&self, caller: Caller, topic: &TopicPath) -> Option<Value> {
        let (by, setting) = self.state.topics.of(topic).unzip();
        let retention = setting.map(|setting| setting.retention).unwrap_or_default();
        let shown = self.state.shelves.of(topic, &retention, caller.now)?;
        Some(json!({
            "topic": topic, "pinned": by.is_some(), "by": by, "retention": retention,
            "messages": shown.messages(), "first": shown.first, "last": shown.last, "bytes": shown.bytes,
        }))
    }
}

fn row_of(pattern: &TopicPattern, setting: &TopicSetting) -> Value {
    json!({"pattern": pattern, "pinned": true, "retention": setting.retention, "version": setting.version})
}
