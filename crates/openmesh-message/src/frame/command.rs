//! Commands an agent gives its node, and their replies: subscriptions, inbox verbs, registry, questions about the log.

use super::held::{InboxCounts, PeekPage};
use super::query::{LogFilter, LogPage};
use super::retention::Retention;
use crate::{AgentId, Digest, Envelope, Grant, Priority, Timestamp};
use minicbor::{Decode, Encode};

/// What an agent asks of its node besides carrying messages.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Command {
    /// Hands over what matches a pattern: `topic:market/*`.
    #[n(0)]
    Subscribe {
        /// The agent's own number for it, unique on the connection.
        #[n(0)]
        subscription: u64,
        /// Absolute: `mesh://<domain>/topic/<pattern>`.
        #[n(1)]
        pattern: String,
        /// Where to begin.
        #[n(2)]
        start: Start,
    },
    /// Ends a subscription.
    #[n(1)]
    Unsubscribe {
        /// The subscription.
        #[n(0)]
        subscription: u64,
    },
    /// Registers the connection's agent under a name.
    #[n(2)]
    Register {
        /// The name asked for.
        #[n(0)]
        name: String,
        /// The admin token; not needed where the domain is open.
        #[n(1)]
        token: Option<String>,
    },
    /// Lists registered agents.
    #[n(3)]
    ListAgents,
    /// Takes messages out of the agent's inbox for a while.
    #[n(4)]
    Lease {
        /// At most this many.
        #[n(0)]
        messages_max: u32,
        /// For how long.
        #[n(1)]
        visibility_ms: u64,
        /// How long to wait when there is none.
        #[n(2)]
        wait_ms: u64,
        /// Only messages at least so urgent.
        #[n(3)]
        least: Option<Priority>,
    },
    /// Keeps leased messages longer.
    #[n(5)]
    Extend {
        /// The fencing token of the lease.
        #[n(0)]
        token: u64,
        /// For how long, from the moment the node reads this.
        #[n(1)]
        visibility_ms: u64,
    },
    /// Ends leased messages as done.
    #[n(6)]
    Ack {
        /// The fencing token of the lease.
        #[n(0)]
        token: u64,
        /// The inbox numbers of the messages; all of the lease if empty.
        #[n(1)]
        numbers: Vec<u64>,
    },
    /// Gives leased messages back.
    #[n(7)]
    Nack {
        /// The fencing token of the lease.
        #[n(0)]
        token: u64,
        /// The inbox numbers of the messages; all of the lease if empty.
        #[n(1)]
        numbers: Vec<u64>,
        /// When they may be leased again.
        #[n(2)]
        delay_ms: u64,
    },
    /// Counts the agent's inbox.
    #[n(8)]
    CountInbox,
    /// Publishes a schema.
    #[n(9)]
    PublishSchema {
        /// `namespace/name@v1.0.0`
        #[n(0)]
        name: String,
        /// JSON Schema 2020-12.
        #[n(1)]
        definition: String,
    },
    /// Publishes a protocol; its name stands in it.
    #[n(10)]
    PublishProtocol {
        /// YAML or JSON.
        #[n(0)]
        definition: String,
    },
    /// Fetches a schema by name, range or digest.
    #[n(11)]
    GetSchema {
        /// `market/rfp@^1` or `sha256-…`
        #[n(0)]
        name: String,
    },
    /// Fetches a protocol by name, range or digest.
    #[n(12)]
    GetProtocol {
        /// `market/negotiation@^1` or `sha256-…`
        #[n(0)]
        name: String,
    },
    /// Lists schemas and protocols.
    #[n(13)]
    ListDefinitions,
    /// Makes a topic pinned or ephemeral, before its first message.
    #[n(14)]
    ConfigureTopic {
        /// A pattern, absolute or `topic:<path>`.
        #[n(0)]
        topic: String,
        /// Whether its messages are kept.
        #[n(1)]
        pinned: bool,
        /// The admin token.
        #[n(2)]
        token: Option<String>,
    },
    /// Lists conversations the agent may read.
    #[n(15)]
    ListConversations,
    /// Shows a conversation: its state, who owes what, what the agent may do.
    #[n(16)]
    ShowConversation {
        /// Its UUID.
        #[n(0)]
        conversation: String,
    },
    /// Reads the log, one page at a time.
    #[n(17)]
    QueryLog {
        /// What to look for.
        #[n(0)]
        filter: Box<LogFilter>,
        /// Begin after this record: with those above it, or, newest first, with those below it (0: with the newest).
        #[n(1)]
        after_seq: u64,
        /// At most this many records.
        #[n(2)]
        records_max: u32,
        /// How long to wait for a record when there is none; at most [`QUERY_WAIT_MS_MAX`].
        ///
        /// [`QUERY_WAIT_MS_MAX`]: crate::limits::QUERY_WAIT_MS_MAX
        #[cbor(n(3), default)]
        wait_ms: u64,
        /// Whether records come with falling numbers.
        #[cbor(n(4), default)]
        newest_first: bool,
    },
    /// Asks for the receipt of an earlier send.
    #[n(18)]
    GetReceipt {
        /// The digest of the message.
        #[n(0)]
        message: Digest,
        /// The id of the message.
        #[n(1)]
        id: String,
    },
    /// Reads the policy file again.
    #[n(19)]
    ReloadPolicy {
        /// The admin token.
        #[n(0)]
        token: String,
    },
    /// Shows what is in the agent's inbox, by number, without taking it.
    #[n(20)]
    Peek {
        /// Begin after this number.
        #[n(0)]
        after_number: u64,
        /// At most this many.
        #[n(1)]
        messages_max: u32,
    },
    /// Calls back a message that its recipient has not taken.
    #[n(21)]
    Recall {
        /// Whose inbox it is in.
        #[n(0)]
        recipient: AgentId,
        /// Its number there, as its receipt has it.
        #[n(1)]
        number: u64,
        /// The digest of the message.
        #[n(2)]
        message: Digest,
        /// The id of the message.
        #[n(3)]
        id: String,
    },
    /// Says how the topics of a pattern are kept.
    #[n(22)]
    SetTopic {
        /// A pattern, absolute or `topic:<path>`.
        #[n(0)]
        topic: String,
        /// Whether their messages are kept.
        #[n(1)]
        pinned: bool,
        /// How much of them is handed out.
        #[n(2)]
        retention: Retention,
        /// The version that is to be replaced; 0 if there is to be none.
        #[n(3)]
        expected_version: Option<u64>,
        /// The admin token.
        #[n(4)]
        token: Option<String>,
    },
    /// Lists the patterns that say how topics are kept.
    #[n(23)]
    ListTopics,
    /// Shows how a topic or the topics of a pattern are kept, and what is there of each.
    #[n(24)]
    GetTopic {
        /// A topic or a pattern, absolute or `topic:<path>`.
        #[n(0)]
        topic: String,
        /// Begin after this topic.
        #[n(1)]
        after: Option<String>,
        /// At most this many topics.
        #[n(2)]
        topics_max: u32,
    },
    /// Issues a token that stands for an agent; whoever will hold it has drawn it.
    #[n(30)]
    IssueToken {
        /// The agent; `None` is the caller itself. Another's needs the admin token, and a key that the node keeps.
        #[n(0)]
        agent: Option<AgentId>,
        /// What is granted; if custodial, a key is kept for the agent from here on, unless one is.
        #[n(1)]
        grant: Grant,
        /// The admin token.
        #[n(2)]
        admin_token: Option<String>,
    },
    /// Registers an agent without a key: the node makes and keeps one, and the token stands for the agent.
    #[n(31)]
    RegisterKeyless {
        /// The name asked for.
        #[n(0)]
        name: String,
        /// What is granted to whoever holds the token; custodial in any case.
        #[n(1)]
        grant: Grant,
        /// The admin token; not needed where the domain is open.
        #[n(2)]
        admin_token: Option<String>,
    },
    /// Makes a token worthless, at once.
    #[n(32)]
    RevokeToken {
        /// SHA-256 of the token's text.
        #[n(0)]
        token: Digest,
        /// The admin token; needed for another agent's.
        #[n(1)]
        admin_token: Option<String>,
    },
    /// Lists the tokens of an agent.
    #[n(33)]
    ListTokens {
        /// The agent; `None` is the caller itself. Another's needs the admin token.
        #[n(0)]
        agent: Option<AgentId>,
        /// The admin token.
        #[n(1)]
        admin_token: Option<String>,
    },
    /// Shows one agent of the domain, with the keys that the node keeps for it.
    #[n(34)]
    GetAgent {
        /// Its name or id.
        #[n(0)]
        agent: String,
    },
    /// Erases the body of a kept message for good.
    #[n(60)]
    Erase {
        /// The message's id, or its record's position or number.
        #[n(0)]
        message: String,
        /// Why; it is kept.
        #[n(1)]
        reason: String,
        /// The admin token.
        #[n(2)]
        token: Option<String>,
    },
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum Start {
    /// With what comes next.
    #[n(0)]
    #[default]
    Next,
    /// With the first record of the log at or after this number; for pinned topics.
    #[n(1)]
    At(#[n(0)] u64),
    /// With the first record of the log decided at or after this time; for pinned topics.
    #[n(2)]
    Since(#[n(0)] Timestamp),
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// Done.
    #[n(0)]
    Done,
    /// Messages out of the inbox.
    #[n(1)]
    Leased(#[n(0)] Vec<Leased>),
    /// The counts of an inbox.
    #[n(2)]
    Inbox(#[n(0)] InboxCounts),
    /// A definition: its pinned name and stored form.
    #[n(3)]
    Definition {
        /// `openmesh/market/rfp@v1.0.0#sha256-…`
        #[n(0)]
        name: String,
        /// The stored form: RFC 8785 JSON.
        #[n(1)]
        stored: String,
    },
    /// A page of the log.
    #[n(4)]
    Log(#[n(0)] LogPage),
    /// Rows of a listing, as JSON texts.
    #[n(5)]
    Rows(#[n(0)] Vec<String>),
    /// The outcome of an earlier send; `None` if the node has no such message.
    #[n(6)]
    Receipt(#[n(0)] Option<Box<crate::SignedReceipt>>),
    /// A page of the inbox.
    #[n(10)]
    Peeked(#[n(0)] PeekPage),
    /// A token was issued.
    #[n(15)]
    Issued {
        /// The agent it stands for.
        #[n(0)]
        agent: AgentId,
        /// The key with which the node signs for its holder, if it does.
        #[n(1)]
        custodial_key: Option<AgentId>,
    },
}

/// A message out of an inbox.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Leased {
    /// The fencing token: grows with every lease of the inbox.
    #[n(0)]
    pub token: u64,
    /// The message's number in the inbox.
    #[n(1)]
    pub number: u64,
    /// How often it has been leased, this time included.
    #[n(2)]
    pub attempt: u32,
    /// The message.
    #[n(3)]
    pub envelope: Envelope,
}
