//! Seeds with changes from a fixed seed: bytes flipped, cut, doubled, taken from another. What libFuzzer does in earnest.

use crate::committed::{inputs, run};
use openmesh_fuzz::TARGETS;

/// For each target.
const INPUTS: u64 = 400;
const CHANGES_MAX: u64 = 4;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }
}

fn change(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(input.len());
    match random.below(6) {
        0 if !input.is_empty() => input[at] ^= 1 << random.below(8),
        1 if !input.is_empty() => input[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'/', b'*'][random.below(8)],
        2 => input.truncate(at),
        3 => input.insert(at, random.next() as u8),
        4 => {
            let to = at + random.below(input.len() - at);
            let part = input[at..to].to_vec();
            input.splice(at..at, part);
        }
        _ => {
            let from = random.below(other.len());
            let to = from + random.below(other.len() - from).min(64);
            input.splice(at..at, other[from..to].iter().copied());
        }
    }
}

#[test]
fn changed_seeds_break_nothing() {
    let mut broken = Vec::new();
    for (number, target) in TARGETS.iter().enumerate() {
        let seeds: Vec<Vec<u8>> = inputs("seeds", target.name).into_iter().map(|(_, bytes)| bytes).collect();
        let mut random = Random(number as u64);
        for _ in 0..INPUTS {
            let mut input = seeds[random.below(seeds.len())].clone();
            let other = &seeds[random.below(seeds.len())];
            for _ in 0..=random.next() % CHANGES_MAX {
                change(&mut input, other, &mut random);
            }
            if run(target, &input).is_none() {
                broken.push((target.name, input));
                break;
            }
        }
    }
    assert!(broken.is_empty(), "{broken:02x?}");
}
