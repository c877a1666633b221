//! Chance that can be repeated: numbers drawn from a seed and the name of what they decide.

use openmesh_message::Digest;

const CONTEXT: &str = "openmesh demo dice v1";

/// A seeded source of chance; the same seed and names give the same numbers on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// Dice for one question, such as who asks and about what.
    pub(crate) fn new(seed: u64, names: &[&str]) -> Self {
        let seed = seed.to_be_bytes();
        let mut parts: Vec<&[u8]> = vec![&seed];
        for name in names {
            parts.push(name.as_bytes());
            parts.push(&[0]);
        }
        let digest = Digest::of_parts(CONTEXT, &parts);
        let first = digest.as_bytes().iter().take(8);
        Self { state: first.fold(0, |state, byte| state << 8 | u64::from(*byte)) }
    }

    /// A number in `low..high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        low + (high - low) * share
    }

    /// Whether something of this probability happens.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.between(0.0, 1.0) < probability
    }

    /// One of several; `None` if there are none.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let place = self.between(0.0, items.len() as f64) as usize;
        items.get(place)
    }

    /// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
    const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_same_question_has_the_same_answer_and_another_one_its_own() {
        let draw = |seed, name: &str| Dice::new(seed, &["seller", name]).between(0.0, 1.0);
        assert_eq!(draw(1, "a").to_bits(), draw(1, "a").to_bits());
        assert_ne!(draw(1, "a").to_bits(), draw(2, "a").to_bits());
        assert_ne!(draw(1, "a").to_bits(), draw(1, "b").to_bits());
    }

    #[test]
    fn numbers_stay_in_range_and_spread() {
        let mut dice = Dice::new(7, &[]);
        let drawn: Vec<_> = (0..1_000).map(|_| dice.between(2.0, 4.0)).collect();
        assert!(drawn.iter().all(|number| (2.0..4.0).contains(number)));
        let mean = drawn.iter().sum::<f64>() / 1_000.0;
        assert!((2.9..3.1).contains(&mean), "{mean}");
        assert_eq!(dice.pick::<u8>(&[]), None);
    }
}
