//! Tells a reader that something waits for it, at once or when somebody says so.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// One reader's bell.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Notify,
    /// Something waits that the reader was not told of.
    is_quiet: AtomicBool,
}

impl Bell {
    /// Tells the reader, now or when it looks.
    pub(super) fn ring(&self) {
        self.rung.notify_one();
    }

    /// Waits until the reader is told.
    pub(super) async fn rung(&self) {
        self.rung.notified().await;
    }

    /// Notes that something waits; `true` where nothing did that the reader was not told of.
    pub(super) fn hush(&self) -> bool {
        !self.is_quiet.swap(true, Ordering::SeqCst)
    }

    /// Tells the reader of what was put there without a word.
    pub(super) fn end_quiet(&self) {
        self.is_quiet.store(false, Ordering::SeqCst);
        self.ring();
    }
}
