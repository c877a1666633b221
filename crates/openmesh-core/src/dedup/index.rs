//! Which slot of a table an id is in: hash tables of slots, five bytes a place, that tell most ids from others without
//! a look at the table.
//!
//! Many tables and not one, so that none takes long to grow: the owner of a partition stops for nothing else meanwhile.

use hashbrown::HashTable;

/// Ids from which on there are many tables.
const SPREAD_FROM: usize = 4_096;
/// So many. With a million ids, as many as are remembered of a sender, each of them is well filled.
const SHARDS: usize = 300;

/// Slots by id. Asks the table for the ids of slots; its layout shows nowhere.
#[derive(Clone, Debug)]
pub(super) struct Index {
    shards: Vec<HashTable<u32>>,
    taken: usize,
    key: u64,
}

impl Default for Index {
    fn default() -> Self {
        Self::with_room(0, 0)
    }
}

impl Index {
    pub(super) fn with_room(key: u64, count: usize) -> Self {
        Self { shards: shards(count), taken: 0, key }
    }

    pub(super) fn find(&self, id: u64, id_of: impl Fn(u32) -> u64) -> Option<u32> {
        let hash = self.hash(id);
        let shard = self.shards.get(self.shard_of(hash))?;
        shard.find(hash, |slot| id_of(*slot) == id).copied()
    }

    /// Notes the slot of an id that is not there.
    pub(super) fn insert(&mut self, id: u64, slot: u32, id_of: impl Fn(u32) -> u64) {
        if self.shards.len() == 1 && self.taken >= SPREAD_FROM {
            self.spread(&id_of);
        }
        self.place(id, slot, &id_of);
        self.taken += 1;
    }

    /// Forgets an id.
    pub(super) fn remove(&mut self, id: u64, id_of: impl Fn(u32) -> u64) {
        let hash = self.hash(id);
        let at = self.shard_of(hash);
        let Some(shard) = self.shards.get_mut(at) else { return };
        if let Ok(entry) = shard.find_entry(hash, |slot| id_of(*slot) == id) {
            entry.remove();
            self.taken -= 1;
        }
    }

    fn spread(&mut self, id_of: &impl Fn(u32) -> u64) {
        let few = std::mem::replace(&mut self.shards, shards(self.taken + 1));
        for slot in few.into_iter().flatten() {
            self.place(id_of(slot), slot, id_of);
        }
    }

    fn place(&mut self, id: u64, slot: u32, id_of: &impl Fn(u32) -> u64) {
        let (hash, key) = (self.hash(id), self.key);
        let at = self.shard_of(hash);
        if let Some(shard) = self.shards.get_mut(at) {
            shard.insert_unique(hash, slot, |slot| mixed(id_of(*slot), key));
        }
    }

    fn hash(&self, id: u64) -> u64 {
        mixed(id, self.key)
    }

    /// From the middle of the hash: a table uses its first and last bits.
    fn shard_of(&self, hash: u64) -> usize {
        (((hash >> 24 & 0xffff_ffff) * self.shards.len() as u64) >> 32) as usize
    }
}

fn shards(count: usize) -> Vec<HashTable<u32>> {
    if count < SPREAD_FROM {
        return vec![HashTable::with_capacity(count)];
    }
    vec![HashTable::with_capacity(count / SHARDS); SHARDS]
}

/// Mixed with the key (the finaliser of SplitMix64, by Steele, Lea and Flood), so that nobody can choose ids that fall together.
fn mixed(id: u64, key: u64) -> u64 {
    let mut mixed = id ^ key;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Index, SHARDS, SPREAD_FROM};

    #[test]
    fn few_and_many_are_found_and_forgotten_alike() {
        let mut index = Index::with_room(7, 0);
        let id_of = |slot: u32| u64::from(slot / 2) << 40;
        let count = SPREAD_FROM as u32 * 3;
        // Every other slot: its neighbour would bear the same id.
        for slot in (0..count).step_by(2) {
            assert_eq!(index.find(id_of(slot), id_of), None);
            index.insert(id_of(slot), slot, id_of);
        }
        assert_eq!(index.shards.len(), SHARDS);
        for slot in (0..count).step_by(4) {
            index.remove(id_of(slot), id_of);
        }
        for slot in (0..count).step_by(2) {
            let held = (slot % 4 != 0).then_some(slot);
            assert_eq!(index.find(id_of(slot), id_of), held);
        }
        assert_eq!(index.taken, count as usize / 4);
    }
}
