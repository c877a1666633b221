//! A domain's inception record, from which its id follows, and the certificates it gives its nodes.

use crate::{AgentId, Digest, DomainId, KeyPair, Signature, Timestamp};
use minicbor::{Decode, Encode};

const INCEPTION_CONTEXT: &str = "openmesh inception v1";
const NEXT_KEY_CONTEXT: &str = "openmesh next root key v1";
const CERTIFICATE_CONTEXT: &str = "openmesh node certificate v1";
const CERTIFICATE_VERSION: u32 = 1;

/// The record that a domain begins with; its digest is the domain's id.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Inception {
    /// The domain's first root key.
    #[n(0)]
    pub root: AgentId,
    /// The commitment to the next root key, so that a stolen root key cannot rotate itself (pre-rotation, after KERI).
    #[n(1)]
    pub next_root: Digest,
}

/// A domain's word that a key is its node's.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Certificate {
    /// Where the domain began.
    #[n(0)]
    pub inception: Inception,
    /// The node's key.
    #[n(1)]
    pub node: AgentId,
    /// From when it holds.
    #[n(2)]
    pub not_before: Timestamp,
    /// Until when it holds.
    #[n(3)]
    pub not_after: Timestamp,
    /// By the domain's root key.
    #[n(4)]
    pub signature: Signature,
}

/// Why a certificate does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is another domain's than the one expected.
    #[error("the node belongs to domain {found}, not to {expected}")]
    OtherDomain {
        /// The domain expected.
        expected: DomainId,
        /// The domain the certificate leads to.
        found: DomainId,
    },
    /// The domain's root key did not sign it.
    #[error("the node's certificate was not signed by its domain")]
    Signature,
    /// It does not hold at this time.
    #[error("the node's certificate does not hold at this time")]
    Time,
}

impl Inception {
    /// The record for a root key and the key that will follow it.
    pub fn new(root: &KeyPair, next_root: &KeyPair) -> Self {
        let next_root = Digest::of_parts(NEXT_KEY_CONTEXT, &[next_root.id().public_key()]);
        Self { root: root.id(), next_root }
    }

    /// The id of the domain that begins with this record.
    pub fn domain_id(&self) -> DomainId {
        let parts: [&[u8]; 2] = [self.root.public_key(), self.next_root.as_bytes()];
        DomainId::from_bytes(*Digest::of_parts(INCEPTION_CONTEXT, &parts).as_bytes())
    }
}

impl Certificate {
    /// Certifies a node's key for a span of time.
    pub fn issue(
        root: &KeyPair,
        inception: Inception,
        node: AgentId,
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> Self {
        let signed = signed_bytes(&inception, &node, not_before, not_after);
        let signature = root.sign(CERTIFICATE_CONTEXT, &signed);
        Self { inception, node, not_before, not_after, signature }
    }

    /// The domain that issued it.
    pub fn domain(&self) -> DomainId {
        self.inception.domain_id()
    }

    /// Checks that `expected` issued it and that it holds at `now`.
    pub fn verify(&self, expected: &DomainId, now: Timestamp) -> Result<(), CertificateError> {
        let found = self.domain();
        if found != *expected {
            return Err(CertificateError::OtherDomain { expected: *expected, found });
        }
        let signed = signed_bytes(&self.inception, &self.node, self.not_before, self.not_after);
        if !self.signature.verifies(&self.inception.root, CERTIFICATE_CONTEXT, &signed) {
            return Err(CertificateError::Signature);
        }
        if now < self.not_before || now > self.not_after {
            return Err(CertificateError::Time);
        }
        Ok(())
    }
}

fn signed_bytes(
    inception: &Inception,
    node: &AgentId,
    not_before: Timestamp,
    not_after: Timestamp,
) -> Vec<u8> {
    let fields = (CERTIFICATE_VERSION, inception, node, not_before, not_after);
    // Writing to memory cannot fail.
    minicbor::to_vec(fields).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Certificate, CertificateError, Inception};
    use crate::{DomainId, KeyPair, Timestamp};

    fn key(seed: u8) -> KeyPair {
        KeyPair::from_seed(&[seed; 32]).unwrap()
    }

    #[test]
    fn a_certificate_holds_for_its_domain_node_and_time_alone() {
        let (root, node) = (key(1), key(3));
        let (start, end) = (Timestamp::from_millis(10), Timestamp::from_millis(20));
        let inception = Inception::new(&root, &key(2));
        let domain = inception.domain_id();
        let issued = Certificate::issue(&root, inception.clone(), node.id(), start, end);
        assert_eq!(issued.verify(&domain, start), Ok(()));
        assert_eq!(issued.verify(&domain, end.plus_ms(1)), Err(CertificateError::Time));
        let other = DomainId::from_bytes([0; 32]);
        assert!(matches!(issued.verify(&other, start), Err(CertificateError::OtherDomain { .. })));
        let mut changed = issued.clone();
        changed.node = key(4).id();
        assert_eq!(changed.verify(&domain, start), Err(CertificateError::Signature));
        let forged = Certificate::issue(&key(5), inception, node.id(), start, end);
        assert_eq!(forged.verify(&domain, start), Err(CertificateError::Signature));
    }
}
