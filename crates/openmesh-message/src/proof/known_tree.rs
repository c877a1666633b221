//! The nodes of one batch's Merkle tree that are known to lie under a signature that held: the messages of a batch
//! share most of their paths, so that each costs about two hashes and not nine.

use super::merkle::{leaf, node};
use super::{BATCH_LEAF_CONTEXT, PROOF_PATH_MAX, Proof};
use crate::{AgentId, Digest, Signature};

/// What is known of one batch's tree.
#[derive(Clone, Debug)]
pub struct KnownTree {
    keyid: AgentId,
    signature: Signature,
    /// From the leaves up; the last is the root.
    levels: Vec<Vec<Option<Digest>>>,
    /// What the last climb passed: memory that serves the next.
    passed: Vec<(usize, usize, Digest)>,
}

impl KnownTree {
    /// What a proof that held over a digest tells of its batch; `None` for a single signature.
    pub fn of(proof: &Proof, digest: &Digest) -> Option<Self> {
        let Proof::Batch { keyid, signature, path, .. } = proof else {
            return None;
        };
        if path.len() > PROOF_PATH_MAX {
            return None;
        }
        let levels = (0..=path.len()).rev().map(|height| vec![None; 1 << height]).collect();
        let mut tree = Self { keyid: *keyid, signature: *signature, levels, passed: Vec::new() };
        tree.climb(proof, digest, false);
        Some(tree)
    }

    /// Whether a proof over a digest is one of this batch. `false` says nothing against the proof.
    pub fn holds(&mut self, proof: &Proof, digest: &Digest) -> bool {
        let Proof::Batch { keyid, signature, path, .. } = proof else {
            return false;
        };
        let is_of_batch =
            *keyid == self.keyid && *signature == self.signature && path.len() + 1 == self.levels.len();
        is_of_batch && self.climb(proof, digest, true)
    }

    /// Climbs from the leaf to the first node that is known, or to the root; what lies on the way, and its siblings, is
    /// known from then on if that node is the one known, or none is to be.
    fn climb(&mut self, proof: &Proof, digest: &Digest, to_known: bool) -> bool {
        let Proof::Batch { index, path, .. } = proof else {
            return false;
        };
        let mut at = leaf(BATCH_LEAF_CONTEXT, digest);
        self.passed.clear();
        for height in 0..=path.len() {
            let place = index.checked_shr(height as u32).unwrap_or_default() as usize;
            let Some(known) = self.levels.get(height).and_then(|level| level.get(place)) else {
                return false;
            };
            match (known, path.get(height)) {
                (Some(known), _) if to_known => {
                    return *known == at && self.leads_on(*index, path, height) && self.learn();
                }
                (_, Some(sibling)) => {
                    self.passed.push((height, place, at));
                    self.passed.push((height, place ^ 1, *sibling));
                    at = if place & 1 == 0 { node(&at, sibling) } else { node(sibling, &at) };
                }
                (_, None) => self.passed.push((height, place, at)),
            }
        }
        !to_known && self.learn()
    }

    /// Whether the rest of a path is the one that leads from a known node to the root: a proof that is kept holds by itself.
    fn leads_on(&self, index: u32, path: &[Digest], from: usize) -> bool {
        path.iter().enumerate().skip(from).all(|(height, sibling)| {
            let place = index.checked_shr(height as u32).unwrap_or_default() as usize ^ 1;
            self.levels.get(height).and_then(|level| level.get(place)) == Some(&Some(*sibling))
        })
    }

    fn learn(&mut self) -> bool {
        for (height, place, digest) in &self.passed {
            if let Some(known) = self.levels.get_mut(*height).and_then(|level| level.get_mut(*place)) {
                *known = Some(*digest);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::KnownTree;
    use crate::{Digest, KeyPair, Proof};

    #[test]
    fn all_of_a_batch_hold_and_nothing_else_does() {
        let key = KeyPair::from_seed(&[1; 32]).unwrap();
        for count in [2_u32, 3, 64, 256] {
            let digests: Vec<_> = (0..count).map(|i| Digest::of(&i.to_be_bytes())).collect();
            let proofs = Proof::sign_batch(&key, &digests);
            for first in [0, count as usize / 2, count as usize - 1] {
                let mut tree = KnownTree::of(&proofs[first], &digests[first]).unwrap();
                for (index, (proof, digest)) in proofs.iter().zip(&digests).enumerate() {
                    assert!(!tree.holds(proof, &Digest::of(b"other")), "{index} of {count}");
                    assert!(!tree.holds(&proofs[(index + 1) % proofs.len()], digest));
                    assert!(tree.holds(proof, digest), "{index} of {count} after {first}");
                }
            }
        }
    }

    #[test]
    fn a_forged_path_holds_nowhere_and_teaches_nothing() {
        let key = KeyPair::from_seed(&[1; 32]).unwrap();
        let digests: Vec<_> = (0..8_u32).map(|i| Digest::of(&i.to_be_bytes())).collect();
        let proofs = Proof::sign_batch(&key, &digests);
        let mut tree = KnownTree::of(&proofs[0], &digests[0]).unwrap();
        let forged_digest = Digest::of(b"forged");
        let Proof::Batch { keyid, signature, index, path } = proofs[5].clone() else { panic!("a batch") };
        for place in 0..path.len() {
            let mut path = path.clone();
            path[place] = Digest::of(b"sibling");
            let forged = Proof::Batch { keyid, signature, index, path };
            assert!(!tree.holds(&forged, &forged_digest));
            assert!(!tree.holds(&forged, &digests[5]), "sibling {place} of a message that is not known");
        }
        let outside = Proof::Batch { keyid, signature, index: 8, path: path.clone() };
        assert!(!tree.holds(&outside, &digests[5]));
        assert!(tree.holds(&proofs[5], &digests[5]));
        assert!(proofs.iter().zip(&digests).all(|(proof, digest)| tree.holds(proof, digest)));
        for place in 0..path.len() {
            let mut path = path.clone();
            path[place] = Digest::of(b"sibling");
            let forged = Proof::Batch { keyid, signature, index, path };
            assert!(!tree.holds(&forged, &digests[5]), "sibling {place} of one that is");
        }
    }
}
