//! Whether a record is what a filter looks for.

use super::parties;
use crate::record::{Header, Looked};
use openmesh_message::frame::LogFilter;
use openmesh_message::{TopicPath, TopicPattern};

/// A filter whose parts are read once, for many records.
#[derive(Clone, Debug)]
pub struct Matcher {
    filter: LogFilter,
    topic: Option<Topic>,
    /// `conversation/<uuid>`
    conversation_log: Option<String>,
}

#[derive(Clone, Debug)]
enum Topic {
    /// One topic: a pattern without wildcards.
    Path(TopicPattern),
    Matching(TopicPattern),
    /// The filter's pattern is none: nothing matches it.
    Nothing,
}

impl Matcher {
    /// Reads a filter.
    pub fn new(filter: &LogFilter) -> Self {
        let topic = filter.topic.as_deref().map(Topic::of);
        let conversation_log = filter.conversation.as_ref().map(|id| format!("conversation/{id}"));
        Self { filter: filter.clone(), topic, conversation_log }
    }

    /// Whether everything the filter names fits.
    pub fn matches(&self, record: &impl Looked) -> bool {
        self.fits_header(record.header()) && self.fits_message(record)
    }

    /// Whether what the filter names of a header fits.
    pub(super) fn fits_header(&self, header: &Header) -> bool {
        let filter = &self.filter;
        let kind = header.outcome.kind();
        filter.kind.as_deref().is_none_or(|asked| asked == kind)
            && filter.verdict.is_none_or(|verdict| verdict.kind() == kind)
            && filter.since.is_none_or(|since| header.at >= since)
            && filter.until.is_none_or(|until| header.at < until)
            && filter.agent.as_ref().is_none_or(|asked| parties(header).any(|agent| agent == asked))
            && self.topic.as_ref().is_none_or(|topic| topic.fits(header.topic()))
    }

    fn fits_message(&self, record: &impl Looked) -> bool {
        let filter = &self.filter;
        let attribute = |name: &str| record.attribute(name);
        let refused = record.refused();
        let fits_id = |id: &String| {
            attribute("id") == Some(id) || refused.is_some_and(|refused| refused.id.as_ref() == Some(id))
        };
        let fits_performative = |asked: &String| {
            attribute("performative") == Some(asked)
                || refused.is_some_and(|refused| refused.performative.as_ref() == Some(asked))
        };
        let fits_conversation = |log: &String| {
            record.header().logs.iter().any(|in_log| *in_log.log.0 == **log)
                || refused.is_some_and(|refused| refused.conversation == filter.conversation)
        };
        filter.id.as_ref().is_none_or(fits_id)
            && filter.performative.as_ref().is_none_or(fits_performative)
            && filter.message_type.as_deref().is_none_or(|asked| attribute("type") == Some(asked))
            && self.conversation_log.as_ref().is_none_or(fits_conversation)
    }
}

impl Topic {
    fn of(pattern: &str) -> Self {
        match pattern.strip_prefix("topic:").unwrap_or(pattern).parse::<TopicPattern>() {
            Ok(pattern) if pattern.as_str().contains('*') => Self::Matching(pattern),
            Ok(path) => Self::Path(path),
            Err(_) => Self::Nothing,
        }
    }

    fn fits(&self, topic: Option<&str>) -> bool {
        match (self, topic) {
            (Self::Path(path), Some(topic)) => path.as_str() == topic,
            (Self::Matching(pattern), Some(topic)) => {
                topic.parse::<TopicPath>().is_ok_and(|topic| pattern.matches(&topic))
            }
            (Self::Nothing, _) | (_, None) => false,
        }
    }
}
