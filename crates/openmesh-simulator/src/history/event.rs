//! The events of a history. Names are texts as clients write them, so that a history can be read and written by hand.

use serde::{Deserialize, Serialize};

/// A position in one log: epoch and seq, in text `[1, 42]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place(pub u32, pub u64);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

/// A message: its sender, the id its sender gave it, and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageName {
    /// Who sent it.
    pub sender: String,
    /// The sender's id for it.
    pub id: String,
    /// What its bytes hash to.
    pub digest: String,
}

/// An entry that a record made in an inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// Whose inbox.
    pub agent: String,
    /// The number there.
    pub number: u64,
    /// Not the record's message but a notice of what came of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_notice: bool,
}

/// A message that a lease handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handed {
    /// Its number in the inbox.
    pub number: u64,
    /// Who sent it.
    pub sender: String,
    /// The sender's id for it.
    pub id: String,
}

/// How a message in an inbox ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Its reader was done with it.
    Acknowledged,
    /// Its time was over.
    Expired,
    /// It was handed over too often.
    DeadLettered,
    /// Its sender called it back.
    Recalled,
}

/// What a client was told of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused, and so changed nothing.
    Refused,
    /// Nothing: the node was gone before it answered.
    Unknown,
}

/// One thing that a client saw, or that was read afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A client sends a message, or sends it again.
    Sent {
        /// Counts connections: order is promised among what is sent on one of them.
        connection: u64,
        /// The message.
        #[serde(flatten)]
        message: MessageName,
        /// The destination; where urgent mail may overtake, with its priority.
        to: String,
    },
    /// The node took it in.
    Accepted {
        /// Who sent it.
        sender: String,
        /// The sender's id for it.
        id: String,
        /// Where the receipt says it is kept.
        position: Place,
        /// Whether the receipt says that it had been taken in before.
        #[serde(default)]
        duplicate: bool,
        /// Its numbers in logical logs, as the receipt has them.
        #[serde(default)]
        logs: Vec<(String, u64)>,
    },
    /// The node refused it.
    Refused {
        /// Who sent it.
        sender: String,
        /// The sender's id for it.
        id: String,
        /// The code.
        code: String,
    },
    /// Nothing was heard of it.
    Unknown {
        /// Who sent it.
        sender: String,
        /// The sender's id for it.
        id: String,
    },
    /// A consumer of topics begins, or begins again where it had come to, and means to miss nothing.
    Began {
        /// Which consumer.
        consumer: String,
    },
    /// A consumer is handed a message.
    Delivered {
        /// Which consumer.
        consumer: String,
        /// Who sent it.
        sender: String,
        /// The sender's id for it.
        id: String,
        /// Where it says it is kept.
        position: Place,
        /// Its numbers in logical logs.
        logs: Vec<(String, u64)>,
    },
    /// A consumer kept consuming until nothing more came: it must have been handed all that is in its topics.
    Finished {
        /// Which consumer.
        consumer: String,
    },
    /// An agent leased mail out of its inbox.
    Leased {
        /// Whose inbox.
        agent: String,
        /// The fencing token.
        token: u64,
        /// What was handed over.
        messages: Vec<Handed>,
    },
    /// An agent acknowledged mail it had leased.
    Acknowledged {
        /// Whose inbox.
        agent: String,
        /// Which of it.
        numbers: Vec<u64>,
        /// What the agent was told.
        outcome: Outcome,
    },
    /// An agent gave back mail it had leased.
    Returned {
        /// Whose inbox.
        agent: String,
        /// Which of it.
        numbers: Vec<u64>,
        /// What the agent was told.
        outcome: Outcome,
    },
    /// A sender called mail back.
    CalledBack {
        /// Whose inbox.
        agent: String,
        /// Its number there.
        number: u64,
        /// What the sender was told.
        outcome: Outcome,
    },
    /// A client sends a message to a topic of which nothing is kept.
    Aired {
        /// Counts connections: order is promised among what is sent on one of them.
        connection: u64,
        /// Who sends it.
        sender: String,
        /// The sender's id for it.
        id: String,
    },
    /// The node refused it: nobody hears it.
    Withheld {
        /// Who sent it.
        sender: String,
        /// The sender's id for it.
        id: String,
    },
    /// A subscription to what is not kept begins.
    Tuned {
        /// Counts subscriptions.
        session: u64,
    },
    /// A subscription is handed what is not kept.
    Heard {
        /// Which subscription.
        session: u64,
        /// The number that the node gave it there.
        number: u64,
        /// Who sent it.
        sender: String,
        /// The sender's id for it.
        id: String,
    },
    /// A subscription is told that it missed something.
    Missed {
        /// Which subscription.
        session: u64,
        /// The first number that was missed.
        first: u64,
        /// The last.
        last: u64,
    },
    /// A client asked something and waits until a time.
    Asked {
        /// Who asks.
        requester: String,
        /// The id of the request.
        id: String,
        /// Until when, in milliseconds of the clock that `at_ms` is of.
        deadline_ms: i64,
    },
    /// A responder was told what came of its reply.
    Replied {
        /// Who answers.
        responder: String,
        /// The id of the request.
        request: String,
        /// Whether it is a final reply.
        is_final: bool,
        /// What the responder was told.
        outcome: Outcome,
    },
    /// A requester is handed a reply.
    Answered {
        /// Who asked.
        requester: String,
        /// The id of the request.
        request: String,
        /// Who answered.
        responder: String,
        /// Whether it is a final reply.
        is_final: bool,
        /// When.
        at_ms: i64,
    },
    /// Read: a record of the log.
    Record {
        /// Where it stands.
        position: Place,
        /// Its numbers in logical logs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        logs: Vec<(String, u64)>,
        /// The message in it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<MessageName>,
        /// What it put into inboxes.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        puts: Vec<Put>,
        /// Mail that ended with it: whose inbox, which number, how.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ends: Vec<(String, u64, Ending)>,
    },
    /// Read: records that the log itself reported as lost.
    Lost {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Read: the log has no more records. Everything told so far must be in it.
    Head {},
    /// Read: what a node says became of everything ever put into an inbox.
    Counts {
        /// Whose inbox.
        agent: String,
        /// Ever put in.
        accepted: u64,
        /// Waiting or leased.
        pending: u64,
        /// Ended as done.
        acknowledged: u64,
        /// Ended by time.
        expired: u64,
        /// Ended as handed over too often.
        dead_lettered: u64,
        /// Called back.
        recalled: u64,
    },
    /// Read: everything that waits in an inbox or is leased from it.
    Held {
        /// Whose inbox.
        agent: String,
        /// The numbers.
        numbers: Vec<u64>,
    },
}
