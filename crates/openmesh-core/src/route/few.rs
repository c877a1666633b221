//! A set that mostly holds one thing or none, and then takes no memory of its own.

use std::collections::BTreeSet;

/// Things in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Few<T: Ord> {
    #[default]
    None,
    One(T),
    /// At least two.
    #[expect(clippy::box_collection, reason = "a set in place would make every other a third larger")]
    Many(Box<BTreeSet<T>>),
}

impl<T: Ord + Copy> Few<T> {
    pub(super) fn insert(&mut self, thing: T) {
        match self {
            Self::None => *self = Self::One(thing),
            Self::One(other) if *other == thing => {}
            Self::One(other) => *self = Self::Many(Box::new(BTreeSet::from([*other, thing]))),
            Self::Many(things) => _ = things.insert(thing),
        }
    }

    pub(super) fn remove(&mut self, thing: &T) {
        match self {
            Self::One(other) if other == thing => *self = Self::None,
            Self::None | Self::One(_) => {}
            Self::Many(things) => {
                things.remove(thing);
                if let (1, Some(last)) = (things.len(), things.first()) {
                    *self = Self::One(*last);
                }
            }
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = T> {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(thing) => (Some(*thing), None),
            Self::Many(things) => (None, Some(things.iter().copied())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::Few;

    #[test]
    fn one_becomes_many_and_one_again() {
        let mut few = Few::None;
        for number in [5, 3, 5, 4] {
            few.insert(number);
        }
        assert!(few.iter().eq([3, 4, 5]));
        few.remove(&9);
        few.remove(&3);
        few.remove(&5);
        assert_eq!(few, Few::One(4));
        few.remove(&3);
        few.remove(&4);
        assert!(few.is_empty() && few.iter().next().is_none());
    }
}
