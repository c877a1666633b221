//! Tells a reader that something waits for it, at once or when somebody says so.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// One reader's bell.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Notify,
    /// Something waits that the reader was not told of: since which number; 0 if nothing does.
    quiet_since: AtomicU64,
}

impl Bell {
    /// Tells the reader; what was put there quietly goes along.
    pub(super) fn ring(&self) {
        self.quiet_since.store(0, Ordering::SeqCst);
        self.rung.notify_one();
    }

    /// Waits until the reader is told.
    pub(super) async fn rung(&self) {
        self.rung.notified().await;
    }

    /// Notes that something waits, under a number; `true` where nothing did that the reader was not told of.
    pub(super) fn hush(&self, number: u64) -> bool {
        self.quiet_since.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether the reader has still not been told of what waits since a number.
    pub(super) fn is_quiet(&self, number: u64) -> bool {
        self.quiet_since.load(Ordering::SeqCst) == number
    }
}
