//! What is to be done with one input; fields in the order they are performed.

use crate::input::{ConnectionId, Ticket};
use crate::record::Put;
use crate::rejection::Rejection;
use openmesh_message::frame::{HeldState, LogFilter, Reply, StreamEvent};
use openmesh_message::{
    AgentId, Digest, Envelope, Form, Position, Priority, Receipt, Timestamp, TopicPath, TopicPattern,
};
use std::sync::Arc;

/// What is to be done: keep the records, then let the effects happen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// When it was decided.
    pub at: Timestamp,
    /// Kept, and synced, before any effect.
    pub records: Vec<Sealed>,
    /// In order.
    pub effects: Vec<Effect>,
}

impl Plan {
    /// An empty plan of this moment.
    pub fn new(at: Timestamp) -> Self {
        Self { at, ..Self::default() }
    }
}

/// A record as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Where it stands.
    pub position: Position,
    /// Encoded [`crate::record::Header`].
    pub header: Vec<u8>,
    /// Blinds the commitment to the body.
    pub salt: [u8; 16],
    /// Encoded [`crate::record::Body`].
    pub body: Vec<u8>,
}

/// Something that others see.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A send was taken in: sign the receipt and hand it over.
    Accept(Ticket, Receipt),
    /// The same message was taken in before: make its receipt from the record kept then.
    AcceptAgain(Ticket, Taken),
    /// An earlier send's receipt was asked for: make it from the record kept then.
    FetchReceipt(Ticket, Taken),
    /// A send was handed over and keeps no receipt. In an exchange of request and reply, something else is about to come to its sender.
    Pass {
        /// The send.
        ticket: Ticket,
        /// Whether it is a request with a deadline, or a reply.
        in_exchange: bool,
    },
    /// A send was refused.
    Reject(Ticket, Rejection),
    /// A command ended.
    Reply(Ticket, Result<Reply, Rejection>),
    /// A message for a subscription.
    Deliver(Deliver),
    /// What this plan does with a message holds for all of its form that come from its connection, until shortcuts end.
    Shorten(Shorten),
    /// Who listens has changed: shortcuts to topics of this pattern end.
    EndShortcuts(TopicPattern),
    /// Messages out of an inbox: read them from the store and hand them over.
    Lease {
        /// Where they go.
        ticket: Ticket,
        /// The fencing token.
        token: u64,
        /// What was leased.
        items: Vec<LeasedItem>,
    },
    /// A look into an inbox: read the messages from the store and show them.
    Peek {
        /// Where they go.
        ticket: Ticket,
        /// What is there.
        items: Vec<SeenItem>,
        /// Where the next page begins.
        next_after_number: Option<u64>,
    },
    /// A subscription that must read the log: from where it begins until it has caught up.
    CatchUp {
        /// The connection.
        connection: ConnectionId,
        /// The subscription.
        subscription: u64,
        /// Who reads.
        agent: AgentId,
        /// What matches.
        pattern: TopicPattern,
        /// Where it begins.
        begin: Begin,
    },
    /// A word about a stream, or an item of it.
    Stream(ConnectionId, StreamEvent),
    /// A subscription ended: nothing more is handed over for it.
    Unsubscribe(ConnectionId, u64),
    /// A question about the log: read, decide each record, answer.
    Query {
        /// Where the page goes.
        ticket: Ticket,
        /// What is asked.
        question: Box<Question>,
    },
    /// Find the messages whose bodies are to be erased, and hand them to the partition.
    Erase {
        /// Where a refusal goes.
        ticket: Ticket,
        /// The administrator.
        agent: AgentId,
        /// A message's id, or its record's position or number.
        message: String,
        /// Why.
        reason: String,
    },
    /// Read the policy file again, and hand the policy to the partition.
    ReloadPolicy(Ticket),
    /// The view that admission reads has changed.
    PublishView,
}

impl Effect {
    /// Whether it reads the log for an agent, and so wants the view to be of this moment.
    pub const fn reads_topics(&self) -> bool {
        matches!(self, Self::CatchUp { .. } | Self::Query { .. })
    }

    /// Whether it says nothing of what is kept, and so need not wait for a sync; a question reads what is synced already.
    pub const fn is_live(&self) -> bool {
        match self {
            Self::Pass { .. }
            | Self::Shorten(_)
            | Self::PublishView
            | Self::Query { .. }
            | Self::Stream(..) => true,
            Self::Accept(_, receipt) => receipt.position.is_none(),
            Self::Deliver(deliver) => deliver.seq.is_none(),
            _ => false,
        }
    }
}

/// A message that was taken in before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The record that holds it, or held it.
    pub seq: u64,
    /// Its digest; the record has none once its body is erased.
    pub digest: Digest,
}

/// A question about the log, its arguments checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who asks.
    pub agent: AgentId,
    /// What to look for; a topic pattern in it is a bare path.
    pub filter: LogFilter,
    /// Begin above this record, or below it where the newest comes first; 0 is the end one begins at.
    pub after_seq: u64,
    /// At most this many.
    pub records_max: u32,
    /// How long to wait for a record when there is none.
    pub wait_ms: u64,
    /// Whether records come with falling numbers.
    pub newest_first: bool,
}

/// One message for one subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct Deliver {
    /// The connection.
    pub connection: ConnectionId,
    /// The subscription; 0 is the agent's own address.
    pub subscription: u64,
    /// Who reads.
    pub agent: AgentId,
    /// What the subscription takes in, where the message is kept.
    pub pattern: Option<TopicPattern>,
    /// The record, where the message is kept; the subscription can then catch up from the log.
    pub seq: Option<u64>,
    /// The message.
    pub envelope: Arc<Envelope>,
    /// What it goes before on its way out: a kept message's topic keeps its order, so it is as any other.
    pub lane: Priority,
}

/// Which messages take a shortcut past the partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Shorten {
    /// Where they come from.
    pub connection: ConnectionId,
    /// What they are like.
    pub form: Arc<Form>,
    /// Where they go.
    pub topic: TopicPath,
    /// What they go before.
    pub lane: Priority,
    /// The connections and subscriptions that take them in.
    pub readers: Vec<(ConnectionId, u64)>,
}

/// Where a subscription begins to read the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// After this record.
    After(u64),
    /// With the first record that was decided at or after this time.
    Since(Timestamp),
}

/// One message that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenItem {
    /// The record that holds it.
    pub seq: u64,
    /// Its place in the inbox.
    pub put: Put,
    /// How often it was leased.
    pub attempts: u32,
    /// How urgent it is.
    pub priority: Priority,
    /// Whether it can be leased.
    pub state: HeldState,
}

/// One message of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedItem {
    /// The record that holds it.
    pub seq: u64,
    /// Its place in the inbox.
    pub put: Put,
    /// How often it was leased.
    pub attempt: u32,
}
