//! What is remembered, by examples and beside a naive memory.

use super::{Dedup, Lookup, Remembered, TIME_WINDOW_MS, short, short_id};
use crate::state::compact::Reader;
use openmesh_message::{AgentId, Digest, KeyPair, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

fn sender() -> AgentId {
    KeyPair::from_seed(&[1; 32]).unwrap().id()
}

fn remembered<'a>(
    sender: &'a AgentId,
    id: &str,
    digest: &Digest,
    (seq, time): (u64, Timestamp),
) -> Remembered<'a> {
    Remembered { sender, id: short_id(id), check: short(digest), seq, time }
}

fn restored(dedup: &Dedup, key: u64) -> Dedup {
    let mut bytes = Vec::new();
    dedup.write(&mut bytes);
    let mut reader = Reader::new(&bytes);
    let read = Dedup::read(&mut reader, key).unwrap();
    assert_eq!(reader.left(), 0);
    read
}

#[test]
fn an_id_forgotten_by_age_is_not_fresh_when_the_clock_goes_back() {
    let sender = sender();
    let mut dedup = Dedup::default();
    let now = Timestamp::from_millis(1_000_000);
    let later = now.plus_ms(TIME_WINDOW_MS + 1);
    for (id, time) in [("old", now), ("new", later)] {
        let message = remembered(&sender, id, &Digest::ZERO, (1, time));
        dedup.remember(message, 10, time);
    }
    let old = dedup.look_up(&sender, short_id("old"), &Digest::ZERO, now);
    assert_eq!(old, Lookup::BelowFloor);
}

#[test]
fn an_evicted_id_is_below_the_floor_and_never_fresh_again() {
    let sender = sender();
    let mut dedup = Dedup::default();
    let now = Timestamp::from_millis(1_000_000);
    let digest = |n: u64| Digest::of(&n.to_be_bytes());
    for n in 1..=5_u64 {
        let time = now.plus_ms(n as i64);
        let id = n.to_string();
        let message = remembered(&sender, &id, &digest(n), (n, time));
        dedup.remember(message, 3, now);
    }
    let look_up =
        |n: u64, digest| dedup.look_up(&sender, short_id(&n.to_string()), &digest, now.plus_ms(n as i64));
    assert_eq!(look_up(5, digest(5)), Lookup::Again(5));
    assert_eq!(look_up(5, digest(6)), Lookup::Conflict);
    assert_eq!(look_up(2, digest(2)), Lookup::BelowFloor);
    assert_eq!(look_up(6, digest(6)), Lookup::Fresh);
}

/// The memory as it is described: a list by id and an order by time.
#[derive(Default)]
struct Naive {
    seen: BTreeMap<String, (Digest, u64, Timestamp)>,
    by_time: BTreeSet<(Timestamp, u64, String)>,
    floor: Option<Timestamp>,
}

impl Naive {
    fn look_up(&self, id: &str, digest: &Digest, time: Timestamp) -> Lookup {
        match self.seen.get(id) {
            Some((seen, seq, _)) if seen == digest => Lookup::Again(*seq),
            Some(_) => Lookup::Conflict,
            None if self.floor.is_some_and(|floor| time <= floor) => Lookup::BelowFloor,
            None => Lookup::Fresh,
        }
    }

    fn remember(
        &mut self,
        (id, digest): (&str, Digest),
        (seq, time): (u64, Timestamp),
        ids_max: usize,
        now: Timestamp,
    ) {
        self.seen.insert(id.to_owned(), (digest, seq, time));
        self.by_time.insert((time, seq, id.to_owned()));
        let start = now.plus_ms(-TIME_WINDOW_MS);
        while self.by_time.first().is_some_and(|(time, ..)| *time < start) || self.seen.len() > ids_max {
            let (time, _, id) = self.by_time.pop_first().unwrap();
            self.seen.remove(&id);
            self.floor = self.floor.max(Some(time));
        }
    }
}

/// Clocks go on, stand, go back and strobe by years; ids are few enough to come again.
#[test]
fn whatever_clocks_do_it_remembers_as_a_naive_memory_would() {
    let sender = sender();
    for seed in 0..60_u64 {
        let mut random = seed;
        let mut below = |end: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % end
        };
        let ids_max = [3, 20, 100, 700][seed as usize % 4];
        let (mut dedup, mut naive) = (Dedup::keyed(seed), Naive::default());
        let mut now = Timestamp::from_millis(1_767_225_600_000);
        for seq in 1..=1_500_u64 {
            now = now.plus_ms(match below(400) {
                0 => 315_360_000_000,
                1 => -315_360_000_000,
                2 => TIME_WINDOW_MS / 2,
                3..=200 => 1,
                _ => 0,
            });
            let time = now.plus_ms(-(below(50) as i64) * (below(3000) as i64));
            let (id, digest) = (format!("id-{}", below(2_000)), Digest::of(&[below(3) as u8]));
            let seq = seq + u64::from(below(50) == 0) * (1 << 40);
            let found = dedup.look_up(&sender, short_id(&id), &digest, time);
            assert_eq!(found, naive.look_up(&id, &digest, time), "seed {seed}");
            if found == Lookup::Fresh {
                naive.remember((&id, digest), (seq, time), ids_max, now);
                dedup.remember(remembered(&sender, &id, &digest, (seq, time)), ids_max, now);
            }
            let count = dedup.counts().next().map_or(0, |(_, count)| count);
            assert_eq!(count, naive.seen.len(), "seed {seed}");
            if seq % 500 == 0 {
                let again = restored(&dedup, seed + 1);
                assert!(again == dedup, "seed {seed}");
                dedup = again;
            }
        }
    }
}
