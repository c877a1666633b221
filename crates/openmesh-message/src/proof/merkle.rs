//! A Merkle tree over digests, padded with zero digests to a power of two: one signature covers many leaves.

use crate::Digest;

const LEAF: u8 = 0;
const NODE: u8 = 1;

/// A tree of at least one leaf.
pub(crate) struct Tree {
    levels: Vec<Vec<Digest>>,
}

/// The leaf for a digest under a context: H(0x00 ‖ context ‖ digest).
pub(crate) fn leaf(context: &str, digest: &Digest) -> Digest {
    Digest::of_all(&[&[LEAF], context.as_bytes(), digest.as_bytes()])
}

/// The root that a leaf at `index` with this path of siblings leads to; `None` if the index lies outside the tree.
pub(crate) fn root_of(leaf: Digest, index: u32, path: &[Digest]) -> Option<Digest> {
    let mut index = index;
    let mut digest = leaf;
    for sibling in path {
        digest = if index & 1 == 0 { node(&digest, sibling) } else { node(sibling, &digest) };
        index >>= 1;
    }
    (index == 0).then_some(digest)
}

impl Tree {
    pub(crate) fn new(mut leaves: Vec<Digest>) -> Self {
        leaves.resize(leaves.len().max(1).next_power_of_two(), Digest::ZERO);
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let above = below.chunks(2).filter_map(|pair| match pair {
                [left, right] => Some(node(left, right)),
                _ => None,
            });
            levels.push(above.collect());
        }
        Self { levels }
    }

    pub(crate) fn root(&self) -> Digest {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or(Digest::ZERO)
    }

    pub(crate) fn path(&self, index: usize) -> Vec<Digest> {
        let below_root = self.levels.len().saturating_sub(1);
        let siblings = self.levels.iter().take(below_root).enumerate();
        siblings.filter_map(|(height, level)| level.get((index >> height) ^ 1).copied()).collect()
    }
}

/// The node above two.
pub(crate) fn node(left: &Digest, right: &Digest) -> Digest {
    Digest::of_all(&[&[NODE], left.as_bytes(), right.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::{Tree, leaf, root_of};
    use crate::Digest;

    #[test]
    fn every_leaf_leads_to_the_root_and_no_other_index_does() {
        for count in [1_usize, 2, 3, 7, 8, 9, 256] {
            let leaves: Vec<_> = (0..count).map(|i| leaf("test", &Digest::of(&i.to_be_bytes()))).collect();
            let tree = Tree::new(leaves.clone());
            for (index, &digest) in leaves.iter().enumerate() {
                let path = tree.path(index);
                assert_eq!(root_of(digest, index as u32, &path), Some(tree.root()));
                if count > 1 {
                    let misplaced = root_of(digest, index as u32 ^ 1, &path);
                    assert_ne!(misplaced, Some(tree.root()));
                }
                assert_eq!(root_of(digest, index as u32 + (1 << path.len()), &path), None);
            }
        }
    }
}
