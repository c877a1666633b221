//! Recognising a message that was taken in before: a window of ids for each sender.
//!
//! Of an id eight bytes of its SHA-256 are kept, and of a message eight bytes of its digest: whoever makes two of its own
//! agree harms nobody else.

mod index;
mod pages;
mod stored;
#[cfg(test)]
mod tests;
mod timeline;
mod window;

pub(crate) use stored::StoredDedup;

use openmesh_message::limits::TIME_WINDOW_MS;
use openmesh_message::{AgentId, Digest, Timestamp};
use std::collections::BTreeMap;
use window::{Seen, Window};

/// The ids of messages taken in lately, by sender.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dedup {
    windows: BTreeMap<AgentId, Window>,
    key: u64,
}

impl PartialEq for Dedup {
    fn eq(&self, other: &Self) -> bool {
        self.windows == other.windows
    }
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
    /// An empty memory; `key` is a secret of this run, so that nobody can choose ids that fall together.
    pub(crate) fn keyed(key: u64) -> Self {
        Self { windows: BTreeMap::new(), key }
    }

    /// What is known of a sender's id, of which this is what is kept.
    pub(crate) fn look_up(&self, sender: &AgentId, id: u64, digest: &Digest, time: Timestamp) -> Lookup {
        let Some(window) = self.windows.get(sender) else {
            return Lookup::Fresh;
        };
        match window.find(id) {
            Some(seen) if seen.check == short(digest) => Lookup::Again(seen.seq),
            Some(_) => Lookup::Conflict,
            None if window.floor().is_some_and(|floor| time <= floor) => Lookup::BelowFloor,
            None => Lookup::Fresh,
        }
    }

    /// How many ids are remembered of each sender.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&AgentId, usize)> {
        self.windows.iter().map(|(sender, window)| (sender, window.len()))
    }

    /// Remembers a message, and forgets what left the window at `now` or is beyond `ids_max`.
    pub(crate) fn remember(&mut self, message: Remembered<'_>, ids_max: usize, now: Timestamp) {
        let key = self.key;
        let window = self.windows.entry(*message.sender).or_insert_with(|| Window::keyed(key));
        let Remembered { id, check, seq, time, .. } = message;
        window.insert(Seen { id, check, seq, time });
        window.forget_before(now.plus_ms(-TIME_WINDOW_MS));
        window.shrink_to(ids_max);
    }
}

/// A message to remember.
pub(crate) struct Remembered<'a> {
    pub(crate) sender: &'a AgentId,
    /// Of its id.
    pub(crate) id: u64,
    /// Of its digest.
    pub(crate) check: u64,
    pub(crate) seq: u64,
    pub(crate) time: Timestamp,
}

/// What is kept of an id.
pub(crate) fn short_id(id: &str) -> u64 {
    short(&Digest::of(id.as_bytes()))
}

/// What is kept of a digest: its first eight bytes, in its order.
pub(crate) fn short(digest: &Digest) -> u64 {
    let first = digest.as_bytes().first_chunk();
    first.map_or(0, |first| u64::from_be_bytes(*first))
}
