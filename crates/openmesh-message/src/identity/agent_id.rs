//! Agent ids: Ed25519 public keys in their `did:key` form (W3C CCG did:key, multicodec 0xed).

use super::base58;
use super::usable_key::is_usable;
use crate::text_form::as_bytes32;
use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "did:key:z";
const MULTICODEC_ED25519: [u8; 2] = [0xed, 0x01];

thread_local! {
    static LATEST: RefCell<Latest> = RefCell::default();
}

/// An agent's (or node's) public key; its text form is `did:key:z6Mk…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AgentId([u8; 32]);

/// Why a text or a key is no agent id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not a `did:key` of an Ed25519 key.
    #[error("`{0}` is not a did:key of an Ed25519 key (did:key:z6Mk…)")]
    NotDidKey(String),
    /// The bytes are no point of the curve, or one of small order, under which signatures can be made up.
    #[error("the public key is not a usable Ed25519 key")]
    UnusableKey,
    /// Not a domain id.
    #[error("`{0}` is not a domain id (b… , 53 characters of base32)")]
    NotDomainId(String),
}

impl AgentId {
    /// Checks that `bytes` are an Ed25519 public key that is not of small order.
    pub fn from_public_key(bytes: [u8; 32]) -> Result<Self, IdentityError> {
        if is_usable(&bytes) { Ok(Self(bytes)) } else { Err(IdentityError::UnusableKey) }
    }

    /// Takes the public key of an id that was one when it was kept: whoever checks a signature looks at the key again.
    pub const fn from_kept(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the public key.
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.0
    }

    /// Adds its text form to a text.
    pub fn push_onto(&self, text: &mut String) {
        text.push_str(PREFIX);
        text.push_str(base58::of_key(MULTICODEC_ED25519, &self.0).as_str());
    }

    /// The last eight characters, for tables and diagrams.
    pub fn short(&self) -> String {
        let text = self.to_string();
        text.chars().skip(text.len().saturating_sub(8)).collect()
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        f.write_str(base58::of_key(MULTICODEC_ED25519, &self.0).as_str())
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AgentId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        if let Some(id) = LATEST.with_borrow(|latest| latest.of(text)) {
            return Ok(id);
        }
        let id = read(text)?;
        LATEST.set(Latest(Some((text.into(), id))));
        Ok(id)
    }
}

/// The id that a thread read last: messages that come together are often of one sender.
#[derive(Default)]
struct Latest(Option<(Box<str>, AgentId)>);

impl Latest {
    fn of(&self, text: &str) -> Option<AgentId> {
        self.0.as_ref().filter(|(known, _)| **known == *text).map(|(_, id)| *id)
    }
}

fn read(text: &str) -> Result<AgentId, IdentityError> {
    let refused = || IdentityError::NotDidKey(crate::limits::excerpt(text));
    let encoded = text.strip_prefix(PREFIX).ok_or_else(refused)?;
    if encoded.len() > 64 {
        return Err(refused());
    }
    let bytes = bs58::decode(encoded).into_vec().map_err(|_| refused())?;
    let key = bytes.strip_prefix(&MULTICODEC_ED25519).ok_or_else(refused)?;
    AgentId::from_public_key(key.try_into().map_err(|_| refused())?)
}

as_bytes32!(AgentId, AgentId::from_public_key);

#[cfg(test)]
mod tests {
    use super::{AgentId, IdentityError};

    /// From the did:key document's own test vectors.
    const KNOWN: &str = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";

    #[test]
    fn a_known_did_key_round_trips() {
        let id: AgentId = KNOWN.parse().unwrap();
        assert_eq!(id.to_string(), KNOWN);
        assert_eq!(id.short(), "X3mDooWp");
        let mut text = "by ".to_owned();
        id.push_onto(&mut text);
        assert_eq!(text, format!("by {KNOWN}"));
    }

    #[test]
    fn ids_are_in_the_order_of_their_bytes() {
        let mut keys = Vec::new();
        for place in 0..32 {
            for byte in [1, 0x7f, 0x80, 0xff] {
                let mut key = [0x40; 32];
                key[place] = byte;
                keys.push(key);
            }
        }
        for (one, other) in keys.iter().flat_map(|one| keys.iter().map(move |other| (one, other))) {
            assert_eq!(AgentId::from_kept(*one).cmp(&AgentId::from_kept(*other)), one.cmp(other));
        }
    }

    #[test]
    fn keys_of_small_order_and_other_texts_are_refused() {
        let mut identity_point = [0; 32];
        identity_point[0] = 1;
        assert_eq!(AgentId::from_public_key(identity_point), Err(IdentityError::UnusableKey));
        for text in ["", "did:key:z", "did:web:example.org", &KNOWN[..40]] {
            assert!(text.parse::<AgentId>().is_err(), "{text}");
        }
    }
}
