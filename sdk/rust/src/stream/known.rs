//! What a handle remembers of the streams it has read, so that one offered again goes on where it was left.

use super::shelf::Shelf;
use openmesh_message::AgentId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Streams remembered.
const KNOWN_MAX: usize = 1_024;

/// A stream: who offered it, and by which message.
type Key = (AgentId, String);

/// The streams of one handle.
#[derive(Default)]
pub(crate) struct KnownStreams(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    shelves: BTreeMap<Key, Arc<Shelf>>,
    in_order: VecDeque<Key>,
}

impl KnownStreams {
    /// A fresh shelf for a stream's items, at the place where an earlier one was left, or at `from`; `None` while the
    /// stream is being read.
    pub(crate) fn shelf(&self, key: Key, from: Option<u64>) -> Option<Arc<Shelf>> {
        let mut remembered = self.remembered();
        let before = remembered.shelves.get(&key);
        if before.is_some_and(|shelf| shelf.is_read()) {
            return None;
        }
        let place = from.or_else(|| before.map(|shelf| shelf.place())).unwrap_or_default();
        let shelf = Arc::new(Shelf::at(place));
        if remembered.shelves.insert(key.clone(), Arc::clone(&shelf)).is_none() {
            remembered.in_order.push_back(key);
        }
        if remembered.in_order.len() > KNOWN_MAX
            && let Some(oldest) = remembered.in_order.pop_front()
        {
            remembered.shelves.remove(&oldest);
        }
        Some(shelf)
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
