//! Makes messages for one agent and topic, good ones and such as no client would make.

use openmesh_message::{Address, Attributes, Draft, Envelope, Proof, Timestamp, Transit};
use openmesh_sdk::{KeyPair, Performative};
use std::sync::Arc;

/// Makes messages for one agent and topic.
pub(crate) struct Maker {
    pub(crate) key: Arc<KeyPair>,
    pub(crate) to: Address,
    count: u32,
}

impl Maker {
    /// A maker of messages by `key` to `to`.
    pub(crate) const fn new(key: Arc<KeyPair>, to: Address) -> Self {
        Self { key, to, count: 0 }
    }

    /// The beginning of a message to the topic, made now.
    pub(crate) fn draft(&mut self) -> Draft {
        self.draft_at(openmesh_sdk::now())
    }

    /// The beginning of a message to the topic.
    pub(crate) fn draft_at(&mut self, time: Timestamp) -> Draft {
        let to = self.to.clone();
        self.draft_to(&to, &Performative::Inform, time)
    }

    /// The beginning of a message to another address.
    pub(crate) fn draft_to(&mut self, to: &Address, performative: &Performative, time: Timestamp) -> Draft {
        self.count += 1;
        Draft::new(format!("made-{}", self.count), time, to, performative)
    }

    /// A signed message with a JSON payload.
    pub(crate) fn json(&mut self, payload: impl Into<Vec<u8>>) -> Envelope {
        let draft = self.draft().json(payload.into());
        draft.sign(&self.key).unwrap()
    }

    /// A signed message with attributes that no draft would make.
    pub(crate) fn with(&mut self, name: &str, value: &str) -> Envelope {
        let plain = self.draft().payload("text/plain", "x").sign(&self.key).unwrap();
        self.changed(&plain, name, value)
    }

    /// The same message with another value of one attribute, signed anew.
    pub(crate) fn changed(&self, plain: &Envelope, name: &str, value: &str) -> Envelope {
        let mut attributes = Attributes::default();
        for (other, old) in plain.attributes.iter().filter(|(other, _)| *other != name) {
            attributes.set(other, old).unwrap();
        }
        attributes.set(name, value).unwrap();
        self.sign(attributes, plain.payload.clone())
    }

    /// Signs whatever it is given.
    pub(crate) fn sign(&self, attributes: Attributes, payload: bytes::Bytes) -> Envelope {
        let proof = Some(Proof::sign(&self.key, &attributes.digest(&payload)));
        Envelope { attributes, payload, proof, transit: Transit::default() }
    }
}
