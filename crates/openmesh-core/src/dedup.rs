//! Recognising a message that was taken in before: a window of ids for each sender.

use openmesh_message::limits::TIME_WINDOW_MS;
use openmesh_message::{AgentId, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

type IdHash = [u8; 16];

/// The ids of messages taken in lately, by sender.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Dedup {
    windows: BTreeMap<AgentId, Window>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Window {
    seen: BTreeMap<IdHash, Seen>,
    by_time: BTreeSet<(Timestamp, IdHash)>,
    floor: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    digest: Digest,
    seq: u64,
    time: Timestamp,
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// Never taken in within the window.
    Fresh,
    /// Taken in as this record.
    Again(u64),
    /// Taken in with another digest.
    Conflict,
    /// At or below the window's floor: it cannot be told.
    BelowFloor,
}

impl Dedup {
    pub(crate) fn look_up(&self, sender: &AgentId, id: &str, digest: &Digest, time: Timestamp) -> Lookup {
        let Some(window) = self.windows.get(sender) else {
            return Lookup::Fresh;
        };
        match window.seen.get(&hash(id)) {
            Some(seen) if seen.digest == *digest => Lookup::Again(seen.seq),
            Some(_) => Lookup::Conflict,
            None if window.floor.is_some_and(|floor| time <= floor) => Lookup::BelowFloor,
            None => Lookup::Fresh,
        }
    }

    /// How many ids are remembered of each sender.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&AgentId, usize)> {
        self.windows.iter().map(|(sender, window)| (sender, window.seen.len()))
    }

    /// Remembers a message, and forgets what left the window at `now` or is beyond `ids_max`.
    pub(crate) fn remember(&mut self, message: Remembered<'_>, ids_max: usize, now: Timestamp) {
        let window = self.windows.entry(*message.sender).or_default();
        let Remembered { id, digest, seq, time, .. } = message;
        let id = hash(id);
        window.seen.insert(id, Seen { digest, seq, time });
        window.by_time.insert((time, id));
        window.forget_before(now.plus_ms(-TIME_WINDOW_MS));
        window.shrink_to(ids_max);
    }
}

/// A message to remember.
pub(crate) struct Remembered<'a> {
    pub(crate) sender: &'a AgentId,
    pub(crate) id: &'a str,
    pub(crate) digest: Digest,
    pub(crate) seq: u64,
    pub(crate) time: Timestamp,
}

impl Window {
    fn forget_before(&mut self, start: Timestamp) {
        while self.by_time.first().is_some_and(|(time, _)| *time < start) {
            self.forget_first();
        }
    }

    fn shrink_to(&mut self, ids_max: usize) {
        while self.seen.len() > ids_max {
            if !self.forget_first() {
                return;
            }
        }
    }

    /// What is forgotten raises the floor, by age too: clocks go back at a restart, and admission asks another
    /// moment's clock. At or below the floor nothing can be told apart any more.
    fn forget_first(&mut self) -> bool {
        let Some((time, id)) = self.by_time.pop_first() else {
            return false;
        };
        self.seen.remove(&id);
        self.floor = self.floor.max(Some(time));
        true
    }
}

fn hash(id: &str) -> IdHash {
    let mut short = [0; 16];
    short.copy_from_slice(Digest::of(id.as_bytes()).as_bytes().split_at(16).0);
    short
}

#[cfg(test)]
mod tests {
    use super::{Dedup, Lookup, Remembered, TIME_WINDOW_MS};
    use openmesh_message::{Digest, KeyPair, Timestamp};

    #[test]
    fn an_id_forgotten_by_age_is_not_fresh_when_the_clock_goes_back() {
        let sender = KeyPair::from_seed(&[1; 32]).unwrap().id();
        let mut dedup = Dedup::default();
        let now = Timestamp::from_millis(1_000_000);
        let later = now.plus_ms(TIME_WINDOW_MS + 1);
        for (id, time) in [("old", now), ("new", later)] {
            let message = Remembered { sender: &sender, id, digest: Digest::ZERO, seq: 1, time };
            dedup.remember(message, 10, time);
        }
        let old = dedup.look_up(&sender, "old", &Digest::ZERO, now);
        assert_eq!(old, Lookup::BelowFloor);
    }

    #[test]
    fn an_evicted_id_is_below_the_floor_and_never_fresh_again() {
        let sender = KeyPair::from_seed(&[1; 32]).unwrap().id();
        let mut dedup = Dedup::default();
        let now = Timestamp::from_millis(1_000_000);
        let digest = |n: u64| Digest::of(&n.to_be_bytes());
        for n in 1..=5_u64 {
            let time = now.plus_ms(n as i64);
            let id = n.to_string();
            let message = Remembered { sender: &sender, id: &id, digest: digest(n), seq: n, time };
            dedup.remember(message, 3, now);
        }
        let look_up = |n: u64, digest| dedup.look_up(&sender, &n.to_string(), &digest, now.plus_ms(n as i64));
        assert_eq!(look_up(5, digest(5)), Lookup::Again(5));
        assert_eq!(look_up(5, digest(6)), Lookup::Conflict);
        assert_eq!(look_up(2, digest(2)), Lookup::BelowFloor);
        assert_eq!(look_up(6, digest(6)), Lookup::Fresh);
    }
}
