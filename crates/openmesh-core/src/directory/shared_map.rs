//! An ordered map whose copies share all but what was changed since: a change copies one leaf and the way to it. So what
//! others read can be handed out at every change, however much there is of it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries of a leaf, and leaves of a branch.
const ITEMS_MAX: usize = 64;
/// Room that a leaf takes at a time.
const SPARE: usize = 4;

/// An ordered map in leaves of up to 64 entries and branches of up to 64 leaves.
#[derive(Clone, Debug)]
pub(crate) struct SharedMap<K, V> {
    branches: Vec<Arc<Branch<K, V>>>,
    entries: usize,
}

type Branch<K, V> = Vec<Arc<Leaf<K, V>>>;
type Leaf<K, V> = Vec<(K, V)>;

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self { branches: Vec::new(), entries: 0 }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries && self.iter().eq(other.iter())
    }
}

impl<K, V> SharedMap<K, V> {
    pub(crate) const fn len(&self) -> usize {
        self.entries
    }

    /// Every entry, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let leaves = self.branches.iter().flat_map(|branch| branch.iter());
        leaves.flat_map(|leaf| leaf.iter()).map(|(key, value)| (key, value))
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let branch = self.branches.get(branch_of(&self.branches, key))?;
        let leaf = branch.get(leaf_of(branch, key))?;
        let place = leaf.binary_search_by(|(other, _)| other.borrow().cmp(key)).ok()?;
        leaf.get(place).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = branch_of(&self.branches, key);
        let branch = Arc::make_mut(self.branches.get_mut(place)?);
        let place = leaf_of(branch, key);
        let leaf = branch.get_mut(place)?;
        let place = leaf.binary_search_by(|(other, _)| other.cmp(key)).ok()?;
        Arc::make_mut(leaf).get_mut(place).map(|(_, value)| value)
    }

    /// Takes in an entry, in place of one with the same key.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.branches.is_empty() {
            self.branches.push(Arc::new(vec![Arc::default()]));
        }
        let at = branch_of(&self.branches, &key);
        let Some(branch) = self.branches.get_mut(at).map(Arc::make_mut) else { return };
        self.entries += usize::from(insert_into(branch, key, value));
        if branch.len() > ITEMS_MAX {
            let later = Arc::new(split(branch));
            self.branches.insert(at + 1, later);
        }
    }
}

/// Whether the key was not there.
fn insert_into<K: Ord + Clone, V: Clone>(branch: &mut Branch<K, V>, key: K, value: V) -> bool {
    let at = leaf_of(branch, &key);
    let Some(leaf) = branch.get_mut(at).map(Arc::make_mut) else { return false };
    match leaf.binary_search_by(|(other, _)| other.cmp(&key)) {
        Ok(place) => {
            if let Some(entry) = leaf.get_mut(place) {
                entry.1 = value;
            }
            return false;
        }
        Err(place) => {
            if leaf.len() == leaf.capacity() {
                leaf.reserve_exact(SPARE);
            }
            leaf.insert(place, (key, value));
        }
    }
    if leaf.len() > ITEMS_MAX {
        let later = split(leaf);
        leaf.shrink_to_fit();
        branch.insert(at + 1, Arc::new(later));
    }
    true
}

/// The later half.
fn split<T>(items: &mut Vec<T>) -> Vec<T> {
    items.split_off(items.len() / 2)
}

fn branch_of<K: Borrow<Q>, V, Q: Ord + ?Sized>(branches: &[Arc<Branch<K, V>>], key: &Q) -> usize {
    let begins_before =
        |branch: &Arc<Branch<K, V>>| branch.first().is_some_and(|leaf| begins_before(leaf, key));
    branches.partition_point(begins_before).saturating_sub(1)
}

fn leaf_of<K: Borrow<Q>, V, Q: Ord + ?Sized>(branch: &[Arc<Leaf<K, V>>], key: &Q) -> usize {
    branch.partition_point(|leaf| begins_before(leaf, key)).saturating_sub(1)
}

fn begins_before<K: Borrow<Q>, V, Q: Ord + ?Sized>(leaf: &[(K, V)], key: &Q) -> bool {
    leaf.first().is_some_and(|(first, _)| first.borrow() <= key)
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        entries.into_iter().for_each(|(key, value)| map.insert(key, value));
        map
    }
}

impl<K: Serialize, V: Serialize> Serialize for SharedMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, K: Deserialize<'de> + Ord + Clone, V: Deserialize<'de> + Clone> Deserialize<'de>
    for SharedMap<K, V>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::<K, V>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::SharedMap;
    use std::collections::BTreeMap;

    #[test]
    fn it_is_a_map_in_order_and_copies_stay_as_they_were() {
        let (mut map, mut naive) = (SharedMap::default(), BTreeMap::new());
        let mut copies = Vec::new();
        let mut random: u64 = 5;
        for step in 0..30_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (random >> 33) % 20_000;
            map.insert(key, step);
            naive.insert(key, step);
            if let Some(value) = map.get_mut(&(key / 2)) {
                *value += 1;
                *naive.get_mut(&(key / 2)).unwrap() += 1;
            }
            assert_eq!((map.get(&key), map.get(&(key + 1))), (naive.get(&key), naive.get(&(key + 1))));
            if step % 5_000 == 0 {
                copies.push((map.clone(), naive.clone()));
            }
        }
        copies.push((map, naive));
        for (map, naive) in copies {
            assert_eq!(map.len(), naive.len());
            assert!(map.iter().eq(naive.iter()));
        }
    }
}
