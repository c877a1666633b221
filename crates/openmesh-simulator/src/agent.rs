//! A simulated agent: its key, what it waits to hear of, what it holds out of its inbox.

use openmesh_core::ConnectionId;
use openmesh_message::{AgentId, Digest, Envelope, IdentityError, KeyPair, Timestamp};
use std::collections::BTreeMap;

/// Messages an agent can send a second time on purpose.
const REMEMBERED_MAX: usize = 40;

pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) key: KeyPair,
    pub(crate) connection: Option<ConnectionId>,
    /// Whether what goes to its address is handed over on its connection.
    pub(crate) receives: bool,
    pub(crate) waiting: BTreeMap<u64, Waiting>,
    pub(crate) remembered: Vec<Envelope>,
    pub(crate) held: Vec<(u64, Vec<u64>)>,
    next_number: u64,
    next_tag: u64,
}

/// A send whose outcome is not known yet.
pub(crate) struct Waiting {
    pub(crate) envelope: Envelope,
    pub(crate) sent_at: Timestamp,
}

impl Agent {
    pub(crate) fn new(name: &str, seed: u64) -> Result<Self, IdentityError> {
        let secret = Digest::of_parts("simulated agent", &[name.as_bytes(), &seed.to_be_bytes()]);
        Ok(Self::with_key(name, KeyPair::from_seed(secret.as_bytes())?, true))
    }

    /// An agent whose key was made elsewhere.
    pub(crate) fn with_key(name: &str, key: KeyPair, receives: bool) -> Self {
        Self {
            name: name.to_owned(),
            key,
            connection: None,
            receives,
            waiting: BTreeMap::new(),
            remembered: Vec::new(),
            held: Vec::new(),
            next_number: 0,
            next_tag: 0,
        }
    }

    pub(crate) const fn id(&self) -> AgentId {
        self.key.id()
    }

    /// An id for a message that no other message of this agent has.
    pub(crate) fn message_id(&mut self) -> String {
        self.next_number += 1;
        format!("{}-{}", self.name, self.next_number)
    }

    pub(crate) const fn tag(&mut self) -> u64 {
        self.next_tag += 1;
        self.next_tag
    }

    pub(crate) fn remember(&mut self, envelope: &Envelope) {
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.remove(0);
        }
        self.remembered.push(envelope.clone());
    }
}
