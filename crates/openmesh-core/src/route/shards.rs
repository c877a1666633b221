//! Things by a hash of their name. Many tables and not one, so that none takes long to grow: the owner of a partition stops
//! for nothing else meanwhile. Nobody asks for all of them, so their order shows nowhere.

use hashbrown::HashTable;

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

/// Makes hashes of names, under keys that nobody outside knows: nobody can choose names that fall together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed {
    begin: u64,
    factor: u64,
}

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
        // The fractions of pi and e: whatever the key, the factor is odd and has bits in both halves.
        Self { begin: key ^ 0x243f_6a88_85a3_08d3, factor: folded(key, 0xb7e1_5162_8aed_2a6b) | 1 << 63 | 1 }
    }

    /// The hash of a name below a number.
    pub(super) fn hash(self, number: u32, name: &str) -> u64 {
        let (words, rest) = name.as_bytes().as_chunks::<8>();
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        // The length tells a name from one that ends with zeros.
        let begin = self.begin ^ u64::from(number) ^ ((name.len() as u64) << 32);
        let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
        let mixed = words.fold(begin, |hash, word| folded(hash ^ word, self.factor));
        folded(mixed, self.factor)
    }
}

/// Both halves of a product, laid over each other: every bit of it depends on every bit of both.
const fn folded(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
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

    #[test]
    fn names_that_are_much_alike_have_hashes_that_are_not() {
        let keyed = Keyed::new(7);
        let names = (0..200_000).map(|number| format!("fleet/{number}/state"));
        let mut hashes: Vec<_> = names.map(|name| keyed.hash(0, &name)).collect();
        for place in
            [|hash: u64| hash >> 57, |hash: u64| hash & 0xff, |hash: u64| (hash >> 24 & 0xffff_ffff) >> 24]
        {
            let mut counts = [0_u32; 256];
            hashes.iter().for_each(|hash| counts[place(*hash) as usize] += 1);
            let used: Vec<_> = counts.into_iter().filter(|count| *count > 0).collect();
            let even = 200_000 / used.len() as u32;
            assert!([128, 256].contains(&used.len()), "{}", used.len());
            assert!(used.iter().all(|count| count.abs_diff(even) < even / 4), "{used:?}");
        }
        hashes.extend([
            keyed.hash(1, "fleet/1/state"),
            keyed.hash(0, ""),
            keyed.hash(0, "\0"),
            keyed.hash(1, ""),
        ]);
        hashes.sort_unstable();
        assert!(hashes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
