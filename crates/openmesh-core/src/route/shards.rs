//! Things by a hash of their name. Many tables and not one, so that none takes long to grow: the owner of a partition stops
//! for nothing else meanwhile. Nobody asks for all of them, so their order shows nowhere.

use hashbrown::HashTable;
use std::hash::{DefaultHasher, Hasher};

/// Things from which on there are many tables.
const SPREAD_FROM: usize = 4_096;
/// So many. With a million things each of them holds some 4,000.
const SHARDS: usize = 256;

/// Things, each with the hash of its name.
#[derive(Debug)]
pub(super) struct Shards<T> {
    tables: Vec<HashTable<(u64, T)>>,
    count: usize,
}

/// Makes hashes of names, under a key that nobody outside knows: nobody can choose names that fall together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed(u64);

impl<T> Default for Shards<T> {
    fn default() -> Self {
        Self { tables: vec![HashTable::new()], count: 0 }
    }
}

impl<T> Shards<T> {
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<&T> {
        let found = self.tables.get(self.place_of(hash))?.find(hash, |(_, thing)| is_it(thing))?;
        Some(&found.1)
    }

    pub(super) fn find_mut(&mut self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<&mut T> {
        let place = self.place_of(hash);
        let found = self.tables.get_mut(place)?.find_mut(hash, |(_, thing)| is_it(thing))?;
        Some(&mut found.1)
    }

    /// Adds a thing that is not there.
    pub(super) fn insert(&mut self, hash: u64, thing: T) {
        if self.tables.len() == 1 && self.count >= SPREAD_FROM {
            let few = std::mem::take(&mut self.tables);
            self.tables.resize_with(SHARDS, HashTable::new);
            few.into_iter().flatten().for_each(|(hash, thing)| self.put(hash, thing));
        }
        self.put(hash, thing);
        self.count += 1;
    }

    pub(super) fn remove(&mut self, hash: u64, is_it: impl Fn(&T) -> bool) {
        let place = self.place_of(hash);
        let Some(table) = self.tables.get_mut(place) else { return };
        if let Ok(entry) = table.find_entry(hash, |(_, thing)| is_it(thing)) {
            entry.remove();
            self.count -= 1;
        }
        // What many have left gives its memory back.
        if table.capacity() > 16 && table.len() < table.capacity() / 8 {
            table.shrink_to(table.len() * 2, |(hash, _)| *hash);
        }
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    fn put(&mut self, hash: u64, thing: T) {
        let place = self.place_of(hash);
        if let Some(table) = self.tables.get_mut(place) {
            table.insert_unique(hash, (hash, thing), |(hash, _)| *hash);
        }
    }

    /// From the middle of the hash: a table uses its first and last bits.
    const fn place_of(&self, hash: u64) -> usize {
        (((hash >> 24 & 0xffff_ffff) * self.tables.len() as u64) >> 32) as usize
    }
}

impl Keyed {
    pub(super) const fn new(key: u64) -> Self {
        Self(key)
    }

    /// The hash of a name below a number.
    pub(super) fn hash(self, number: u32, name: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher.write_u32(number);
        hasher.write(name.as_bytes());
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Keyed, SHARDS, SPREAD_FROM, Shards};

    #[test]
    fn few_and_many_are_found_and_removed_alike() {
        let (mut shards, keyed) = (Shards::default(), Keyed::new(7));
        let count = SPREAD_FROM * 3;
        for number in 0..count {
            assert!(shards.find(keyed.hash(0, &number.to_string()), |other| *other == number).is_none());
            shards.insert(keyed.hash(0, &number.to_string()), number);
        }
        assert_eq!((shards.tables.len(), shards.len()), (SHARDS, count));
        let room = |shards: &Shards<usize>| shards.tables.iter().map(|table| table.capacity()).sum::<usize>();
        let before = room(&shards);
        for number in (0..count).filter(|number| number % 16 != 0) {
            shards.remove(keyed.hash(0, &number.to_string()), |other| *other == number);
        }
        for number in 0..count {
            let found = shards.find(keyed.hash(0, &number.to_string()), |other| *other == number);
            assert_eq!(found, (number % 16 == 0).then_some(&number));
        }
        assert_eq!(shards.len(), count / 16);
        assert!(room(&shards) < before / 2, "{} of {before}", room(&shards));
    }
}
