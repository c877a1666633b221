//! Receipts: the node's signed answer to a send. Those of one commit share one signature.

use super::merkle::{Tree, leaf_of_encoded, root_of};
use crate::{AgentId, Digest, KeyPair, LogSeq, Position, Signature, Timestamp};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

const LEAF_CONTEXT: &str = "openmesh receipt leaf v1";
pub(super) const ROOT_CONTEXT: &str = "openmesh receipt root v1";
pub(super) const PATH_MAX: usize = 20;

/// How safely the message is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Level {
    /// In the node's memory.
    #[n(0)]
    Received,
    /// An fdatasync covered the record before the receipt was signed.
    #[n(2)]
    Durable,
}

/// What the node vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Receipt {
    /// The message.
    #[n(0)]
    pub digest: Digest,
    /// How safely it is kept.
    #[n(1)]
    pub level: Level,
    /// Where it is kept; `None` at level `received`.
    #[n(2)]
    pub position: Option<Position>,
    /// Its numbers in the logical logs it belongs to.
    #[n(3)]
    pub logs: Vec<LogSeq>,
    /// Whether the same message had been accepted before; then all else is of that time.
    #[n(4)]
    pub duplicate: bool,
    /// The policy it was decided under.
    #[n(5)]
    pub policy_version: Digest,
    /// When it was decided.
    #[n(6)]
    pub at: Timestamp,
}

/// The signature over the root of a commit's receipts, and the way from one of them to it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ReceiptProof {
    /// The node that signed.
    #[n(0)]
    pub node: AgentId,
    /// Over the root.
    #[n(1)]
    pub signature: Signature,
    /// Which leaf this receipt is.
    #[n(2)]
    pub index: u32,
    /// Siblings from the leaf up.
    #[n(3)]
    pub path: Vec<Digest>,
}

/// A receipt and its proof.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedReceipt {
    /// What the node vouches for.
    #[n(0)]
    pub receipt: Receipt,
    /// Its signature.
    #[n(1)]
    pub proof: ReceiptProof,
}

impl Receipt {
    /// The inbox that the message was put into first, and its number there.
    pub fn inbox(&self) -> Option<(AgentId, u64)> {
        let of = |log: &LogSeq| Some((log.log.0.strip_prefix("inbox/")?.parse().ok()?, log.seq));
        self.logs.iter().find_map(of)
    }
}

impl SignedReceipt {
    /// Signs the receipts of one commit, in the order given.
    pub fn sign_all(node: &KeyPair, receipts: Vec<Receipt>) -> Vec<Self> {
        let tree = Tree::new(receipts.iter().map(leaf_of).collect());
        let signature = node.sign(ROOT_CONTEXT, tree.root().as_bytes());
        let signed = receipts.into_iter().enumerate().map(|(index, receipt)| Self {
            receipt,
            proof: ReceiptProof { node: node.id(), signature, index: index as u32, path: tree.path(index) },
        });
        signed.collect()
    }

    /// Whether `node` signed this receipt.
    pub fn verifies(&self, node: &AgentId) -> bool {
        let signature = &self.proof.signature;
        self.proof.node == *node
            && self.root().is_some_and(|root| signature.verifies(node, ROOT_CONTEXT, root.as_bytes()))
    }

    /// What the signature is over: for equal roots and signatures of one node it need be verified only once.
    pub fn root(&self) -> Option<Digest> {
        let ReceiptProof { index, path, .. } = &self.proof;
        if path.len() > PATH_MAX {
            return None;
        }
        root_of(leaf_of(&self.receipt), *index, path)
    }
}

pub(super) fn leaf_of(receipt: &Receipt) -> Digest {
    leaf_of_encoded(LEAF_CONTEXT, receipt)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Level, Receipt, SignedReceipt};
    use crate::{Digest, KeyPair, Timestamp};

    pub(in crate::proof) fn receipt(n: u8) -> Receipt {
        Receipt {
            digest: Digest::of(&[n]),
            level: Level::Durable,
            position: None,
            logs: vec![],
            duplicate: false,
            policy_version: Digest::ZERO,
            at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn receipts_of_a_commit_verify_one_by_one_and_no_changed_one_does() {
        let node = KeyPair::from_seed(&[3; 32]).unwrap();
        let signed = SignedReceipt::sign_all(&node, (0..5).map(receipt).collect());
        for one in &signed {
            assert!(one.verifies(&node.id()));
            let mut changed = one.clone();
            changed.receipt.duplicate = true;
            assert!(!changed.verifies(&node.id()));
        }
    }
}
