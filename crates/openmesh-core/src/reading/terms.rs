//! What an index keeps of a record, and which of it a filter asks for.
//!
//! A term is a hash: an index that finds a record by it has a candidate, and the [`Matcher`](super::Matcher) decides.

use super::{Audience, Stored, parties};
use crate::record::{Body, Header, Parts, Record, RecordError, RefusedMessage, decode_header};
use openmesh_message::frame::{LogFilter, Verdict};
use openmesh_message::{AgentId, Digest, TopicPattern};

/// The kind that most records are of.
const MESSAGE_KIND: &str = "message";
/// With it, the field and a key, a hash takes one block.
const TERM_CONTEXT: &str = "openmesh index term";
/// One more than the highest field.
const FIELDS: usize = 10;

/// One thing a record can be found by; the field it is of stands in its highest byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

/// Reads what records can be found by. What a field had last is known: neighbours are often alike.
#[derive(Debug, Default)]
pub struct Terms {
    last: [(Vec<u8>, u64); FIELDS],
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
        Self::of_parts(field, &[&[field as u8], value])
    }

    fn of_parts(field: Field, parts: &[&[u8]]) -> Self {
        let hash = Digest::of_parts(TERM_CONTEXT, parts);
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
        audience.name().map(|name| Self::of(Field::Audience, name.as_bytes()))
    }

    /// Refusals, leases and the like of others are many: without a term for one's own a search would cross them all.
    fn of_agent_and_kind(agent: &AgentId, kind: &str) -> Self {
        let field = Field::AgentKind;
        Self::of_parts(field, &[&[field as u8], agent.public_key(), kind.as_bytes()])
    }

    fn of_agent(agent: &AgentId) -> Self {
        Self::of(Field::Agent, agent.public_key())
    }
}

impl Audience {
    /// What those are found by who took no part.
    const fn name(self) -> Option<&'static str> {
        match self {
            Self::Topic => Some("topic"),
            Self::Domain => Some("domain"),
            Self::Parties => None,
        }
    }
}

impl Terms {
    /// Tells of each term of a record, of some more than once. The body is read as it lies there: whoever follows a term to
    /// the record checks that it is the one committed to.
    ///
    /// # Errors
    /// When the bytes are no record.
    pub fn read(&mut self, stored: Stored<'_>, mut note: impl FnMut(Term)) -> Result<Header, RecordError> {
        let Stored { header, salt, body, is_erased } = stored;
        let header = decode_header(header)?;
        self.read_header(&header, &mut note);
        if is_erased {
            return Ok(header);
        }
        let parts = Parts::read(body, |name, value| match name {
            "id" => note(Term::of(Field::Id, value.as_bytes())),
            "type" => note(self.of(Field::MessageType, value.as_bytes())),
            "performative" => note(self.of(Field::Performative, value.as_bytes())),
            _ => {}
        });
        if parts.is_none() {
            read_body(&Record::decode(stored.header, salt, body)?.body, &mut note);
        }
        Ok(header)
    }

    /// The term of a topic.
    pub fn topic(&mut self, topic: &str) -> Term {
        self.of(Field::Topic, topic.as_bytes())
    }

    fn read_header(&mut self, header: &Header, note: &mut impl FnMut(Term)) {
        let (kind, audience) = (header.outcome.kind(), Audience::of(header));
        debug_assert!(Audience::of_kind(kind).is_none_or(|of_kind| of_kind == audience), "{kind}");
        note(self.of(Field::Kind, kind.as_bytes()));
        for agent in parties(header) {
            note(self.of(Field::Agent, agent.public_key()));
            if kind != MESSAGE_KIND {
                note(Term::of_agent_and_kind(agent, kind));
            }
        }
        if let Some(audience) = audience.name() {
            note(self.of(Field::Audience, audience.as_bytes()));
        }
        if let Some(topic) = header.topic() {
            note(self.topic(topic));
        }
        for log in &header.logs {
            if let Some(id) = log.log.0.strip_prefix("conversation/") {
                note(self.of(Field::Conversation, id.as_bytes()));
            }
        }
    }

    fn of(&mut self, field: Field, value: &[u8]) -> Term {
        let Some((known, term)) = self.last.get_mut(field as usize) else { return Term::of(field, value) };
        if known.as_slice() != value || *term == 0 {
            known.clear();
            known.extend_from_slice(value);
            *term = Term::of(field, value).0;
        }
        Term(*term)
    }
}

/// The terms of a body that is no message in its one form.
fn read_body(body: &Body, note: &mut impl FnMut(Term)) {
    let mut add = |field, value: Option<&str>| {
        if let Some(value) = value {
            note(Term::of(field, value.as_bytes()));
        }
    };
    match body {
        Body::Message(message) => {
            add(Field::Id, message.attributes.get("id"));
            add(Field::MessageType, message.attributes.get("type"));
            add(Field::Performative, message.attributes.get("performative"));
        }
        Body::Refused(RefusedMessage { id, conversation, performative, .. }) => {
            add(Field::Id, id.as_deref());
            add(Field::Conversation, conversation.as_deref());
            add(Field::Performative, performative.as_deref());
        }
        _ => {}
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
