//! What the conditions of a rule are written in: who, where to, which definitions, which states.

use crate::context::{Destination, MachineState, Party, Standing, StaticContext};
use crate::error::Refused;
use openmesh_message::{AgentId, Authority, ConversationId, NameRange, TopicPattern, VersionedName};
use std::fmt;

/// A text that is matched whole, or by its beginning when it was written with a final `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    beginning: String,
    open: bool,
}

impl Glob {
    pub(crate) fn parse(text: &str) -> Result<Self, Refused> {
        let (beginning, open) = match text.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (text, false),
        };
        let fits = |c: char| c.is_ascii_graphic() && c != '*';
        if text.is_empty() || !beginning.chars().all(fits) {
            return Err(Refused::new(format!("`{text}` is no name pattern"))
                .hint("write a name in printable ASCII, with at most one `*`, at its end"));
        }
        Ok(Self { beginning: beginning.to_owned(), open })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        if self.open { text.starts_with(&self.beginning) } else { text == self.beginning }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.beginning)?;
        f.write_str(if self.open { "*" } else { "" })
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum WhoPattern {
    Any,
    Standing(Standing),
    Agent(AgentId),
    Name(Glob),
}

impl WhoPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, Refused> {
        if text == "any" {
            return Ok(Self::Any);
        }
        if let Some(name) = text.strip_prefix("name:") {
            return Glob::parse(name).map(Self::Name);
        }
        if text.starts_with("did:") {
            return text.parse().map(Self::Agent).map_err(Refused::display);
        }
        Standing::from_word(text).map(Self::Standing).map_err(|_| {
            Refused::unknown("asker", text, &["any", "stranger", "registered", "admin"])
                .or_hint("a DID, or name:<agent name>")
        })
    }

    /// An admin is a registered agent too; a stranger is nothing else.
    pub(crate) fn matches(&self, request: &StaticContext<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::Standing(Standing::Registered) => request.standing >= Standing::Registered,
            Self::Standing(standing) => request.standing == *standing,
            Self::Agent(agent) => request.agent == *agent,
            Self::Name(glob) => request.agent_name.is_some_and(|name| glob.matches(name)),
        }
    }
}

impl fmt::Display for WhoPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Standing(standing) => standing.fmt(f),
            Self::Agent(agent) => agent.fmt(f),
            Self::Name(glob) => write!(f, "name:{glob}"),
        }
    }
}

/// An agent that is addressed or whose inbox is read.
#[derive(Clone, Debug)]
pub(crate) enum PartyPattern {
    Itself,
    Agent(AgentId),
    Name(Glob),
}

impl PartyPattern {
    fn parse(text: &str) -> Result<Self, Refused> {
        if text == "self" {
            return Ok(Self::Itself);
        }
        if text.starts_with("did:") {
            return text.parse().map(Self::Agent).map_err(Refused::display);
        }
        Glob::parse(text).map(Self::Name)
    }

    /// A bare `*` is every agent, also one whose name is not known.
    fn matches(&self, party: Party<'_>, asker: AgentId) -> bool {
        match self {
            Self::Itself => party.id == Some(asker),
            Self::Agent(agent) => party.id == Some(*agent),
            Self::Name(glob) if glob.open && glob.beginning.is_empty() => true,
            Self::Name(glob) => party.name.is_some_and(|name| glob.matches(name)),
        }
    }
}

impl fmt::Display for PartyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("self"),
            Self::Agent(agent) => agent.fmt(f),
            Self::Name(glob) => glob.fmt(f),
        }
    }
}

/// Where a message goes, or what is read.
#[derive(Clone, Debug)]
pub(crate) enum DestinationPattern {
    Agent(PartyPattern),
    Topic(TopicPattern),
    Inbox(PartyPattern),
    AnyConversation,
    Conversation(ConversationId),
}

impl DestinationPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, Refused> {
        let Some((kind, path)) = text.split_once(':') else {
            return Err(Refused::new(format!("`{text}` has no address kind"))
                .hint("write it as topic:market/**, agent:*, inbox:self or conversation:*"));
        };
        match kind {
            "agent" => PartyPattern::parse(path).map(Self::Agent),
            "topic" => path.parse().map(Self::Topic).map_err(Refused::display),
            "inbox" => PartyPattern::parse(path).map(Self::Inbox),
            "conversation" if path == "*" => Ok(Self::AnyConversation),
            "conversation" => path.parse().map(Self::Conversation).map_err(Refused::display),
            _ => Err(Refused::unknown("address kind", kind, &["agent", "topic", "inbox", "conversation"])),
        }
    }

    /// Whether it matches if the right one asks.
    pub(crate) fn may_match(&self, destination: Destination<'_>) -> bool {
        match (self, destination) {
            (Self::Topic(pattern), Destination::Topic(path)) => pattern.matches(path),
            (_, Destination::Topic(_)) => false,
            _ => true,
        }
    }

    pub(crate) fn matches(&self, destination: Destination<'_>, asker: AgentId) -> bool {
        match (self, destination) {
            (Self::Agent(pattern), Destination::Agent(party))
            | (Self::Inbox(pattern), Destination::Inbox(party)) => pattern.matches(party, asker),
            (Self::Topic(pattern), Destination::Topic(path)) => pattern.matches(path),
            (Self::AnyConversation, Destination::Conversation(_)) => true,
            (Self::Conversation(id), Destination::Conversation(asked)) => id == asked,
            _ => false,
        }
    }
}

impl fmt::Display for DestinationPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(party) => write!(f, "agent:{party}"),
            Self::Topic(pattern) => write!(f, "topic:{pattern}"),
            Self::Inbox(party) => write!(f, "inbox:{party}"),
            Self::AnyConversation => f.write_str("conversation:*"),
            Self::Conversation(id) => write!(f, "conversation:{id}"),
        }
    }
}

/// Which schema or protocol.
#[derive(Clone, Debug)]
pub(crate) enum DefinitionPattern {
    /// A message that names none.
    Absent,
    Range(NameRange),
}

impl DefinitionPattern {
    pub(crate) fn parse(text: &str, home: Authority) -> Result<Self, Refused> {
        match text {
            "none" => Ok(Self::Absent),
            _ => NameRange::parse(text, home).map(Self::Range).map_err(Refused::display),
        }
    }

    /// `message_at_hand` is false for a subscription as such: then nothing is known to be absent.
    pub(crate) fn matches(&self, name: Option<&VersionedName>, message_at_hand: bool) -> bool {
        match (self, name) {
            (Self::Absent, None) => message_at_hand,
            (Self::Range(range), Some(name)) => range.contains(name),
            _ => false,
        }
    }
}

impl fmt::Display for DefinitionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("none"),
            Self::Range(range) => range.fmt(f),
        }
    }
}

/// A state of one named machine, or of whichever machine has a state of that name.
#[derive(Clone, Debug)]
pub(crate) struct StatePattern {
    machine: Option<String>,
    state: String,
}

impl StatePattern {
    pub(crate) fn parse(text: &str) -> Result<Self, Refused> {
        let (machine, state) = match text.split_once('=') {
            Some((machine, state)) => (Some(parse_word(machine)?), state),
            None => (None, text),
        };
        Ok(Self { machine, state: parse_word(state)? })
    }

    pub(crate) fn matches(&self, at: &MachineState<'_>) -> bool {
        self.state == at.state && self.machine.as_ref().is_none_or(|machine| machine == at.machine)
    }
}

impl fmt::Display for StatePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.machine {
            Some(machine) => write!(f, "{machine}={}", self.state),
            None => f.write_str(&self.state),
        }
    }
}

/// The name of a role, a machine or a state.
pub(crate) fn parse_word(text: &str) -> Result<String, Refused> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || !text.chars().all(fits) {
        return Err(Refused::new(format!("`{text}` is not a name"))
            .hint("letters, digits, `-` and `_`; a state may be written machine=state"));
    }
    Ok(text.to_owned())
}
