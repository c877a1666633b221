//! Addresses: `mesh://<domain>/<kind>/…`. A signed address is always absolute.

mod agent_ref;
mod conversation_id;
mod topic;

pub use agent_ref::{AgentName, AgentRef};
pub use conversation_id::ConversationId;
pub use topic::{TopicError, TopicPath, TopicPattern};

use crate::DomainId;
use crate::limits::excerpt;
use crate::text_form::as_text;
use std::fmt;
use std::str::FromStr;

const SCHEME: &str = "mesh://";
const KINDS_NOT_BUILT: [&str; 4] = ["board", "group", "session", "cap"];

/// One absolute address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The domain that answers for the target.
    pub domain: DomainId,
    /// What is addressed within it.
    pub target: Target,
}

/// What an address names within its domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// An agent: kept in its inbox if durable, else handed over live.
    Agent(AgentRef),
    /// A topic.
    Topic(TopicPath),
    /// An agent's inbox: always kept.
    Inbox(AgentRef),
    /// A conversation: everyone bound in it.
    Conversation(ConversationId),
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It does not begin with `mesh://<domain>/`, so it means different things in different places.
    #[error("`{0}` is relative: a signed address begins mesh://<domain>/")]
    Relative(String),
    /// The kind or path cannot be read.
    #[error("`{0}` is not an address: {1}")]
    Malformed(String, String),
    /// The kind is part of the vocabulary but this version cannot serve it.
    #[error("`{0}`: this version serves agent, topic, inbox and conversation addresses")]
    NotBuilt(String),
}

impl Target {
    /// The kind, as it stands in the address.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Agent(_) => "agent",
            Self::Topic(_) => "topic",
            Self::Inbox(_) => "inbox",
            Self::Conversation(_) => "conversation",
        }
    }

    /// What follows the kind.
    pub fn path(&self) -> String {
        match self {
            Self::Agent(agent) | Self::Inbox(agent) => agent.to_string(),
            Self::Topic(path) => path.to_string(),
            Self::Conversation(id) => id.to_string(),
        }
    }

    /// Parses `<kind><separator><path>`, as in `topic/market/rfp` or `topic:market/rfp`.
    pub fn parse(text: &str, separator: char) -> Result<Self, AddressError> {
        let malformed = |why: String| AddressError::Malformed(excerpt(text), why);
        let (kind, path) = text
            .split_once(separator)
            .ok_or_else(|| malformed("it has no kind, such as topic".to_owned()))?;
        match kind {
            "agent" => path.parse().map(Self::Agent).map_err(malformed),
            "inbox" => path.parse().map(Self::Inbox).map_err(malformed),
            "conversation" => path.parse().map(Self::Conversation).map_err(malformed),
            "topic" => {
                path.parse().map(Self::Topic).map_err(|error: crate::TopicError| malformed(error.to_string()))
            }
            _ if KINDS_NOT_BUILT.contains(&kind) => Err(AddressError::NotBuilt(excerpt(text))),
            _ => Err(malformed(format!("there is no kind `{}`", excerpt(kind)))),
        }
    }
}

impl Address {
    /// Joins a domain and what is addressed within it.
    pub const fn new(domain: DomainId, target: Target) -> Self {
        Self { domain, target }
    }

    /// Expands what people type (`topic:market/rfp`, `agent:buyer`, a DID, or an absolute address) within `home`.
    pub fn expand(text: &str, home: DomainId) -> Result<Self, AddressError> {
        if text.starts_with(SCHEME) {
            return text.parse();
        }
        if text.starts_with("did:") {
            return Ok(Self::new(home, Target::parse(&format!("agent:{text}"), ':')?));
        }
        Ok(Self::new(home, Target::parse(text, ':')?))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let relative = || AddressError::Relative(excerpt(text));
        let rest = text.strip_prefix(SCHEME).ok_or_else(relative)?;
        let (domain, target) = rest.split_once('/').ok_or_else(relative)?;
        let domain =
            domain.parse().map_err(|error| AddressError::Malformed(excerpt(text), format!("{error}")))?;
        Ok(Self::new(domain, Target::parse(target, '/')?))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}/{}", self.domain, self.target.kind(), self.target.path())
    }
}

as_text!(Address);

#[cfg(test)]
mod tests {
    use super::{Address, AddressError, Target};
    use crate::DomainId;

    const HOME: DomainId = DomainId::from_bytes([9; 32]);

    #[test]
    fn what_people_type_expands_to_absolute_addresses_that_round_trip() {
        for text in [
            "topic:market/rfp",
            "agent:buyer",
            "inbox:buyer",
            "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
            "conversation:0190c9a0-0000-7000-8000-000000000001",
        ] {
            let address = Address::expand(text, HOME).unwrap();
            assert_eq!(address.domain, HOME);
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }

    #[test]
    fn relative_addresses_and_unbuilt_kinds_are_told_apart() {
        assert!(matches!("topic/market".parse::<Address>(), Err(AddressError::Relative(_))));
        let board = format!("mesh://{HOME}/board/plans");
        assert!(matches!(board.parse::<Address>(), Err(AddressError::NotBuilt(_))));
        assert!(matches!(Target::parse("agent:Buyer", ':'), Err(AddressError::Malformed(..))));
    }
}
