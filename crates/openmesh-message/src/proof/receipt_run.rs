//! Receipts of one commit that lie side by side in its tree, for one agent: what leads to the signed root is said once, and
//! not with each of them.

use super::merkle::{Glimpse, Tree};
use super::receipt::{PATH_MAX, ROOT_CONTEXT, Receipt, ReceiptProof, SignedReceipt, leaf_of};
use crate::{AgentId, Digest, KeyPair, Signature};
use minicbor::{Decode, Encode};

/// Some of a commit's receipts, each with the tag of its send.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ReceiptRun {
    /// The node that signed.
    #[n(0)]
    node: AgentId,
    /// Over the root.
    #[n(1)]
    signature: Signature,
    /// Which leaf the first receipt is.
    #[n(2)]
    first: u32,
    /// Levels of the tree above its leaves, at most 20.
    #[n(3)]
    height: u32,
    /// On each level, from the leaves up, the digest to the left of those known, and the one to their right, where a node
    /// needs it.
    #[n(4)]
    edges: Vec<Digest>,
    /// In the order of the leaves.
    #[n(5)]
    receipts: Vec<(u64, Receipt)>,
}

/// A run whose tree was climbed: what the signature is over, and each receipt with a proof of its own.
pub struct OpenedRun {
    /// For equal roots and signatures of one node the signature need be verified only once.
    pub root: Digest,
    /// By the tags of their sends.
    pub receipts: Vec<(u64, SignedReceipt)>,
}

impl ReceiptRun {
    /// Signs the receipts of one commit, in the order given: one signature for all runs.
    pub fn sign_all(node: &KeyPair, runs: Vec<Vec<(u64, Receipt)>>) -> Vec<Self> {
        let tree = Tree::new(runs.iter().flatten().map(|(_, receipt)| leaf_of(receipt)).collect());
        let signature = node.sign(ROOT_CONTEXT, tree.root().as_bytes());
        let (node, height) = (node.id(), tree.height() as u32);
        let mut first = 0;
        let signed = runs.into_iter().map(|receipts| {
            let leaves = first..first + receipts.len();
            first = leaves.end;
            let edges = tree.edges(leaves.clone());
            Self { node, signature, first: leaves.start as u32, height, edges, receipts }
        });
        signed.collect()
    }

    /// How many receipts there are.
    pub const fn len(&self) -> usize {
        self.receipts.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.receipts.is_empty()
    }

    /// Climbs the tree; `None` if the edges do not fit. Whether the node signed the root is yet to be verified.
    pub fn open(self) -> Option<OpenedRun> {
        let Self { node, signature, first, height, edges, receipts } = self;
        if height as usize > PATH_MAX || receipts.is_empty() {
            return None;
        }
        let leaves = receipts.iter().map(|(_, receipt)| leaf_of(receipt)).collect();
        let glimpse = Glimpse::new(leaves, first as usize, height as usize, &edges)?;
        let signed = receipts.into_iter().zip(first..).map(|((tag, receipt), index)| {
            let path = glimpse.path(index as usize);
            (tag, SignedReceipt { receipt, proof: ReceiptProof { node, signature, index, path } })
        });
        Some(OpenedRun { root: glimpse.root(), receipts: signed.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::ReceiptRun;
    use crate::proof::receipt::tests::receipt;
    use crate::{Digest, KeyPair};

    fn runs(node: &KeyPair) -> Vec<ReceiptRun> {
        let tagged = |numbers: std::ops::Range<u8>| numbers.map(|n| (u64::from(n), receipt(n))).collect();
        ReceiptRun::sign_all(node, vec![tagged(0..1), tagged(1..6), tagged(6..11)])
    }

    #[test]
    fn each_receipt_of_a_run_has_a_proof_of_its_own_under_one_signature() {
        let node = KeyPair::from_seed(&[3; 32]).unwrap();
        let mut roots = Vec::new();
        let mut tags = Vec::new();
        for run in runs(&node) {
            let opened = run.open().unwrap();
            roots.push(opened.root);
            for (tag, signed) in opened.receipts {
                assert!(signed.verifies(&node.id()));
                assert_eq!(signed.root(), Some(opened.root));
                assert_eq!(signed.receipt, receipt(tag as u8));
                tags.push(tag);
            }
        }
        assert!(roots.iter().all(|root| *root == roots[0]));
        assert_eq!(tags, (0..11).collect::<Vec<_>>());
    }

    #[test]
    fn no_receipt_of_a_changed_run_holds() {
        let node = KeyPair::from_seed(&[3; 32]).unwrap();
        let changes: [fn(&mut ReceiptRun); 8] = [
            |run| run.first += 1,
            |run| run.first -= 1,
            |run| run.height += 1,
            |run| run.height = 21,
            |run| run.edges[0] = Digest::ZERO,
            |run| _ = run.edges.pop(),
            |run| run.receipts[2].1.duplicate = true,
            |run| run.receipts.swap(0, 1),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut run = runs(&node).remove(1);
            change(&mut run);
            let holds =
                |run: ReceiptRun| run.open().is_some_and(|run| run.receipts[2].1.verifies(&node.id()));
            assert!(!holds(run), "change {number}");
        }
        let mut empty = runs(&node).remove(1);
        empty.receipts.clear();
        assert!(empty.open().is_none());
    }
}
