//! What an index keeps of a record, and which of it a filter asks for.
//!
//! A term is a hash: an index that finds a record by it has a candidate, and the [`Matcher`](super::Matcher) decides.

use super::{Audience, parties};
use crate::record::{Looked, Record};
use openmesh_message::frame::{LogFilter, Verdict};
use openmesh_message::{AgentId, Digest, TopicPattern};

/// The kind that most records are of.
const MESSAGE_KIND: &str = "message";
const TERM_CONTEXT: &str = "openmesh index term v1";

/// One thing a record can be found by; the field it is of stands in its highest byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

/// All that a record can be found by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Sorted, each once.
    pub terms: Vec<Term>,
    /// The pinned topic it went to, whose term is among them.
    pub topic: Option<String>,
}

/// What a filter asks an index for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// A record that matches has all of these.
    pub all: Vec<Term>,
    /// And the term of a topic that this matches.
    pub pattern: Option<TopicPattern>,
}

#[derive(Clone, Copy)]
enum Field {
    Id = 1,
    Agent = 2,
    Topic = 3,
    Conversation = 4,
    MessageType = 5,
    Performative = 6,
    Kind = 7,
    Audience = 8,
    AgentKind = 9,
}

impl Term {
    /// The term of a topic.
    pub fn of_topic(topic: &str) -> Self {
        Self::of(Field::Topic, topic.as_bytes())
    }

    fn of(field: Field, value: &[u8]) -> Self {
        let hash = Digest::of_parts(TERM_CONTEXT, &[&[field as u8], value]);
        let low = hash.as_bytes().iter().take(7).fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Self((field as u64) << 56 | low)
    }

    /// Those by which an index finds every record that an agent may read, and others to topics; where a filter names
    /// a kind that messages are not of, only records of that kind.
    pub fn readable_by(reader: &AgentId, filter: &LogFilter) -> Vec<Self> {
        let kind = filter.kind.as_deref().or(filter.verdict.map(Verdict::kind));
        let own = match kind.filter(|kind| *kind != MESSAGE_KIND) {
            Some(kind) => Self::of_agent_and_kind(reader, kind),
            None => Self::of_agent(reader),
        };
        let audiences = match kind.and_then(Audience::of_kind) {
            Some(audience) => vec![audience],
            None => vec![Audience::Topic, Audience::Domain],
        };
        std::iter::once(own).chain(audiences.into_iter().filter_map(Self::of_audience)).collect()
    }

    fn of_audience(audience: Audience) -> Option<Self> {
        match audience {
            Audience::Topic => Some(Self::of(Field::Audience, b"topic")),
            Audience::Domain => Some(Self::of(Field::Audience, b"domain")),
            Audience::Parties => None,
        }
    }

    /// Refusals, leases and the like of others are many: without a term for one's own a search would cross them all.
    fn of_agent_and_kind(agent: &AgentId, kind: &str) -> Self {
        Self::of(Field::AgentKind, format!("{agent} {kind}").as_bytes())
    }

    fn of_agent(agent: &AgentId) -> Self {
        Self::of(Field::Agent, agent.to_string().as_bytes())
    }
}

impl Terms {
    /// Reads a record.
    pub fn of(record: &Record) -> Self {
        let kind = record.header.outcome.kind();
        debug_assert!(
            Audience::of_kind(kind).is_none_or(|audience| audience == Audience::of(&record.header)),
            "{kind}"
        );
        let mut terms = vec![Term::of(Field::Kind, kind.as_bytes())];
        terms.extend(parties(&record.header).map(Term::of_agent));
        if kind != MESSAGE_KIND {
            terms.extend(parties(&record.header).map(|agent| Term::of_agent_and_kind(agent, kind)));
        }
        terms.extend(Term::of_audience(Audience::of(&record.header)));
        let topic = record.topic().map(str::to_owned);
        terms.extend(topic.as_deref().map(Term::of_topic));
        let conversations =
            record.header.logs.iter().filter_map(|log| log.log.0.strip_prefix("conversation/"));
        terms.extend(conversations.map(|id| Term::of(Field::Conversation, id.as_bytes())));
        let mut add = |field, value: Option<&str>| {
            terms.extend(value.map(|value| Term::of(field, value.as_bytes())));
        };
        if let Some(message) = record.message() {
            add(Field::Id, message.attributes.get("id"));
            add(Field::MessageType, message.attributes.get("type"));
            add(Field::Performative, message.attributes.get("performative"));
        }
        if let Some(refused) = record.refused() {
            add(Field::Id, refused.id.as_deref());
            add(Field::Conversation, refused.conversation.as_deref());
            add(Field::Performative, refused.performative.as_deref());
        }
        terms.sort_unstable();
        terms.dedup();
        Self { terms, topic }
    }
}

impl Sought {
    /// Reads a filter; times are not among the terms.
    pub fn of(filter: &LogFilter) -> Self {
        let pattern = filter.topic.as_deref().and_then(|topic| topic.parse::<TopicPattern>().ok());
        let is_topic = |pattern: &TopicPattern| !pattern.as_str().contains('*');
        let exact =
            pattern.as_ref().filter(|pattern| is_topic(pattern)).map(|topic| Term::of_topic(topic.as_str()));
        let text =
            |field, value: &Option<String>| value.as_ref().map(|value| Term::of(field, value.as_bytes()));
        let kind = |kind: &str| Term::of(Field::Kind, kind.as_bytes());
        let sought = [
            text(Field::Id, &filter.id),
            filter.agent.as_ref().map(Term::of_agent),
            exact,
            text(Field::Conversation, &filter.conversation),
            text(Field::MessageType, &filter.message_type),
            text(Field::Performative, &filter.performative),
            filter.kind.as_deref().map(kind),
            filter.verdict.map(|verdict| kind(verdict.kind())),
        ];
        Self {
            all: sought.into_iter().flatten().collect(),
            pattern: pattern.filter(|pattern| !is_topic(pattern)),
        }
    }
}
