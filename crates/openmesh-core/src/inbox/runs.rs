//! A set of numbers as runs of neighbours: a backlog that is ready is one of them.

use std::collections::BTreeMap;

/// Numbers, by the first and last of each run; no two runs touch.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    last_of: BTreeMap<u64, u64>,
}

impl Runs {
    pub(super) fn is_empty(&self) -> bool {
        self.last_of.is_empty()
    }

    /// Every number, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.last_of.iter().flat_map(|(first, last)| *first..=*last)
    }

    pub(super) fn insert(&mut self, number: u64) {
        let before = self.last_of.range_mut(..=number).next_back();
        if before.as_ref().is_some_and(|(_, last)| **last >= number) {
            return;
        }
        let after = number.checked_add(1).and_then(|after| self.last_of.remove(&after));
        let last = after.unwrap_or(number);
        match self.last_of.range_mut(..number).next_back() {
            Some((_, end)) if end.checked_add(1) == Some(number) => *end = last,
            _ => _ = self.last_of.insert(number, last),
        }
    }

    pub(super) fn remove(&mut self, number: u64) {
        let Some((first, last)) = self.last_of.range_mut(..=number).next_back() else { return };
        let (first, end) = (*first, *last);
        if end < number {
            return;
        }
        if first == number {
            self.last_of.remove(&first);
        } else {
            *last = number - 1;
        }
        if end > number {
            self.last_of.insert(number + 1, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Runs;
    use std::collections::BTreeSet;

    #[test]
    fn it_is_a_set_and_neighbours_are_one_run() {
        let (mut runs, mut naive) = (Runs::default(), BTreeSet::new());
        let mut random: u64 = 7;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (random >> 33) % 100;
            if (random >> 20).is_multiple_of(2) {
                runs.insert(number);
                naive.insert(number);
            } else {
                runs.remove(number);
                naive.remove(&number);
            }
            assert!(runs.iter().eq(naive.iter().copied()));
            let apart = naive.iter().filter(|number| !naive.contains(&(*number + 1))).count();
            assert_eq!((runs.last_of.len(), runs.is_empty()), (apart, naive.is_empty()));
        }
        runs.insert(u64::MAX);
        runs.remove(u64::MAX);
    }
}
