//! Drafts: messages in the making, up to their signature.

mod completion;

pub use completion::Defaults;

use crate::{
    Address, AgentId, AttributeError, Attributes, Envelope, KeyPair, Performative, Proof, Timestamp, Transit,
};
use crate::{ConversationId, Digest, PinnedName, Priority};
use bytes::Bytes;

/// The type of messages that name no schema.
const UNTYPED: &str = "mesh/untyped.v1";

/// A message in the making; each method sets one attribute.
#[derive(Clone, Debug)]
#[must_use]
pub struct Draft {
    entries: Vec<(&'static str, String)>,
    extensions: Vec<(String, String)>,
    payload: Bytes,
}

impl Draft {
    /// A message with what every message has; `id` must be unique for its sender.
    pub fn new(id: impl Into<String>, time: Timestamp, to: &Address, performative: &Performative) -> Self {
        let entries = vec![
            ("specversion", "1.0".to_owned()),
            ("id", id.into()),
            ("time", time.to_string()),
            ("to", to.to_string()),
            ("performative", performative.to_string()),
        ];
        Self { entries, extensions: Vec::new(), payload: Bytes::new() }
    }

    /// The payload, byte for byte, and its media type.
    pub fn payload(mut self, content_type: &str, payload: impl Into<Bytes>) -> Self {
        self.payload = payload.into();
        self.with("datacontenttype", content_type)
    }

    /// A JSON payload, which must be RFC 8785 to be readable as such everywhere.
    pub fn json(self, payload: impl Into<Bytes>) -> Self {
        self.payload("application/json", payload)
    }

    /// The schema of the payload; sets `dataschema` and `type`.
    pub fn schema(self, schema: &PinnedName) -> Self {
        self.with("type", schema.versioned.type_name()).with("dataschema", schema.to_schema_uri())
    }

    /// The CloudEvents `type`, for messages without a schema.
    pub fn kind(self, kind: &str) -> Self {
        self.with("type", kind)
    }

    /// The conversation the message is an act of, and the protocol it follows.
    pub fn conversation(self, protocol: &PinnedName, conversation: &ConversationId) -> Self {
        self.with("protocol", protocol.to_protocol_uri()).with("conversationid", conversation.to_string())
    }

    /// The id of the message this one answers.
    pub fn in_reply_to(self, id: &str) -> Self {
        self.with("inreplyto", id)
    }

    /// Until when an answer is of use.
    pub fn reply_by(self, time: Timestamp) -> Self {
        self.with("replyby", time.to_string())
    }

    /// Digests of the messages this one follows.
    pub fn parents(self, parents: &[Digest]) -> Self {
        self.with("parents", join(parents.iter()))
    }

    /// After this time the message is of no use.
    pub fn expires(self, time: Timestamp) -> Self {
        self.with("expirytime", time.to_string())
    }

    /// Until this time the message waits in the inbox of the agent it goes to.
    pub fn not_before(self, time: Timestamp) -> Self {
        self.with("notbefore", time.to_string())
    }

    /// How urgent the message is.
    pub fn priority(self, priority: Priority) -> Self {
        self.with("priority", priority.as_str())
    }

    /// The least level of keeping: `received`, `edge` or `durable`.
    pub fn ack_level(self, level: &str) -> Self {
        self.with("acklevel", level)
    }

    /// Roles and agents that the first act of a conversation invites.
    pub fn invite(self, invites: &[(&str, AgentId)]) -> Self {
        self.with("invite", join(invites.iter().map(|(role, agent)| format!("{role}={agent}"))))
    }

    /// Offers a stream whose items are of this media type.
    pub fn stream(self, content_type: &str) -> Self {
        self.with("stream", content_type)
    }

    /// Any other attribute.
    pub fn extension(mut self, name: &str, value: &str) -> Self {
        self.extensions.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Completes the message without a proof; the connection will vouch for it.
    pub fn unsigned(self, source: &AgentId) -> Result<Envelope, AttributeError> {
        let mut attributes = Attributes::default();
        attributes.set("source", &source.to_string())?;
        for (name, value) in &self.entries {
            attributes.set(name, value)?;
        }
        for (name, value) in &self.extensions {
            attributes.set(name, value)?;
        }
        if attributes.get("type").is_none() {
            attributes.set("type", UNTYPED)?;
        }
        Ok(Envelope { attributes, payload: self.payload, proof: None, transit: Transit::default() })
    }

    /// Completes and signs the message.
    pub fn sign(self, key: &KeyPair) -> Result<Envelope, AttributeError> {
        let mut envelope = self.unsigned(&key.id())?;
        envelope.proof = Some(Proof::sign(key, &envelope.digest()));
        Ok(envelope)
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.entries.push((name, value.into()));
        self
    }
}

fn join(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}
