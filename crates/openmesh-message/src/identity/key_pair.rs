//! Ed25519 key pairs (RFC 8032) and signatures, always over a named context.

use super::usable_key::usable_key;
use crate::{AgentId, IdentityError};
use ed25519_dalek::{Signer, SigningKey};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

/// The secret half of an agent, node or domain. Has no `Debug`, and is wiped when dropped.
pub struct KeyPair {
    secret: SigningKey,
    id: AgentId,
}

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Signature(#[cbor(n(0), with = "minicbor::bytes")] [u8; 64]);

impl KeyPair {
    /// Makes the key pair of a 32-byte seed that the caller drew at random.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, IdentityError> {
        let secret = SigningKey::from_bytes(seed);
        let id = AgentId::from_public_key(secret.verifying_key().to_bytes())?;
        Ok(Self { secret, id })
    }

    /// The public half.
    pub const fn id(&self) -> AgentId {
        self.id
    }

    /// The seed, for writing it to a file that only its owner can read.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.secret.to_bytes())
    }

    /// Signs `context ‖ 0x00 ‖ bytes`.
    pub fn sign(&self, context: &str, bytes: &[u8]) -> Signature {
        Signature(self.secret.sign(&in_context(context, bytes)).to_bytes())
    }
}

impl Signature {
    /// Wraps 64 bytes that claim to be a signature.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// Whether `signer` signed `context ‖ 0x00 ‖ bytes`; strict, so that a signature cannot be varied.
    pub fn verifies(&self, signer: &AgentId, context: &str, bytes: &[u8]) -> bool {
        let Some(key) = usable_key(signer.public_key()) else {
            return false;
        };
        let signature = ed25519_dalek::Signature::from_bytes(&self.0);
        key.verify_strict(&in_context(context, bytes), &signature).is_ok()
    }
}

fn in_context(context: &str, bytes: &[u8]) -> Vec<u8> {
    [context.as_bytes(), &[0], bytes].concat()
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::BASE64URL_NOPAD.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::KeyPair;

    #[test]
    fn a_signature_holds_for_its_signer_context_and_bytes_alone() {
        let (a, b) = (KeyPair::from_seed(&[1; 32]).unwrap(), KeyPair::from_seed(&[2; 32]).unwrap());
        let signature = a.sign("context", b"bytes");
        assert!(signature.verifies(&a.id(), "context", b"bytes"));
        assert!(!signature.verifies(&b.id(), "context", b"bytes"));
        assert!(!signature.verifies(&a.id(), "other", b"bytes"));
        assert!(!signature.verifies(&a.id(), "context", b"byteS"));
    }
}
