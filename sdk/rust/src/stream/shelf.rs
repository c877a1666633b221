//! Items that arrived and wait to be taken, between the task that reads a stream and its reader.

use crate::SdkError;
use bytes::Bytes;
use openmesh_message::frame::item_cost;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The items of one stream, never more than its window.
pub(crate) struct Shelf {
    state: Mutex<State>,
    /// Something arrived, or the stream ended.
    arrived: Notify,
    /// Something was taken, or nothing more will be.
    taken: Notify,
}

struct State {
    items: VecDeque<Bytes>,
    /// Everything before this place was taken.
    place: u64,
    /// How it ended: all was taken, or why not.
    ended: Option<Result<(), SdkError>>,
    abandoned: bool,
}

/// How far the reader has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) place: u64,
    pub(crate) is_empty: bool,
    /// Nobody reads any more.
    pub(crate) abandoned: bool,
}

impl Shelf {
    pub(crate) fn at(place: u64) -> Self {
        let state = State { items: VecDeque::new(), place, ended: None, abandoned: false };
        Self { state: Mutex::new(state), arrived: Notify::new(), taken: Notify::new() }
    }

    /// The next item; `None` at the end of the stream.
    pub(crate) async fn next(&self) -> Result<Option<Bytes>, SdkError> {
        loop {
            {
                let mut state = self.state();
                if let Some(item) = state.items.pop_front() {
                    state.place += item_cost(item.len());
                    drop(state);
                    self.taken.notify_one();
                    return Ok(Some(item));
                }
                if let Some(ended) = &state.ended {
                    return ended.clone().map(|()| None);
                }
            }
            self.arrived.notified().await;
        }
    }

    pub(crate) fn put(&self, item: Bytes) {
        self.state().items.push_back(item);
        self.arrived.notify_one();
    }

    /// Drops what was not taken: it will come again.
    pub(crate) fn clear(&self) -> Progress {
        self.state().items.clear();
        self.progress()
    }

    pub(crate) fn end(&self, how: Result<(), SdkError>) {
        self.state().ended.get_or_insert(how);
        self.arrived.notify_one();
    }

    pub(crate) fn abandon(&self) {
        self.state().abandoned = true;
        self.taken.notify_one();
    }

    /// Waits until something was taken.
    pub(crate) async fn taken(&self) {
        self.taken.notified().await;
    }

    pub(crate) fn progress(&self) -> Progress {
        let state = self.state();
        Progress { place: state.place, is_empty: state.items.is_empty(), abandoned: state.abandoned }
    }

    pub(crate) fn place(&self) -> u64 {
        self.state().place
    }

    /// Whether somebody reads the stream, and it has not ended.
    pub(crate) fn is_read(&self) -> bool {
        let state = self.state();
        state.ended.is_none() && !state.abandoned
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
