//! Whether a record is what a filter looks for.

use super::parties;
use crate::record::{Body, Record, RefusedMessage};
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
    Matching(TopicPattern),
    /// The filter's pattern is none: nothing matches it.
    Nothing,
}

impl Matcher {
    /// Reads a filter.
    pub fn new(filter: &LogFilter) -> Self {
        let topic = filter.topic.as_deref().map(|pattern| {
            let pattern = pattern.strip_prefix("topic:").unwrap_or(pattern).parse();
            pattern.map_or(Topic::Nothing, Topic::Matching)
        });
        let conversation_log = filter.conversation.as_ref().map(|id| format!("conversation/{id}"));
        Self { filter: filter.clone(), topic, conversation_log }
    }

    /// Whether everything the filter names fits.
    pub fn matches(&self, record: &Record) -> bool {
        self.fits_header(record) && self.fits_message(record)
    }

    fn fits_header(&self, record: &Record) -> bool {
        let (filter, header) = (&self.filter, &record.header);
        let kind = header.outcome.kind();
        filter.kind.as_deref().is_none_or(|asked| asked == kind)
            && filter.verdict.is_none_or(|verdict| verdict.kind() == kind)
            && filter.since.is_none_or(|since| header.at >= since)
            && filter.until.is_none_or(|until| header.at < until)
            && filter.agent.as_ref().is_none_or(|asked| parties(record).any(|agent| agent == asked))
            && self.topic.as_ref().is_none_or(|topic| topic.fits(record))
    }

    fn fits_message(&self, record: &Record) -> bool {
        let filter = &self.filter;
        let attribute = |name: &str| record.message().and_then(|message| message.attributes.get(name));
        let refused = refused(record);
        let fits_id = |id: &String| {
            attribute("id") == Some(id) || refused.is_some_and(|refused| refused.id.as_ref() == Some(id))
        };
        let fits_performative = |asked: &String| {
            attribute("performative") == Some(asked)
                || refused.is_some_and(|refused| refused.performative.as_ref() == Some(asked))
        };
        let fits_conversation = |log: &String| {
            record.header.logs.iter().any(|in_log| *in_log.log.0 == **log)
                || refused.is_some_and(|refused| refused.conversation == filter.conversation)
        };
        filter.id.as_ref().is_none_or(fits_id)
            && filter.performative.as_ref().is_none_or(fits_performative)
            && filter.message_type.as_deref().is_none_or(|asked| attribute("type") == Some(asked))
            && self.conversation_log.as_ref().is_none_or(fits_conversation)
    }
}

impl Topic {
    fn fits(&self, record: &Record) -> bool {
        let topic: Option<TopicPath> = record.topic().and_then(|topic| topic.parse().ok());
        match self {
            Self::Matching(pattern) => topic.is_some_and(|topic| pattern.matches(&topic)),
            Self::Nothing => false,
        }
    }
}

pub(super) fn refused(record: &Record) -> Option<&RefusedMessage> {
    match &record.body {
        Body::Refused(refused) => Some(refused),
        _ => None,
    }
}
