//! How long a reader that takes nothing is waited for, and what becomes of what waits for it meanwhile.

use super::OutboxReader;
use crate::planted::{self, Planted};
use openmesh_message::Priority;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// A reader that has not taken what is being written after so long is slow.
const SLOW_AFTER: Duration = Duration::from_secs(1);

impl OutboxReader {
    /// Waits until what was taken is written; what waits behind it is that of a slow reader if that takes long.
    pub async fn patiently<T>(&self, writing: impl Future<Output = T>) -> T {
        let mut writing = pin!(writing);
        // What is written at once needs no clock.
        if let Poll::Ready(written) = poll_fn(|context| Poll::Ready(writing.as_mut().poll(context))).await {
            return written;
        }
        loop {
            if let Ok(written) = timeout(SLOW_AFTER, writing.as_mut()).await {
                return written;
            }
            self.note_slow();
        }
    }

    /// Its reader has taken nothing for long: where others need the memory, what is not kept waits for it no longer.
    pub(crate) fn note_slow(&self) {
        if planted::has(Planted::ForgetSlow) {
            return;
        }
        self.shared.levels.note_slow(true);
        if !self.shared.noted.load.outboxes_are_crowded() {
            return;
        }
        let (gone, said) = self.shared.lanes().miss();
        // Whoever is to be told that there is room is told when this is written.
        for (lane, (gone, said)) in Priority::ALL.into_iter().zip(gone.into_iter().zip(said)) {
            let level = self.shared.levels.of(lane);
            level.count(said.0, said.1);
            level.sink(gone.0, gone.1);
        }
        self.shared.note_load();
    }
}
