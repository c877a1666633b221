//! Proofs that a message is its sender's: one signature for one message, or one for a batch of up to 256.

mod known_tree;
mod merkle;
mod receipt;
mod receipt_run;
mod text;

pub use known_tree::KnownTree;
pub use receipt::{Level, Receipt, ReceiptProof, SignedReceipt};
pub use receipt_run::{OpenedRun, ReceiptRun};
pub use text::ProofTextError;

use crate::limits::{PROOF_BATCH_MAX, PROOF_PATH_MAX};
use crate::{AgentId, Digest, KeyPair, Signature};
use merkle::{Tree, leaf, root_of};
use minicbor::{Decode, Encode};

const SINGLE_CONTEXT: &str = "openmesh proof v1";
const BATCH_LEAF_CONTEXT: &str = "openmesh proof leaf v1";
const BATCH_ROOT_CONTEXT: &str = "openmesh proof root v1";

/// A proof over a message digest; not part of the digest, stored and forwarded with the message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Proof {
    /// `alg` = `ed25519`: the signature is over the digest.
    #[n(0)]
    Single {
        /// The key that signed.
        #[n(0)]
        keyid: AgentId,
        /// Over the digest.
        #[n(1)]
        signature: Signature,
    },
    /// `alg` = `ed25519-batch`: the signature is over the root of a Merkle tree of digests.
    #[n(1)]
    Batch {
        /// The key that signed.
        #[n(0)]
        keyid: AgentId,
        /// Over the root.
        #[n(1)]
        signature: Signature,
        /// Which leaf this message is.
        #[n(2)]
        index: u32,
        /// Siblings from the leaf up, at most [`PROOF_PATH_MAX`].
        #[n(3)]
        path: Vec<Digest>,
    },
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Made with another agent's key.
    #[error("the proof was made with the key of another agent")]
    ForeignKey,
    /// The signature is not one over these bytes by this key.
    #[error("the signature does not fit the message")]
    Invalid,
    /// The path is longer than allowed or its index lies outside the tree.
    #[error("the proof's path is malformed")]
    Path,
}

impl Proof {
    /// Signs one message digest.
    pub fn sign(key: &KeyPair, digest: &Digest) -> Self {
        let signature = key.sign(SINGLE_CONTEXT, digest.as_bytes());
        Self::Single { keyid: key.id(), signature }
    }

    /// Signs many message digests, one signature for each [`PROOF_BATCH_MAX`] of them; in the order given.
    pub fn sign_batch(key: &KeyPair, digests: &[Digest]) -> Vec<Self> {
        digests.chunks(PROOF_BATCH_MAX).flat_map(|chunk| Self::sign_chunk(key, chunk)).collect()
    }

    fn sign_chunk(key: &KeyPair, digests: &[Digest]) -> Vec<Self> {
        let leaves = digests.iter().map(|digest| leaf(BATCH_LEAF_CONTEXT, digest)).collect();
        let tree = Tree::new(leaves);
        let signature = key.sign(BATCH_ROOT_CONTEXT, tree.root().as_bytes());
        let proof =
            |index| Self::Batch { keyid: key.id(), signature, index: index as u32, path: tree.path(index) };
        (0..digests.len()).map(proof).collect()
    }

    /// The name of the algorithm, as it stands in texts.
    pub const fn alg(&self) -> &'static str {
        match self {
            Self::Single { .. } => "ed25519",
            Self::Batch { .. } => "ed25519-batch",
        }
    }

    /// The key that signed.
    pub const fn keyid(&self) -> &AgentId {
        match self {
            Self::Single { keyid, .. } | Self::Batch { keyid, .. } => keyid,
        }
    }

    /// Checks that `signer` made this proof over `digest`.
    pub fn verify(&self, signer: &AgentId, digest: &Digest) -> Result<(), ProofError> {
        if self.keyid() != signer {
            return Err(ProofError::ForeignKey);
        }
        let (signed, holds) = self.signed(digest)?;
        let context = if matches!(self, Self::Single { .. }) { SINGLE_CONTEXT } else { BATCH_ROOT_CONTEXT };
        if !holds.verifies(signer, context, signed.as_bytes()) {
            return Err(ProofError::Invalid);
        }
        Ok(())
    }

    /// What the signature is over and the signature: equal pairs need be verified only once.
    pub fn signed(&self, digest: &Digest) -> Result<(Digest, Signature), ProofError> {
        match self {
            Self::Single { signature, .. } => Ok((*digest, *signature)),
            Self::Batch { signature, index, path, .. } => {
                if path.len() > PROOF_PATH_MAX {
                    return Err(ProofError::Path);
                }
                let root = root_of(leaf(BATCH_LEAF_CONTEXT, digest), *index, path);
                Ok((root.ok_or(ProofError::Path)?, *signature))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Proof, ProofError};
    use crate::{Digest, KeyPair};

    fn keys() -> (KeyPair, KeyPair) {
        (KeyPair::from_seed(&[1; 32]).unwrap(), KeyPair::from_seed(&[2; 32]).unwrap())
    }

    #[test]
    fn single_and_batch_proofs_hold_for_their_digest_and_signer_alone() {
        let (a, b) = keys();
        let digests: Vec<_> = (0..300_u32).map(|i| Digest::of(&i.to_be_bytes())).collect();
        let mut proofs = Proof::sign_batch(&a, &digests);
        proofs.push(Proof::sign(&a, &digests[0]));
        let digests = [&digests[..], &digests[..1]].concat();
        for (index, (proof, digest)) in proofs.iter().zip(&digests).enumerate() {
            assert_eq!(proof.verify(&a.id(), digest), Ok(()));
            assert_eq!(proof.verify(&b.id(), digest), Err(ProofError::ForeignKey));
            if index % 50 == 0 {
                assert_eq!(proof.verify(&a.id(), &Digest::of(b"other")), Err(ProofError::Invalid));
            }
        }
    }

    #[test]
    fn a_batch_proof_of_another_place_does_not_hold() {
        let (a, _) = keys();
        let digests: Vec<_> = (0..4_u32).map(|i| Digest::of(&i.to_be_bytes())).collect();
        let mut proof = Proof::sign_batch(&a, &digests).remove(1);
        if let Proof::Batch { index, .. } = &mut proof {
            *index = 5;
        }
        assert_eq!(proof.verify(&a.id(), &digests[1]), Err(ProofError::Path));
        if let Proof::Batch { index, path, .. } = &mut proof {
            *index = 1;
            path.extend([Digest::ZERO; 9]);
        }
        assert_eq!(proof.verify(&a.id(), &digests[1]), Err(ProofError::Path));
    }
}
