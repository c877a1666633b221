//! Logical logs, as they are numbered: those of inboxes by their agent, the others by name.

use openmesh_message::{AgentId, ConversationId, LogName, LogSeq, TopicPath};

const INBOX: &str = "inbox/";
const INBOX_EVENTS: &str = "inboxevents/";
const CONVERSATION: &str = "conversation/";
/// No name of an agent's or a conversation's log is longer.
const NAME_BYTES_MAX: usize = 72;

/// A logical log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Logical {
    Named(LogName),
    /// What is put into an agent's inbox.
    Inbox(AgentId),
    /// What happens in it.
    InboxEvents(AgentId),
}

impl Logical {
    pub(crate) fn topic(topic: &TopicPath) -> Self {
        Self::Named(LogName(["topic/", topic.as_str()].concat().into()))
    }

    pub(crate) fn conversation(id: &ConversationId) -> Self {
        Self::Named(name(CONVERSATION, |name| id.push_onto(name)))
    }

    pub(crate) fn domain() -> Self {
        Self::Named(LogName("domain".into()))
    }

    pub(crate) fn refusals() -> Self {
        Self::Named(LogName("refusals".into()))
    }

    /// A record's number in it.
    pub(crate) fn at(self, seq: u64) -> LogSeq {
        LogSeq { log: self.name(), seq }
    }

    /// Its name in records.
    pub(crate) fn name(self) -> LogName {
        match self {
            Self::Named(name) => name,
            Self::Inbox(agent) => name(INBOX, |name| agent.push_onto(name)),
            Self::InboxEvents(agent) => name(INBOX_EVENTS, |name| agent.push_onto(name)),
        }
    }

    /// Whether a number is one in a log of an inbox.
    pub(super) fn is_of_inbox(log: &LogSeq) -> bool {
        log.log.0.starts_with(INBOX) || log.log.0.starts_with(INBOX_EVENTS)
    }

    /// The log of a name.
    pub(super) fn of(name: LogName) -> Self {
        let agent = |prefix| name.0.strip_prefix(prefix).and_then(|agent| agent.parse().ok());
        match (agent(INBOX), agent(INBOX_EVENTS)) {
            (Some(agent), _) => Self::Inbox(agent),
            (None, Some(agent)) => Self::InboxEvents(agent),
            (None, None) => Self::Named(name),
        }
    }
}

fn name(kind: &str, push_rest: impl FnOnce(&mut String)) -> LogName {
    let mut name = String::with_capacity(NAME_BYTES_MAX);
    name.push_str(kind);
    push_rest(&mut name);
    LogName(name.into())
}
