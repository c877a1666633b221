//! The attributes that steer a message, read from their text once and typed.

mod reader;

use crate::limits::{INVITES_MAX, MESSAGE_ID_BYTES_MAX, PARENTS_MAX, excerpt};
use crate::{
    Address, AgentId, Attributes, ConversationId, Digest, Performative, PinnedName, Target, Timestamp,
};
use minicbor::{Decode, Encode};
use reader::{Reader, read, read_list, read_required};
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

/// Attributes of the vocabulary that this version cannot honour: their presence refuses the message.
const NOT_BUILT: [&str; 7] = ["route", "budget", "hopsmax", "delegation", "taint", "dataref", "sealed"];
/// Attributes that every node of this version understands, and may so be named in `critical`.
const UNDERSTOOD: [&str; 24] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "datacontenttype",
    "dataschema",
    "subject",
    "to",
    "performative",
    "protocol",
    "conversationid",
    "inreplyto",
    "replyto",
    "replyby",
    "parents",
    "expirytime",
    "notbefore",
    "acklevel",
    "priority",
    "more",
    "invite",
    "critical",
    "stream",
];
const SPECVERSION: &str = "1.0";

/// The steering attributes of a message. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlAttributes {
    /// The sender's own name for the message, unique for that sender.
    pub id: Arc<str>,
    /// When the sender made it.
    pub time: Timestamp,
    /// The conversation it is part of.
    pub conversation: Option<ConversationId>,
    /// The message it answers.
    pub in_reply_to: Option<String>,
    /// Until when an answer is of use.
    pub reply_by: Option<Timestamp>,
    /// Digests of the messages this one follows.
    pub parents: Vec<Digest>,
    /// After this time the message is of no use.
    pub expiry: Option<Timestamp>,
    /// All others, which the messages of a connection often share.
    steering: Arc<Steering>,
}

/// The steering attributes that say nothing of one message alone: messages of one [`Form`](crate::Form) share them.
#[derive(Debug, PartialEq, Eq)]
pub struct Steering {
    /// The sender.
    pub source: AgentId,
    /// The CloudEvents `type`.
    pub kind: String,
    /// Where it goes.
    pub to: Address,
    /// What it does.
    pub performative: Performative,
    /// The protocol its conversation follows.
    pub protocol: Option<PinnedName>,
    /// Where answers go, if not to the sender.
    pub reply_to: Option<Address>,
    /// Whether further parts of the same answer follow.
    pub more: bool,
    /// The schema of the payload.
    pub schema: Option<PinnedName>,
    /// The media type of the payload.
    pub content_type: Option<String>,
    /// Until this time the message waits in its inbox.
    pub not_before: Option<Timestamp>,
    /// The least level at which the sender wants it kept.
    pub ack_level: Option<AckLevel>,
    /// How urgent it is.
    pub priority: Priority,
    /// Roles and agents that the first act of a conversation invites.
    pub invites: Vec<(String, AgentId)>,
    /// The media type of the items of the stream that the message offers.
    pub stream: Option<String>,
}

/// The least level of keeping that a sender asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AckLevel {
    /// In the node's memory.
    Received,
    /// Synced at some node.
    Edge,
    /// Synced at the home node.
    Durable,
}

/// How urgent a message is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Priority {
    /// Before all else.
    #[n(0)]
    Critical,
    /// Before ordinary traffic.
    #[n(1)]
    Urgent,
    /// Ordinary traffic.
    #[n(2)]
    #[default]
    Normal,
    /// When there is nothing else to do.
    #[n(3)]
    Bulk,
}

/// Why the steering attributes cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// A required attribute is missing.
    #[error("the attribute `{0}` is missing")]
    Missing(&'static str),
    /// An attribute's value cannot be read.
    #[error("the attribute `{name}`: {why}")]
    Malformed {
        /// The attribute.
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The destination is relative.
    #[error("the attribute `{name}`: {why}")]
    Relative {
        /// The attribute.
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The attribute is one that this version cannot honour, or `critical` names one it does not know.
    #[error("the attribute `{0}` is not supported by this node")]
    Unsupported(String),
}

impl ControlAttributes {
    /// Reads the steering attributes of a message.
    pub fn parse(attributes: &Attributes) -> Result<Self, ControlError> {
        check_supported(attributes)?;
        Self::parse_with(attributes, || Steering::parse(attributes).map(Arc::new))
    }

    /// The same, where what earlier messages of its form share with it was read before.
    pub fn parse_alike(attributes: &Attributes, steering: &Arc<Steering>) -> Result<Self, ControlError> {
        Self::parse_with(attributes, || Ok(Arc::clone(steering)))
    }

    /// What it shares with other messages.
    pub const fn steering(&self) -> &Arc<Steering> {
        &self.steering
    }

    fn parse_with(
        attributes: &Attributes,
        steering: impl FnOnce() -> Result<Arc<Steering>, ControlError>,
    ) -> Result<Self, ControlError> {
        let [id, time, parents, reply_by, in_reply_to, expiry, conversation] = attributes.own();
        let (id, time) = (read_id(id)?, read_required("time", time)?);
        let steering = steering()?;
        let control = Self {
            id,
            time,
            conversation: read("conversationid", conversation, str::parse)?,
            in_reply_to: in_reply_to.map(str::to_owned),
            reply_by: read("replyby", reply_by, str::parse)?,
            parents: read_list("parents", parents, PARENTS_MAX, str::parse)?,
            expiry: read("expirytime", expiry, str::parse)?,
            steering,
        };
        control.check_agreement()?;
        Ok(control)
    }

    fn check_agreement(&self) -> Result<(), ControlError> {
        if self.protocol.is_some() != self.conversation.is_some() {
            let name = if self.protocol.is_some() { "conversationid" } else { "protocol" };
            return Err(ControlError::Missing(name));
        }
        if self.not_before.is_some_and(|not_before| self.expiry.is_some_and(|expiry| expiry <= not_before)) {
            let why = "it is not before `expirytime`, so the message could never be read".to_owned();
            return Err(ControlError::Malformed { name: "notbefore", why });
        }
        Ok(())
    }
}

fn read_id(text: Option<&str>) -> Result<Arc<str>, ControlError> {
    let id = text.ok_or(ControlError::Missing("id"))?;
    if id.len() > MESSAGE_ID_BYTES_MAX {
        let why = format!("longer than {MESSAGE_ID_BYTES_MAX} bytes");
        return Err(ControlError::Malformed { name: "id", why });
    }
    Ok(id.into())
}

impl Deref for ControlAttributes {
    type Target = Steering;

    fn deref(&self) -> &Steering {
        &self.steering
    }
}

impl Steering {
    fn parse(attributes: &Attributes) -> Result<Self, ControlError> {
        let read = Reader(attributes);
        let control = Self {
            source: read.required("source")?,
            kind: read.text("type").ok_or(ControlError::Missing("type"))?,
            to: read.address("to")?.ok_or(ControlError::Missing("to"))?,
            performative: read.required("performative")?,
            protocol: read.by("protocol", PinnedName::parse_protocol_uri)?,
            reply_to: read.address("replyto")?,
            more: read.optional("more")?.unwrap_or(false),
            schema: read.by("dataschema", PinnedName::parse_schema_uri)?,
            content_type: read.text("datacontenttype"),
            not_before: read.optional("notbefore")?,
            ack_level: read.optional("acklevel")?,
            priority: read.optional("priority")?.unwrap_or_default(),
            invites: read.list("invite", INVITES_MAX, parse_invite)?,
            stream: read.text("stream"),
        };
        control.check_agreement()?;
        Ok(control)
    }

    /// Whether the message is an act of a conversation.
    pub const fn is_act(&self) -> bool {
        self.protocol.is_some()
    }

    fn check_agreement(&self) -> Result<(), ControlError> {
        if let Some(schema) = &self.schema
            && schema.versioned.type_name() != self.kind
        {
            let why =
                format!("does not agree with the schema, whose type is `{}`", schema.versioned.type_name());
            return Err(ControlError::Malformed { name: "type", why });
        }
        if self.stream.is_some() && !matches!(self.to.target, Target::Agent(_) | Target::Inbox(_)) {
            let why = "a stream goes to one agent".to_owned();
            return Err(ControlError::Malformed { name: "stream", why });
        }
        self.check_not_before()
    }

    /// Only mail waits: an act takes effect at once, and a topic's messages keep its order.
    fn check_not_before(&self) -> Result<(), ControlError> {
        if self.not_before.is_none() {
            return Ok(());
        }
        let why = if self.is_act() {
            "an act of a conversation takes effect at once"
        } else if !matches!(self.to.target, Target::Agent(_) | Target::Inbox(_)) {
            "only a message to an agent or an inbox can wait"
        } else {
            return Ok(());
        };
        Err(ControlError::Malformed { name: "notbefore", why: why.to_owned() })
    }
}

fn check_supported(attributes: &Attributes) -> Result<(), ControlError> {
    if let Some(name) = NOT_BUILT.iter().find(|name| attributes.get(name).is_some()) {
        return Err(ControlError::Unsupported((*name).to_owned()));
    }
    match attributes.get("specversion") {
        Some(SPECVERSION) => {}
        Some(other) => {
            let why = format!("`{}` is not {SPECVERSION}", excerpt(other));
            return Err(ControlError::Malformed { name: "specversion", why });
        }
        None => return Err(ControlError::Missing("specversion")),
    }
    for name in attributes.get("critical").into_iter().flat_map(|list| list.split(',')) {
        if !UNDERSTOOD.contains(&name) {
            return Err(ControlError::Unsupported(excerpt(name)));
        }
        if attributes.get(name).is_none() {
            let why = format!("names `{name}`, which the message does not carry");
            return Err(ControlError::Malformed { name: "critical", why });
        }
    }
    Ok(())
}

fn parse_invite(item: &str) -> Result<(String, AgentId), String> {
    let (role, agent) = item.split_once('=').ok_or("an invitation is role=agent")?;
    let agent = agent.parse().map_err(|error| format!("{error}"))?;
    Ok((role.to_owned(), agent))
}

impl FromStr for AckLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "received" => Ok(Self::Received),
            "edge" => Ok(Self::Edge),
            "durable" => Ok(Self::Durable),
            _ => Err(format!("`{}` is not received, edge or durable", excerpt(text))),
        }
    }
}

impl Priority {
    /// Every priority, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::Urgent, Self::Normal, Self::Bulk];

    /// As the attribute has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}

impl FromStr for Priority {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "critical" => Ok(Self::Critical),
            "urgent" => Ok(Self::Urgent),
            "normal" => Ok(Self::Normal),
            "bulk" => Ok(Self::Bulk),
            _ => Err(format!("`{}` is not critical, urgent, normal or bulk", excerpt(text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ControlAttributes, ControlError};
    use crate::{Attributes, DomainId, KeyPair};

    fn attributes(extra: &[(&str, &str)]) -> Attributes {
        let source = KeyPair::from_seed(&[1; 32]).unwrap().id().to_string();
        let to = format!("mesh://{}/topic/news", DomainId::from_bytes([1; 32]));
        let mut entries = vec![
            ("specversion", "1.0"),
            ("id", "1"),
            ("source", &source),
            ("type", "note"),
            ("time", "2026-01-01T00:00:00Z"),
            ("to", &to),
            ("performative", "inform"),
        ];
        entries.retain(|(name, _)| extra.iter().all(|(other, _)| other != name));
        let mut attributes = Attributes::default();
        for (name, value) in entries.iter().chain(extra) {
            if *value != "-" {
                attributes.set(name, value).unwrap();
            }
        }
        attributes
    }

    #[test]
    fn a_plain_message_is_read() {
        let control = ControlAttributes::parse(&attributes(&[("critical", "to,time")])).unwrap();
        assert_eq!(control.kind, "note");
        assert!(!control.is_act());
    }

    #[test]
    fn mail_can_wait_and_nothing_else() {
        let to = format!("mesh://{}/agent/bob", DomainId::from_bytes([1; 32]));
        let mail = |extra: &[(&str, &str)]| {
            let wait = [("to", to.as_str()), ("notbefore", "2026-01-01T00:00:01Z")];
            ControlAttributes::parse(&attributes(&[&wait, extra].concat()))
        };
        assert_eq!(mail(&[]).unwrap().not_before.unwrap().to_string(), "2026-01-01T00:00:01.000Z");
        assert!(mail(&[("expirytime", "2026-01-01T00:00:02Z"), ("critical", "notbefore")]).is_ok());
        let never = mail(&[("expirytime", "2026-01-01T00:00:01Z")]).unwrap_err();
        assert!(matches!(never, ControlError::Malformed { name: "notbefore", .. }));
    }

    #[test]
    fn each_fault_is_told_apart() {
        let refuse = |extra: &[(&str, &str)]| ControlAttributes::parse(&attributes(extra)).unwrap_err();
        assert_eq!(refuse(&[("to", "-")]), ControlError::Missing("to"));
        assert!(matches!(refuse(&[("to", "topic/news")]), ControlError::Relative { name: "to", .. }));
        assert_eq!(refuse(&[("critical", "budget")]), ControlError::Unsupported("budget".into()));
        assert_eq!(refuse(&[("budget", "3")]), ControlError::Unsupported("budget".into()));
        assert!(matches!(
            refuse(&[("critical", "replyby")]),
            ControlError::Malformed { name: "critical", .. }
        ));
        assert!(matches!(refuse(&[("time", "noon")]), ControlError::Malformed { name: "time", .. }));
        let wait = ("notbefore", "2026-01-01T00:00:01Z");
        assert!(matches!(refuse(&[wait]), ControlError::Malformed { name: "notbefore", .. }));
        assert!(matches!(refuse(&[("id", &"x".repeat(65))]), ControlError::Malformed { name: "id", .. }));
        assert!(matches!(refuse(&[("specversion", "0.3")]), ControlError::Malformed { .. }));
        assert_eq!(
            refuse(&[("conversationid", "0190c9a0-0000-7000-8000-000000000001")]),
            ControlError::Missing("protocol")
        );
        let schema = format!("mesh-schema:openmesh/market/rfp@v1.0.0?sha256={}", crate::Digest::ZERO);
        assert!(matches!(refuse(&[("dataschema", &schema)]), ControlError::Malformed { name: "type", .. }));
    }
}
