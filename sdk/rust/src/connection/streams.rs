//! What the node says of the ends of streams, until the task of each end takes it.

use openmesh_message::frame::StreamEvent;
use openmesh_message::limits::STREAM_WINDOW_BYTES_MAX;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// More than an honest node ever sends to one end that is read from.
const UNREAD_BYTES_MAX: usize = 2 * STREAM_WINDOW_BYTES_MAX as usize;

/// The ends of streams of one connection, by their numbers.
#[derive(Default)]
pub(crate) struct StreamEnds {
    ended: bool,
    ends: BTreeMap<u64, Arc<StreamEvents>>,
}

/// What was said of one end and is unread. For one reader.
#[derive(Default)]
pub(crate) struct StreamEvents {
    unread: Mutex<Unread>,
    changed: Notify,
}

#[derive(Default)]
struct Unread {
    events: VecDeque<StreamEvent>,
    bytes: usize,
    ended: bool,
}

impl StreamEnds {
    /// `None` when the connection has ended.
    pub(crate) fn open(&mut self, stream: u64) -> Option<Arc<StreamEvents>> {
        if self.ended {
            return None;
        }
        Some(Arc::clone(self.ends.entry(stream).or_default()))
    }

    pub(crate) fn close(&mut self, stream: u64) {
        self.ends.remove(&stream);
    }

    pub(crate) fn take_in(&self, event: StreamEvent) {
        if let Some(end) = self.ends.get(&event.stream()) {
            end.push(event);
        }
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
        for end in std::mem::take(&mut self.ends).into_values() {
            end.end();
        }
    }
}

impl StreamEvents {
    /// What was said next; `None` when nothing can come any more. Nothing is lost if the wait is given up.
    pub(crate) async fn next(&self) -> Option<StreamEvent> {
        loop {
            {
                let mut unread = self.unread();
                if let Some(event) = unread.events.pop_front() {
                    unread.bytes -= event.bytes();
                    return Some(event);
                }
                if unread.ended {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    fn push(&self, event: StreamEvent) {
        let mut unread = self.unread();
        unread.bytes += event.bytes();
        unread.events.push_back(event);
        unread.ended |= unread.bytes > UNREAD_BYTES_MAX;
        drop(unread);
        self.changed.notify_one();
    }

    fn end(&self) {
        self.unread().ended = true;
        self.changed.notify_one();
    }

    fn unread(&self) -> MutexGuard<'_, Unread> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
