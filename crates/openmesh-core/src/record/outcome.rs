//! What came of an input: the part of a header that says what changed.

use super::older::{StepForm, written_step};
use minicbor::{Decode, Encode};
use openmesh_message::frame::Retention;
use openmesh_message::{AgentId, Digest, Grant, Position, Timestamp, shared_text};
use openmesh_policy::Authenticity;
use openmesh_schema::{Notice, Transition};
use std::sync::Arc;

/// What came of an input.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(context_bound = "StepForm")]
pub enum Outcome {
    /// A message was taken in.
    #[n(0)]
    Accepted(#[n(0)] Accepted),
    /// A message or command of a proven sender was refused.
    #[n(1)]
    Refused {
        /// The stable code.
        #[n(0)]
        code: String,
        /// The state the conversation was in.
        #[n(1)]
        state: Option<String>,
    },
    /// A timer of a conversation fired.
    #[n(2)]
    Fired {
        /// The step and whom it was told.
        #[n(0)]
        step: Step,
        /// Notices put into inboxes.
        #[n(1)]
        puts: Vec<Put>,
    },
    /// Messages were leased out of an inbox.
    #[n(3)]
    Leased {
        /// Whose inbox.
        #[n(0)]
        agent: AgentId,
        /// The fencing token.
        #[n(1)]
        token: u64,
        /// Until when.
        #[n(2)]
        until: Timestamp,
        /// The inbox numbers.
        #[n(3)]
        numbers: Vec<u64>,
    },
    /// A lease was extended.
    #[n(4)]
    Extended {
        /// Whose inbox.
        #[n(0)]
        agent: AgentId,
        /// The fencing token.
        #[n(1)]
        token: u64,
        /// Until when.
        #[n(2)]
        until: Timestamp,
    },
    /// Messages of an inbox were settled.
    #[n(5)]
    Settled {
        /// Whose inbox.
        #[n(0)]
        agent: AgentId,
        /// How.
        #[n(1)]
        settlement: Settlement,
    },
    /// An agent was registered.
    #[n(6)]
    Registered {
        /// The agent.
        #[n(0)]
        agent: AgentId,
        /// Its name.
        #[n(1)]
        name: String,
    },
    /// A schema was published; the body holds its stored form.
    #[n(7)]
    SchemaPublished {
        /// `openmesh/market/rfp@v1.0.0#sha256-…`
        #[n(0)]
        name: String,
    },
    /// A protocol was published; the body holds its stored form.
    #[n(8)]
    ProtocolPublished {
        /// `openmesh/market/negotiation@v1.0.0#sha256-…`
        #[n(0)]
        name: String,
    },
    /// A topic pattern was pinned or set free, as earlier versions wrote it: without a limit.
    #[n(9)]
    TopicsConfigured {
        /// The pattern.
        #[n(0)]
        pattern: String,
        /// Whether matching topics are kept.
        #[n(1)]
        pinned: bool,
    },
    /// A policy came into force; the body holds its text.
    #[n(10)]
    PolicyChanged {
        /// Its version.
        #[n(0)]
        version: Digest,
    },
    /// An owner opened the log under a grown epoch; the body holds its signed claim.
    #[n(11)]
    EpochBegun {
        /// The node that owns the log.
        #[n(0)]
        owner: AgentId,
        /// The last position before.
        #[n(1)]
        previous: Option<Position>,
        /// The chain value at that position.
        #[n(2)]
        previous_chain: Digest,
    },
    /// A message was called back out of an inbox by its sender.
    #[n(20)]
    Recalled {
        /// Whose inbox.
        #[n(0)]
        agent: AgentId,
        /// The inbox number.
        #[n(1)]
        number: u64,
    },
    /// It was said how the topics of a pattern are kept.
    #[n(21)]
    TopicsSet {
        /// The pattern.
        #[n(0)]
        pattern: String,
        /// Whether matching topics are kept.
        #[n(1)]
        pinned: bool,
        /// How much of them is handed out.
        #[n(2)]
        retention: Retention,
    },
    /// A token was issued.
    #[n(30)]
    TokenIssued {
        /// The agent it stands for.
        #[n(0)]
        agent: AgentId,
        /// What is granted to its holder.
        #[n(1)]
        grant: Grant,
        /// The key that the node keeps for the agent from here on, if it made one.
        #[n(2)]
        custody: Option<Custody>,
    },
    /// An agent without a key of its own was registered: its id is that of the key made for it.
    #[n(31)]
    KeylessRegistered {
        /// The key.
        #[n(0)]
        custody: Custody,
        /// The agent's name.
        #[n(1)]
        name: String,
        /// What is granted to the holder of the token that stands for it.
        #[n(2)]
        grant: Grant,
    },
    /// A token was revoked.
    #[n(32)]
    TokenRevoked {
        /// The agent it stood for.
        #[n(0)]
        agent: AgentId,
        /// SHA-256 of its text.
        #[n(1)]
        token: Digest,
    },
    /// The state was written as a checkpoint; the body holds the owner's signed claim.
    #[n(40)]
    Checkpoint(#[n(0)] Checkpoint),
    /// Bodies are to be erased.
    #[n(41)]
    Erased(#[n(0)] Erasure),
    /// Bodies that were to be erased are gone from the log.
    #[n(42)]
    ErasureDone {
        /// The records.
        #[n(0)]
        seqs: Vec<u64>,
    },
}

/// What a checkpoint covers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Checkpoint {
    /// The last record it covers.
    #[n(0)]
    pub through: Position,
    /// The chain value of that record.
    #[n(1)]
    pub chain: Digest,
    /// SHA-256 of the state after it.
    #[n(2)]
    pub state: Digest,
    /// The node that wrote it.
    #[n(3)]
    pub owner: AgentId,
}

/// Which bodies are to be erased, and why.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Erasure {
    /// The records.
    #[n(0)]
    pub positions: Vec<Position>,
    /// Entries of inboxes that end with it, each an inbox and a number.
    #[n(1)]
    pub ended: Vec<(AgentId, u64)>,
    /// Why.
    #[n(2)]
    pub reason: String,
}

/// A key that the node makes and keeps for an agent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Custody {
    /// Its public half.
    #[n(0)]
    pub key: AgentId,
    /// What the custodian makes it from.
    #[n(1)]
    pub nonce: Digest,
}

/// What came of a message that was taken in.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(context_bound = "StepForm")]
pub struct Accepted {
    /// How the sender is known.
    #[cbor(n(0), with = "authenticity")]
    pub authenticity: Authenticity,
    /// The policy rule that allowed it.
    #[cbor(n(1), with = "shared_text")]
    pub rule: Arc<str>,
    /// The step of its conversation.
    #[n(2)]
    pub step: Option<Step>,
    /// The inboxes it was put into.
    #[n(3)]
    pub puts: Vec<Put>,
}

/// A step of a conversation and what it made the node tell its members.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(context_bound = "StepForm")]
pub struct Step {
    /// The conversation.
    #[n(0)]
    pub conversation: openmesh_message::ConversationId,
    /// The protocol it follows.
    #[n(1)]
    pub protocol: Digest,
    /// What changed.
    #[cbor(n(2), with = "written_step")]
    pub transition: Transition,
    /// What the node tells members about steps that no act of theirs made.
    #[cbor(n(3), with = "written_step")]
    pub notices: Vec<Notice>,
}

/// One entry made in an inbox.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Put {
    /// Whose inbox.
    #[n(0)]
    pub agent: AgentId,
    /// The entry's number in it.
    #[n(1)]
    pub number: u64,
    /// Which notice of the step; `None` is the message itself.
    #[n(2)]
    pub notice: Option<u16>,
}

/// How messages of an inbox were settled; each list holds inbox numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Settlement {
    /// Done.
    #[n(0)]
    pub acknowledged: Vec<u64>,
    /// Given back, to be leased again from a time on.
    #[n(1)]
    pub returned: Vec<(u64, Timestamp)>,
    /// Past their expiry time.
    #[n(2)]
    pub expired: Vec<u64>,
    /// Leased too often.
    #[n(3)]
    pub dead_lettered: Vec<u64>,
}

impl Outcome {
    /// The kind of record, as queries name it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "message",
            Self::Refused { .. } => "refused",
            Self::Fired { .. } => "fired",
            Self::Leased { .. } => "leased",
            Self::Extended { .. } => "extended",
            Self::Settled { .. } => "settled",
            Self::Registered { .. } => "registered",
            Self::SchemaPublished { .. } => "schema",
            Self::ProtocolPublished { .. } => "protocol",
            Self::TopicsConfigured { .. } | Self::TopicsSet { .. } => "topics",
            Self::PolicyChanged { .. } => "policy",
            Self::EpochBegun { .. } => "epoch",
            Self::Recalled { .. } => "recalled",
            Self::TokenIssued { .. } => "token",
            Self::KeylessRegistered { .. } => "registered",
            Self::TokenRevoked { .. } => "token_revoked",
            Self::Checkpoint(_) => "checkpoint",
            Self::Erased(_) => "erased",
            Self::ErasureDone { .. } => "erasure_done",
        }
    }

    /// The agent that was registered, and its name.
    pub fn registered(&self) -> Option<(AgentId, &str)> {
        match self {
            Self::Registered { agent, name } => Some((*agent, name)),
            Self::KeylessRegistered { custody, name, .. } => Some((custody.key, name)),
            _ => None,
        }
    }

    /// The key that the node keeps from here on, and for whom.
    pub const fn custody(&self) -> Option<(AgentId, &Custody)> {
        match self {
            Self::KeylessRegistered { custody, .. } => Some((custody.key, custody)),
            Self::TokenIssued { agent, custody: Some(custody), .. } => Some((*agent, custody)),
            _ => None,
        }
    }
}

mod authenticity {
    use minicbor::decode::Error as DecodeError;
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};
    use openmesh_policy::Authenticity;

    pub(super) fn encode<C, W: Write>(
        value: &Authenticity,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.str(value.as_str())?.ok()
    }

    pub(super) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<Authenticity, DecodeError> {
        let text = decoder.str()?;
        text.parse().map_err(|_| DecodeError::message(format!("`{text}` is no authenticity")))
    }
}
