//! A table by name.

use crate::definition::Label;

/// So few are looked at one after the other: most names differ in length, which costs less to see than an order of texts.
const FEW_MAX: usize = 16;

/// Things by name.
#[derive(Debug)]
pub(super) struct Named<T> {
    /// In the order of names.
    all: Vec<(Label, T)>,
}

impl<T> Named<T> {
    /// The one of a name.
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        if self.all.len() <= FEW_MAX {
            return self.all.iter().find(|(known, _)| **known == *name).map(|(_, one)| one);
        }
        let place = self.all.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        self.all.get(place).map(|(_, one)| one)
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { all: Vec::new() }
    }
}

impl<T> FromIterator<(Label, T)> for Named<T> {
    fn from_iter<I: IntoIterator<Item = (Label, T)>>(all: I) -> Self {
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self { all }
    }
}

#[cfg(test)]
mod tests {
    use super::{FEW_MAX, Named};

    #[test]
    fn few_and_many_are_found_by_their_names_and_nothing_else_is() {
        for count in [0, 1, FEW_MAX, FEW_MAX + 1, 100] {
            let named: Named<usize> =
                (0..count).rev().map(|number| (format!("n{number}").into(), number)).collect();
            for number in 0..count {
                assert_eq!(named.get(&format!("n{number}")), Some(&number));
            }
            for absent in ["", "n", &format!("n{count}"), "m0", "n00"] {
                assert_eq!(named.get(absent), None, "{absent}");
            }
        }
    }
}
