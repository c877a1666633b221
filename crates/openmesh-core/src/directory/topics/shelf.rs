//! What is there of each pinned topic, in coarse chunks: enough to say which messages its retention still hands out.
//!
//! A chunk is let go once all of it is beyond the retention, and does not come back. Between chunks, the number and
//! the time of a message say exactly whether it is too old or too many; its bytes are counted by chunks.

use openmesh_message::frame::Retention;
use openmesh_message::{Timestamp, TopicPath};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// Chunks of one topic; beyond it neighbours are joined, so that bytes are right to a thirty-second part.
const CHUNKS_MAX: usize = 128;
/// Bytes of the first chunks.
const CHUNK_BYTES_MIN: u64 = 1_024;
/// A chunk of a topic with a limit of bytes holds at most this part of them.
const CHUNKS_OF_LIMIT: u64 = 64;

/// What is there of each pinned topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shelves {
    by_topic: BTreeMap<TopicPath, Shelf>,
}

/// The kept messages of one topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Shelf {
    last: u64,
    bytes: u64,
    chunk_bytes: u64,
    chunks: VecDeque<Chunk>,
}

/// Neighbouring messages, up to the next chunk.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Chunk {
    first: u64,
    bytes: u64,
    through: Timestamp,
}

/// What of a topic is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnShelf {
    /// The first message; by age and bytes only known to its chunk.
    pub first: u64,
    /// The last message.
    pub last: u64,
    /// Bytes of attributes and payloads, by chunks.
    pub bytes: u64,
}

/// A message that was kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shelved {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    pub(crate) at: Timestamp,
}

impl Shelves {
    /// Whether a message of a topic is still handed out.
    pub fn keeps(
        &self,
        topic: &TopicPath,
        (number, at): (u64, Timestamp),
        retention: &Retention,
        now: Timestamp,
    ) -> bool {
        let too_old = retention.age_ms.is_some_and(|age_ms| is_past(at, age_ms, now));
        !too_old && self.by_topic.get(topic).is_none_or(|shelf| number >= shelf.first(retention))
    }

    /// What of a topic is handed out; `None` if nothing was ever kept.
    pub fn of(&self, topic: &TopicPath, retention: &Retention, now: Timestamp) -> Option<OnShelf> {
        self.by_topic.get(topic).map(|shelf| shelf.shown(retention, now))
    }

    /// Every topic of which something was kept, after one.
    pub fn topics_after<'a>(&'a self, after: Option<&'a TopicPath>) -> impl Iterator<Item = &'a TopicPath> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_topic.range::<TopicPath, _>((after, Bound::Unbounded)).map(|(topic, _)| topic)
    }

    pub(crate) fn put(&mut self, topic: &TopicPath, message: Shelved, retention: &Retention) {
        match self.by_topic.get_mut(topic) {
            Some(shelf) => shelf.put(message, retention),
            None => {
                let mut shelf = Shelf::beginning_with(message);
                shelf.put(message, retention);
                self.by_topic.insert(topic.clone(), shelf);
            }
        }
    }
}

impl Shelf {
    /// Messages from before anything was known of the topic's bytes weigh nothing.
    fn beginning_with(message: Shelved) -> Self {
        let before = Chunk { first: 1, bytes: 0, through: message.at };
        let chunks = (message.number > 1).then_some(before).into_iter().collect();
        Self { last: message.number - 1, bytes: 0, chunk_bytes: CHUNK_BYTES_MIN, chunks }
    }

    fn put(&mut self, message: Shelved, retention: &Retention) {
        let Shelved { number, bytes, at } = message;
        self.last = number;
        self.bytes += bytes;
        let of_limit = retention.bytes.map(|bytes| (bytes / CHUNKS_OF_LIMIT).max(CHUNK_BYTES_MIN));
        self.chunk_bytes = self.chunk_bytes.min(of_limit.unwrap_or(u64::MAX));
        match self.chunks.back_mut() {
            Some(chunk) if chunk.bytes + bytes <= self.chunk_bytes => {
                chunk.bytes += bytes;
                chunk.through = chunk.through.max(at);
            }
            _ => self.chunks.push_back(Chunk { first: number, bytes, through: at }),
        }
        self.let_go(retention, at);
        if self.chunks.len() > CHUNKS_MAX {
            self.join_neighbours();
        }
    }

    /// Drops the chunks that are wholly beyond the retention; the last one stays.
    fn let_go(&mut self, retention: &Retention, now: Timestamp) {
        while let (Some(front), Some(next)) = (self.chunks.front(), self.chunks.get(1)) {
            let too_many = retention.messages.is_some_and(|messages| next.first + messages <= self.last + 1);
            let too_old = retention.age_ms.is_some_and(|age_ms| is_past(front.through, age_ms, now));
            let too_large = retention.bytes.is_some_and(|bytes| self.bytes - front.bytes >= bytes);
            if !(too_many || too_old || too_large) {
                return;
            }
            self.bytes -= front.bytes;
            self.chunks.pop_front();
        }
    }

    fn join_neighbours(&mut self) {
        let chunks = std::mem::take(&mut self.chunks);
        for chunk in chunks {
            match self.chunks.back_mut() {
                Some(back) if back.bytes + chunk.bytes <= self.chunk_bytes * 2 => {
                    back.bytes += chunk.bytes;
                    back.through = back.through.max(chunk.through);
                }
                _ => self.chunks.push_back(chunk),
            }
        }
        self.chunk_bytes *= 2;
    }

    /// The first message that is neither let go nor one too many.
    fn first(&self, retention: &Retention) -> u64 {
        let shelved = self.chunks.front().map_or(1, |chunk| chunk.first);
        let by_count = retention.messages.map_or(0, |messages| (self.last + 1).saturating_sub(messages));
        let by_bytes = retention.bytes.map_or(0, |bytes| self.first_within(bytes));
        shelved.max(by_count).max(by_bytes)
    }

    /// The chunk in which the latest so many bytes begin.
    fn first_within(&self, bytes: u64) -> u64 {
        let mut newer = 0;
        for chunk in self.chunks.iter().rev() {
            newer += chunk.bytes;
            if newer >= bytes {
                return chunk.first;
            }
        }
        0
    }

    fn shown(&self, retention: &Retention, now: Timestamp) -> OnShelf {
        let young =
            |chunk: &&Chunk| retention.age_ms.is_none_or(|age_ms| !is_past(chunk.through, age_ms, now));
        let by_age = self.chunks.iter().find(young).map_or(self.last + 1, |chunk| chunk.first);
        let first = self.first(retention).max(by_age);
        let ends = self.chunks.iter().skip(1).map(|next| next.first).chain([self.last + 1]);
        let shown = self.chunks.iter().zip(ends).filter(|(_, end)| *end > first);
        OnShelf { first, last: self.last, bytes: shown.map(|(chunk, _)| chunk.bytes).sum() }
    }
}

impl OnShelf {
    /// How many messages are handed out.
    pub const fn messages(&self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }
}

/// Whether something of `at` is older than `age_ms`.
fn is_past(at: Timestamp, age_ms: u64, now: Timestamp) -> bool {
    at.plus_ms(age_ms.min(i64::MAX as u64).cast_signed()) <= now
}

#[cfg(test)]
mod tests {
    use super::{CHUNKS_MAX, Shelved, Shelves};
    use openmesh_message::frame::Retention;
    use openmesh_message::{Timestamp, TopicPath};

    fn topic() -> TopicPath {
        "market/rfp".parse().unwrap()
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms.cast_signed())
    }

    /// One message a millisecond, so that number and time are one.
    fn shelves(count: u64, bytes: u64, retention: &Retention) -> Shelves {
        let mut shelves = Shelves::default();
        for number in 1..=count {
            shelves.put(&topic(), Shelved { number, bytes, at: at(number) }, retention);
        }
        shelves
    }

    fn kept(shelves: &Shelves, count: u64, retention: &Retention, now: u64) -> Vec<u64> {
        let keeps = |number: &u64| shelves.keeps(&topic(), (*number, at(*number)), retention, at(now));
        (1..=count).filter(keeps).collect()
    }

    #[test]
    fn count_and_age_are_exact() {
        let few = Retention { messages: Some(10), ..Retention::UNLIMITED };
        let shelf = shelves(1_000, 100, &few);
        assert_eq!(kept(&shelf, 1_000, &few, 1_000), (991..=1_000).collect::<Vec<_>>());
        assert_eq!(shelf.of(&topic(), &few, at(1_000)).unwrap().messages(), 10);
        let young = Retention { age_ms: Some(50), ..Retention::UNLIMITED };
        let shelf = shelves(1_000, 100, &young);
        assert_eq!(kept(&shelf, 1_000, &young, 1_000), (951..=1_000).collect::<Vec<_>>());
        assert_eq!(kept(&shelf, 1_000, &young, 2_000), Vec::<u64>::new());
        assert_eq!(shelf.of(&topic(), &young, at(2_000)).unwrap().messages(), 0);
    }

    #[test]
    fn bytes_are_right_to_a_thirty_second_part() {
        for bytes in [10_000, 1_000_000] {
            let small = Retention { bytes: Some(bytes), ..Retention::UNLIMITED };
            let shelf = shelves(100_000, 100, &small);
            let kept = kept(&shelf, 100_000, &small, 0).len() as u64 * 100;
            assert!(kept >= bytes && kept <= bytes + (bytes / 32).max(1_024), "{kept} of {bytes}");
            assert!(shelf.of(&topic(), &small, at(0)).unwrap().bytes >= bytes);
        }
    }

    #[test]
    fn chunks_are_few_and_what_was_let_go_stays_away() {
        let few = Retention { messages: Some(500), ..Retention::UNLIMITED };
        let shelf = shelves(100_000, 300, &few);
        let all = kept(&shelf, 100_000, &Retention::UNLIMITED, 0).len();
        assert!((500..700).contains(&all), "{all}");
        let whole = shelves(100_000, 300, &Retention::UNLIMITED);
        assert_eq!(kept(&whole, 100_000, &Retention::UNLIMITED, 0).len(), 100_000);
        let chunks = |shelves: &Shelves| shelves.by_topic[&topic()].chunks.len();
        assert!(chunks(&shelf) <= CHUNKS_MAX && chunks(&whole) <= CHUNKS_MAX);
        assert_eq!(whole.of(&topic(), &Retention::UNLIMITED, at(0)).unwrap().bytes, 30_000_000);
    }
}
