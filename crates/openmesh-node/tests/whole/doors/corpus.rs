//! The messages that every door is offered, good and bad, each with what must come of it.

mod acts;
mod bad;
mod good;

use crate::doors::maker::Maker;
use openmesh_message::{Address, AgentId, DomainId, Envelope, KeyPair, PinnedName};
use std::sync::Arc;

/// The schema of some of the messages.
pub(crate) const ORDER: &str = r#"{"type":"object","required":["item","count"],"additionalProperties":false,
    "properties":{"item":{"type":"string","minLength":1},"count":{"type":"integer","minimum":1}}}"#;

/// Whom and what the messages are about.
pub(crate) struct Corpus {
    pub(crate) key: Arc<KeyPair>,
    pub(crate) other: Arc<KeyPair>,
    pub(crate) receiver: AgentId,
    pub(crate) domain: DomainId,
    pub(crate) order: PinnedName,
}

/// One message.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) envelope: Envelope,
    pub(crate) expected: Expected,
}

/// What must come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Accepted,
    Passed,
    Refused(&'static str),
}

impl Corpus {
    /// The messages, in the order they are offered: some only make sense after others.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let mut maker = Maker::new(Arc::clone(&self.key), self.address("topic:market/news"));
        let mut cases = self.good(&mut maker);
        cases.extend(self.bad(&mut maker));
        cases.extend(self.acts(&mut maker));
        cases
    }

    fn address(&self, text: &str) -> Address {
        Address::expand(text, self.domain).unwrap()
    }
}

impl Case {
    fn new(name: impl Into<String>, envelope: Envelope, expected: Expected) -> Self {
        Self { name: name.into(), envelope, expected }
    }

    fn accepted(name: impl Into<String>, envelope: Envelope) -> Self {
        Self::new(name, envelope, Expected::Accepted)
    }

    fn refused(name: impl Into<String>, envelope: Envelope, code: &'static str) -> Self {
        Self::new(name, envelope, Expected::Refused(code))
    }

    /// Whether the log must have it.
    pub(crate) fn is_kept(&self) -> bool {
        self.expected == Expected::Accepted && !self.name.contains("ephemeral")
    }
}
