//! Records: one kept message or event together with its outcome. What the log holds, and all that recovery reads.
//!
//! A record is a header and a body. The header commits to the body under a salt, so that a body can be erased later
//! without breaking the chain over headers.

mod commitment;
mod glance;
mod older;
mod outcome;
mod recollection;
mod render;
mod sealing;
mod text;

pub(crate) use commitment::Parts;
pub use commitment::{commitment, of_version as commitment_of_version};
pub(crate) use glance::Glance;
pub use glance::Looked;
pub use outcome::{Accepted, Checkpoint, Custody, Erasure, Outcome, Put, Settlement, Step};
pub use recollection::Recollection;
pub use render::{message as message_json, to_json};
pub use sealing::{SealedBody, Sealing};
pub(crate) use text::{Texts, to_text};

use minicbor::{Decode, Encode};
use older::StepForm;
use openmesh_message::{AgentId, Digest, Envelope, LogName, LogSeq, Position, Timestamp, Transit};
use std::sync::Arc;

/// The version of the record format this crate writes; it refuses newer ones.
pub const RECORD_VERSION: u16 = 5;
const INBOX: &str = "inbox/";

/// One entry of the physical log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What stays for good.
    pub header: Header,
    /// What can be erased.
    pub body: Body,
}

/// The part of a record that stays for good.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(context_bound = "StepForm")]
pub struct Header {
    /// [`RECORD_VERSION`].
    #[n(0)]
    pub version: u16,
    /// Where the record stands.
    #[n(1)]
    pub position: Position,
    /// When it was decided; recovery and replay take this as their clock.
    #[n(2)]
    pub at: Timestamp,
    /// The logical logs it is in, its destination's first.
    #[n(3)]
    pub logs: Vec<LogSeq>,
    /// Who caused it; `None` for timers and the node's own.
    #[n(4)]
    pub sender: Option<AgentId>,
    /// What came of it.
    #[n(5)]
    pub outcome: Outcome,
    /// The policy it was decided under.
    #[n(6)]
    pub policy_version: Digest,
    /// To salt and body.
    #[n(7)]
    pub commitment: Digest,
}

/// The part of a record that can be erased.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Body {
    /// Nothing.
    #[n(0)]
    Empty,
    /// The message, as it was sent.
    #[n(1)]
    Message(#[cbor(n(0), with = "shared")] Arc<Envelope>),
    /// What is known of a refused message.
    #[n(2)]
    Refused(#[n(0)] RefusedMessage),
    /// A definition or policy in its stored form.
    #[n(3)]
    Text(#[n(0)] String),
    /// The owner's signature over the header's claim.
    #[n(4)]
    Claim(#[n(0)] openmesh_message::Signature),
    /// Erased: how a record without its body is held in memory. It stands in no log.
    #[n(5)]
    Erased,
}

/// What is kept of a refused message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RefusedMessage {
    /// Its digest.
    #[n(0)]
    pub digest: Digest,
    /// Its id, where it could be read.
    #[n(1)]
    pub id: Option<String>,
    /// Its conversation, where it could be read.
    #[n(2)]
    pub conversation: Option<String>,
    /// Its performative, where it could be read.
    #[n(3)]
    pub performative: Option<String>,
    /// What the sender was told.
    #[n(4)]
    pub detail: String,
}

/// Why bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a later version of the program.
    #[error(
        "the record was written by a newer version (format {0}, this program reads up to {RECORD_VERSION})"
    )]
    Newer(u16),
    /// Cannot be read.
    #[error("the record cannot be read: {0}")]
    Malformed(String),
    /// The body is not the one the header commits to.
    #[error("the record's body is not the one its header commits to")]
    Commitment,
}

/// Whether a body is the one that an encoded header commits to, for checks that know nothing else of records.
pub fn is_committed(header: &[u8], salt: &[u8; 16], body: &[u8]) -> bool {
    decode_header(header).is_ok_and(|header| header.commits_to(salt, body))
}

/// Decodes a header, refusing one of a newer version.
pub fn decode_header(bytes: &[u8]) -> Result<Header, RecordError> {
    let malformed = |error: minicbor::decode::Error| RecordError::Malformed(error.to_string());
    let mut decoder = minicbor::Decoder::new(bytes);
    let version = decoder.array().and_then(|_| decoder.u16()).map_err(malformed)?;
    if version > RECORD_VERSION {
        return Err(RecordError::Newer(version));
    }
    older::header(version, bytes).map_err(malformed)
}

impl Record {
    /// Decodes a record and checks that its body is the one committed to.
    pub fn decode(header: &[u8], salt: &[u8; 16], body: &[u8]) -> Result<Self, RecordError> {
        let header = decode_header(header)?;
        if !header.commits_to(salt, body) {
            return Err(RecordError::Commitment);
        }
        let malformed = |error: minicbor::decode::Error| RecordError::Malformed(error.to_string());
        Ok(Self { header, body: minicbor::decode(body).map_err(malformed)? })
    }

    /// Decodes a record whose body was erased.
    pub fn decode_erased(header: &[u8]) -> Result<Self, RecordError> {
        Ok(Self { header: decode_header(header)?, body: Body::Erased })
    }

    /// Whether its body was erased.
    pub const fn is_erased(&self) -> bool {
        matches!(self.body, Body::Erased)
    }

    /// The message, where the record holds one.
    pub fn message(&self) -> Option<&Envelope> {
        match &self.body {
            Body::Message(envelope) => Some(envelope),
            _ => None,
        }
    }

    /// The step of a conversation, where the record is one.
    pub const fn step(&self) -> Option<&Step> {
        self.header.step()
    }

    /// The pinned topic that its message went to.
    pub fn topic(&self) -> Option<&str> {
        self.header.topic()
    }

    /// The agent whose inbox it changed otherwise than by an entry.
    pub const fn inbox_changed(&self) -> Option<AgentId> {
        match &self.header.outcome {
            Outcome::Leased { agent, .. }
            | Outcome::Extended { agent, .. }
            | Outcome::Settled { agent, .. }
            | Outcome::Recalled { agent, .. } => Some(*agent),
            _ => None,
        }
    }

    /// The entries it made in inboxes.
    pub fn puts(&self) -> &[Put] {
        self.header.puts()
    }
}

impl Header {
    /// The pinned topic that the record's message went to.
    pub fn topic(&self) -> Option<&str> {
        self.logs.iter().find_map(|log| log.log.0.strip_prefix("topic/"))
    }

    /// The entries that the record made in inboxes.
    pub fn puts(&self) -> &[Put] {
        match &self.outcome {
            Outcome::Accepted(Accepted { puts, .. }) | Outcome::Fired { puts, .. } => puts,
            _ => &[],
        }
    }

    /// The step of a conversation, where the record is one.
    pub const fn step(&self) -> Option<&Step> {
        match &self.outcome {
            Outcome::Accepted(accepted) => accepted.step.as_ref(),
            Outcome::Fired { step, .. } => Some(step),
            _ => None,
        }
    }

    fn commits_to(&self, salt: &[u8; 16], body: &[u8]) -> bool {
        commitment::of_version(self.version, salt, body) == self.commitment
    }

    /// A kept message as it is handed over to all alike: with the transit part that says where it is kept, but not in
    /// whose inboxes.
    pub fn stamp(&self, sent: &Envelope) -> Envelope {
        self.stamped(sent.clone(), |log| inbox_of(log).is_none())
    }

    /// The same for one reader, whose own inbox stands in it.
    pub fn stamp_for(&self, sent: Envelope, reader: &InboxLog) -> Envelope {
        self.stamped(sent, |log| inbox_of(log).is_none() || log.log == reader.0)
    }

    fn stamped(&self, sent: Envelope, shown: impl Fn(&LogSeq) -> bool) -> Envelope {
        let logs = self.logs.iter().filter(|log| shown(log));
        let transit = Transit {
            position: Some(self.position),
            logs: logs.cloned().collect(),
            receivedtime: Some(self.at),
            ..sent.transit
        };
        Envelope { transit, ..sent }
    }
}

/// The logical log of what is put into an agent's inbox. Its name takes a while to write, and a lease of many messages
/// writes it once.
#[derive(Clone, Debug)]
pub struct InboxLog(LogName);

impl InboxLog {
    /// That of an agent.
    pub fn of(agent: &AgentId) -> Self {
        Self(LogName(format!("{INBOX}{agent}").into()))
    }

    /// Whether a logical log that a record stands in is shown to the agent: no other agent's inbox is.
    pub(crate) fn is_shown(&self, log: &LogSeq) -> bool {
        inbox_of(log).is_none() || log.log == self.0
    }
}

fn inbox_of(log: &LogSeq) -> Option<&str> {
    log.log.0.strip_prefix(INBOX)
}

/// An envelope that is shared, encoded as one that is not.
mod shared {
    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};
    use openmesh_message::Envelope;
    use std::sync::Arc;

    pub(super) fn encode<C, W: Write>(
        envelope: &Arc<Envelope>,
        encoder: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.encode_with(&**envelope, context)?.ok()
    }

    pub(super) fn decode<C>(
        decoder: &mut Decoder<'_>,
        context: &mut C,
    ) -> Result<Arc<Envelope>, DecodeError> {
        decoder.decode_with(context).map(Arc::new)
    }
}
