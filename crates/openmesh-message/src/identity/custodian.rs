//! The keys that a node keeps for agents: derived from one secret when they are needed, never stored.

use crate::{AgentId, Digest, Envelope, IdentityError, KeyPair, Proof};
use std::sync::Arc;
use zeroize::Zeroizing;

const KEY_CONTEXT: &str = "openmesh custodial key v1";

/// The secret behind every key that a node keeps. Has no `Debug`, and is wiped when its last copy is dropped.
#[derive(Clone)]
pub struct Custodian(Arc<Zeroizing<[u8; 32]>>);

/// Why a kept key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustodyError {
    /// The secret is not the one the key was made with.
    #[error("the custodian's secret is not the one that {0} was made with")]
    OtherSecret(AgentId),
    /// The seed gives no usable key; happens for no nonce that is ever drawn.
    #[error(transparent)]
    Unusable(#[from] IdentityError),
}

impl Custodian {
    /// Wraps a secret that was drawn at random.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Arc::new(Zeroizing::new(secret)))
    }

    /// The key that belongs to a nonce, which need not be secret but must never be used twice.
    pub fn derive(&self, nonce: &Digest) -> Result<KeyPair, IdentityError> {
        let seed = Digest::of_parts(KEY_CONTEXT, &[self.0.as_slice(), nonce.as_bytes()]);
        KeyPair::from_seed(&Zeroizing::new(*seed.as_bytes()))
    }

    /// The kept key `keyid`, made with `nonce`.
    pub fn key(&self, keyid: &AgentId, nonce: &Digest) -> Result<KeyPair, CustodyError> {
        let key = self.derive(nonce)?;
        if key.id() == *keyid { Ok(key) } else { Err(CustodyError::OtherSecret(*keyid)) }
    }

    /// Signs a complete message with a kept key, in place of whatever proof it has.
    pub fn sign(&self, envelope: &mut Envelope, keyid: &AgentId, nonce: &Digest) -> Result<(), CustodyError> {
        let key = self.key(keyid, nonce)?;
        envelope.proof = Some(Proof::sign(&key, &envelope.digest()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Custodian, CustodyError};
    use crate::Digest;

    #[test]
    fn a_nonce_gives_one_key_and_another_secret_another() {
        let (one, other) = (Custodian::new([1; 32]), Custodian::new([2; 32]));
        let nonce = Digest::of(b"nonce");
        let key = one.derive(&nonce).unwrap();
        assert_eq!(one.key(&key.id(), &nonce).unwrap().id(), key.id());
        assert_ne!(one.derive(&Digest::of(b"another")).unwrap().id(), key.id());
        let refused = other.key(&key.id(), &nonce).err().unwrap();
        assert_eq!(refused, CustodyError::OtherSecret(key.id()));
    }
}
