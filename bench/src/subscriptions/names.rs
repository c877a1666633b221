//! What is subscribed to: most names are plain, some have wildcards, and none takes in what is published meanwhile.

/// Which connection subscribes to what; levels stand between slashes, `*` is one level and `**` the rest.
pub(super) struct Names {
    connections: usize,
    of_each: usize,
    /// Every so many-th has wildcards.
    wild_every: usize,
}

impl Names {
    pub(super) fn new(connections: usize, subscriptions: usize, wildcards: usize) -> Self {
        let of_each = (subscriptions / connections.max(1)).max(1);
        let wild_every = subscriptions.checked_div(wildcards).unwrap_or(usize::MAX).max(1);
        Self { connections, of_each, wild_every }
    }

    /// The names of one connection; the first has number 1.
    pub(super) fn of(&self, place: usize) -> impl Iterator<Item = String> {
        (0..self.of_each).map(move |number| self.name(place * self.of_each + number, 0))
    }

    /// A plain name that somebody is subscribed to, another for each number, until they begin anew.
    pub(super) fn plain(&self, number: usize) -> String {
        let index = number % (self.connections * self.of_each);
        format!("fleet/{}/state", if self.is_wild(index) { index - 1 } else { index })
    }

    /// Which number of a connection changes in its `turn`th turn, and to what.
    pub(super) fn changed(&self, place: usize, turn: u64) -> (u64, String) {
        let number = turn as usize % self.of_each;
        let generation = 1 + turn as usize / self.of_each;
        (number as u64 + 1, self.name(place * self.of_each + number, generation))
    }

    fn name(&self, index: usize, generation: usize) -> String {
        let own = index + generation * self.connections * self.of_each;
        match (self.is_wild(index), (index / self.wild_every).is_multiple_of(2)) {
            (false, _) => format!("fleet/{own}/state"),
            (true, true) => format!("fleet/*/alarm-{own}"),
            (true, false) => format!("zone-{own}/**"),
        }
    }

    const fn is_wild(&self, index: usize) -> bool {
        index % self.wild_every == self.wild_every - 1
    }
}

#[cfg(test)]
mod tests {
    use super::Names;
    use std::collections::BTreeSet;

    #[test]
    fn as_many_as_asked_for_have_wildcards_and_each_stands_once() {
        let names = Names::new(10, 1_000, 50);
        let all: Vec<String> = (0..10).flat_map(|place| names.of(place)).collect();
        assert_eq!(all.iter().filter(|name| name.contains('*')).count(), 50);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 1_000);
        assert!((0..1_000).all(|number| all.contains(&names.plain(number))));
        assert!(Names::new(1, 1, 0).of(0).eq(["fleet/0/state".to_owned()]));
    }

    #[test]
    fn what_changes_keeps_its_kind_and_gets_a_name_nobody_had() {
        let names = Names::new(2, 8, 2);
        let before: Vec<String> = names.of(1).collect();
        let (number, first) = names.changed(1, 0);
        assert_eq!((number, first.contains('*')), (1, before[0].contains('*')));
        let (again, second) = names.changed(1, 4);
        assert_eq!(again, 1);
        assert!(first != second && !before.contains(&first) && !before.contains(&second));
    }
}
