//! One reader before many records: whether it may read each, as a policy and a directory have it at one moment.

use super::{Audience, allows, may_ask_for, parties, plain_read};
use crate::admit::destination;
use crate::record::{Accepted, Header, Looked, Outcome};
use crate::view::View;
use openmesh_message::{
    Address, AgentId, Performative, PinnedName, Target, Timestamp, TopicPath, VersionedName,
};
use openmesh_policy::{Authenticity, StaticContext};

/// A reader, and what was decided last: neighbours in an answer are often alike in all that policy reads.
pub(super) struct Readership<'a> {
    view: &'a View,
    reader: AgentId,
    plain: StaticContext<'a>,
    latest: Option<Decided>,
}

/// All that policy reads of a message, and what it said.
struct Decided {
    texts: Texts<String>,
    authenticity: Authenticity,
    /// The topic that the message went to.
    topic: Option<TopicPath>,
    is_allowed: bool,
}

/// The attributes that policy reads.
#[derive(PartialEq)]
struct Texts<T> {
    to: T,
    performative: T,
    schema: Option<T>,
    protocol: Option<T>,
}

/// The same, read.
struct Facts {
    target: Target,
    performative: Performative,
    schema: Option<VersionedName>,
    protocol: Option<VersionedName>,
}

impl<'a> Readership<'a> {
    pub(super) fn new(view: &'a View, reader: AgentId) -> Self {
        Self { view, reader, plain: plain_read(view, &reader), latest: None }
    }

    /// Whether the reader took part in the record, or it went to a topic that still hands it out, and policy allows it.
    pub(super) fn may_read(&mut self, record: &impl Looked, now: Timestamp) -> bool {
        let header = record.header();
        let audience = Audience::of(header);
        if audience == Audience::Parties && !parties(header).any(|party| *party == self.reader) {
            return false;
        }
        let Outcome::Accepted(Accepted { authenticity, .. }) = &header.outcome else {
            return audience == Audience::Parties || allows(self.view, &self.plain);
        };
        if record.is_erased() {
            return self.may_read_header(header, now);
        }
        let view = self.view;
        self.decided(record, *authenticity).is_some_and(|decided| {
            let topic = decided.topic.as_ref();
            decided.is_allowed && topic.is_none_or(|topic| is_handed_out(view, topic, header, now))
        })
    }

    /// The same for a message whose body was erased: its topic stands in the header.
    fn may_read_header(&self, header: &Header, now: Timestamp) -> bool {
        match header.topic().map(str::parse::<TopicPath>) {
            Some(Ok(topic)) => {
                is_handed_out(self.view, &topic, header, now) && may_ask_for(self.view, &self.reader, topic)
            }
            Some(Err(_)) => false,
            None => allows(self.view, &self.plain),
        }
    }

    /// What policy says of a message; `None` where it cannot be read what it is.
    fn decided(&mut self, record: &impl Looked, authenticity: Authenticity) -> Option<&Decided> {
        let texts = Texts {
            to: record.attribute("to")?,
            performative: record.attribute("performative")?,
            schema: record.attribute("dataschema"),
            protocol: record.attribute("protocol"),
        };
        let is_alike = |decided: &Decided| decided.authenticity == authenticity && decided.texts.is(&texts);
        if !self.latest.as_ref().is_some_and(is_alike) {
            self.latest = Some(self.decide(&texts, record.header().topic(), authenticity)?);
        }
        self.latest.as_ref()
    }

    /// A message to a topic is read as one that comes from there; what an agent sent, or what was put into its inbox, as
    /// its own address.
    fn decide(
        &self,
        texts: &Texts<&str>,
        kept_in: Option<&str>,
        authenticity: Authenticity,
    ) -> Option<Decided> {
        let Facts { target, performative, schema, protocol } = Facts::read(texts, kept_in)?;
        let context = StaticContext {
            authenticity,
            performative: Some(&performative),
            schema: schema.as_ref(),
            protocol: protocol.as_ref(),
            ..self.plain
        };
        let is_allowed = match &target {
            Target::Topic(_) => {
                let destination = Some(destination(&target, self.view));
                allows(self.view, &StaticContext { destination, ..context })
            }
            _ => allows(self.view, &context),
        };
        let topic = match target {
            Target::Topic(topic) => Some(topic),
            _ => None,
        };
        Some(Decided { texts: texts.kept(), authenticity, topic, is_allowed })
    }
}

impl Texts<&str> {
    fn kept(&self) -> Texts<String> {
        Texts {
            to: self.to.to_owned(),
            performative: self.performative.to_owned(),
            schema: self.schema.map(str::to_owned),
            protocol: self.protocol.map(str::to_owned),
        }
    }
}

impl Texts<String> {
    fn is(&self, other: &Texts<&str>) -> bool {
        self.to == other.to
            && self.performative == other.performative
            && self.schema.as_deref() == other.schema
            && self.protocol.as_deref() == other.protocol
    }
}

impl Facts {
    fn read(texts: &Texts<&str>, kept_in: Option<&str>) -> Option<Self> {
        let versioned = |pinned: PinnedName| pinned.versioned;
        let schema = texts.schema.map(|uri| PinnedName::parse_schema_uri(uri).map(versioned));
        let protocol = texts.protocol.map(|uri| PinnedName::parse_protocol_uri(uri).map(versioned));
        Some(Self {
            target: read_target(texts.to, kept_in)?,
            performative: texts.performative.parse().ok()?,
            schema: schema.transpose().ok()?,
            protocol: protocol.transpose().ok()?,
        })
    }
}

/// What an address names. That of a topic that is kept need not be taken apart: its path stands in the header as well.
fn read_target(to: &str, kept_in: Option<&str>) -> Option<Target> {
    let is_of = |topic: &&str| {
        let rest = to.strip_suffix(*topic).and_then(|rest| rest.strip_suffix("/topic/"));
        rest.and_then(|rest| rest.strip_prefix("mesh://")).is_some_and(|domain| !domain.contains('/'))
    };
    match kept_in.filter(is_of) {
        Some(topic) => topic.parse().ok().map(Target::Topic),
        None => Some(to.parse::<Address>().ok()?.target),
    }
}

/// Whether the retention of its topic still hands a message out.
fn is_handed_out(view: &View, topic: &TopicPath, header: &Header, now: Timestamp) -> bool {
    // Without a limit, too: what was let go under an earlier one stays away.
    let retention = view.topics.of(topic).map(|(_, setting)| setting.retention).unwrap_or_default();
    let number = header.logs.first().map_or(0, |in_topic| in_topic.seq);
    view.shelves.keeps(topic, (number, header.at), &retention, now)
}
