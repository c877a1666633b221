//! A Merkle tree over digests, padded with zero digests to a power of two: one signature covers many leaves.

use crate::Digest;
use crate::digest::ENCODED_BYTES_ABOUT;
use std::ops::Range;

const LEAF: u8 = 0;
const NODE: u8 = 1;

/// A tree of at least one leaf.
pub(crate) struct Tree {
    levels: Vec<Vec<Digest>>,
}

/// What can be seen of a tree from leaves that lie side by side: the nodes above them, and the siblings beside those.
pub(crate) struct Glimpse {
    /// From the leaves up: where the level begins that is seen, and its digests.
    levels: Vec<(usize, Vec<Digest>)>,
}

/// The leaf for a digest under a context: H(0x00 ‖ context ‖ digest).
pub(crate) fn leaf(context: &str, digest: &Digest) -> Digest {
    Digest::of_all(&[&[LEAF], context.as_bytes(), digest.as_bytes()])
}

/// The leaf for a value under a context: H(0x00 ‖ context ‖ its CBOR).
pub(crate) fn leaf_of_encoded(context: &str, value: &impl minicbor::Encode<()>) -> Digest {
    // In one piece: a hash takes many small ones slowly. Writing to memory cannot fail.
    let mut bytes = Vec::with_capacity(ENCODED_BYTES_ABOUT);
    bytes.push(LEAF);
    bytes.extend_from_slice(context.as_bytes());
    let _ = minicbor::encode(value, &mut bytes);
    Digest::of(&bytes)
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
        let mut filled = leaves.len().max(1);
        leaves.resize(filled.next_power_of_two(), Digest::ZERO);
        let mut padding = Digest::ZERO;
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            padding = node(&padding, &padding);
            filled = filled.div_ceil(2);
            let mut above = above(below.get(..filled * 2).unwrap_or(below));
            above.resize(below.len() / 2, padding);
            levels.push(above);
        }
        Self { levels }
    }

    /// How many levels lie above the leaves.
    pub(crate) fn height(&self) -> usize {
        self.levels.len().saturating_sub(1)
    }

    /// What leads from leaves side by side to the root: on each level the digest to the left of what is known, and the one to
    /// its right, where it is needed.
    pub(crate) fn edges(&self, leaves: Range<usize>) -> Vec<Digest> {
        let (mut first, mut end) = (leaves.start, leaves.end);
        let mut edges = Vec::new();
        for level in self.levels.iter().take(self.height()) {
            if first % 2 == 1 {
                edges.extend(level.get(first - 1));
            }
            if end % 2 == 1 {
                edges.extend(level.get(end));
            }
            (first, end) = (first / 2, end.div_ceil(2));
        }
        edges
    }

    pub(crate) fn root(&self) -> Digest {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or(Digest::ZERO)
    }

    pub(crate) fn path(&self, index: usize) -> Vec<Digest> {
        let siblings = self.levels.iter().take(self.height()).enumerate();
        siblings.filter_map(|(height, level)| level.get((index >> height) ^ 1).copied()).collect()
    }
}

impl Glimpse {
    /// What leaves at `first` and their edges show of a tree of this height; `None` if there are too few edges or too many,
    /// or a leaf lies outside.
    pub(crate) fn new(leaves: Vec<Digest>, first: usize, height: usize, edges: &[Digest]) -> Option<Self> {
        let (mut first, mut known, mut edges) = (first, leaves, edges.iter());
        let mut levels = Vec::with_capacity(height + 1);
        for _ in 0..height {
            if first % 2 == 1 {
                known.insert(0, *edges.next()?);
                first -= 1;
            }
            if known.len() % 2 == 1 {
                known.push(*edges.next()?);
            }
            let above = above(&known);
            levels.push((first, std::mem::replace(&mut known, above)));
            first /= 2;
        }
        let is_whole = first == 0 && known.len() == 1 && edges.next().is_none();
        levels.push((first, known));
        is_whole.then_some(Self { levels })
    }

    pub(crate) fn root(&self) -> Digest {
        self.levels.last().and_then(|(_, top)| top.first()).copied().unwrap_or(Digest::ZERO)
    }

    /// The path of a leaf that it was made of.
    pub(crate) fn path(&self, index: usize) -> Vec<Digest> {
        let siblings = self.levels.iter().take(self.levels.len().saturating_sub(1)).enumerate();
        let sibling = |(height, (first, level)): (usize, &(usize, Vec<Digest>))| {
            level.get(((index >> height) ^ 1).checked_sub(*first)?).copied()
        };
        siblings.filter_map(sibling).collect()
    }
}

/// The nodes above pairs.
fn above(level: &[Digest]) -> Vec<Digest> {
    let pairs = level.chunks_exact(2);
    pairs.filter_map(|pair| if let [left, right] = pair { Some(node(left, right)) } else { None }).collect()
}

/// The node above two.
pub(crate) fn node(left: &Digest, right: &Digest) -> Digest {
    Digest::of_all(&[&[NODE], left.as_bytes(), right.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::{Glimpse, Tree, leaf, root_of};
    use crate::Digest;

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|i| leaf("test", &Digest::of(&i.to_be_bytes()))).collect()
    }

    #[test]
    fn leaves_side_by_side_lead_to_the_root_and_show_their_paths() {
        for count in 1..=20 {
            let leaves = leaves(count);
            let tree = Tree::new(leaves.clone());
            for (first, end) in (0..count).flat_map(|first| (first + 1..=count).map(move |end| (first, end)))
            {
                let edges = tree.edges(first..end);
                let glimpse = |first, height, edges: &[Digest]| {
                    Glimpse::new(leaves[first..end.min(count)].to_vec(), first, height, edges)
                };
                let seen = glimpse(first, tree.height(), &edges).unwrap();
                assert_eq!(seen.root(), tree.root());
                for index in first..end {
                    assert_eq!(seen.path(index), tree.path(index));
                }
                let more = [&edges[..], &[Digest::ZERO]].concat();
                assert!(glimpse(first, tree.height(), &more).is_none(), "an edge too many");
                let fewer = edges.split_last().map_or(&edges[..], |(_, fewer)| fewer);
                assert!(fewer.len() == edges.len() || glimpse(first, tree.height(), fewer).is_none());
                let outside = Glimpse::new(
                    leaves[first..end].to_vec(),
                    first + (1 << tree.height()),
                    tree.height(),
                    &edges,
                );
                assert!(outside.is_none_or(|seen| seen.root() != tree.root()));
            }
        }
    }

    #[test]
    fn every_leaf_leads_to_the_root_and_no_other_index_does() {
        for count in [1_usize, 2, 3, 7, 8, 9, 256] {
            let leaves = leaves(count);
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
