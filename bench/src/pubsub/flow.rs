//! How far everybody is: the publisher waits for room in its window, subscribers make it.

use super::seen::Seen;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Messages of a window, at most: what a node keeps waiting for one connection.
pub(super) const WINDOW_MESSAGES_MAX: u64 = 4_096;
/// The publisher looks again after so long, whatever it was told.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Without room for so long, what is missing is taken for lost, and the publisher goes on.
const LOST_AFTER: Duration = Duration::from_millis(500);
/// Nobody waits.
const NOBODY: u64 = u64::MAX;

/// What the threads of one load share.
pub(super) struct Flow {
    begun: Instant,
    /// 0: without end.
    window: u64,
    readers: Vec<Reader>,
    /// What every subscriber must have come to before the publisher goes on.
    wanted: AtomicU64,
    publisher: OnceLock<Thread>,
    is_measuring: AtomicBool,
    is_over: AtomicBool,
}

/// How far one subscriber is.
#[derive(Default)]
struct Reader {
    /// The number of the next message it will see.
    next: AtomicU64,
    messages: AtomicU64,
}

impl Flow {
    pub(super) fn new(window: u64, subscribers: usize) -> Self {
        Self {
            begun: Instant::now(),
            window,
            readers: (0..subscribers).map(|_| Reader::default()).collect(),
            wanted: AtomicU64::new(NOBODY),
            publisher: OnceLock::new(),
            is_measuring: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }
    }

    /// The clock that stamps messages.
    pub(super) fn now_ns(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    /// Waits until `messages` more fit the window; false once the load is over. Where there is no room, the publisher
    /// sleeps until half of the window is free: it is not woken for every message.
    pub(super) fn wait_room(&self, sent: u64, messages: u64) -> bool {
        if self.window == 0 || self.least() + self.window >= sent + messages {
            return !self.is_over();
        }
        let _ = self.publisher.set(std::thread::current());
        let enough = (sent + (self.window / 2).max(messages)).saturating_sub(self.window);
        let until = Instant::now() + LOST_AFTER;
        while !self.is_over() && Instant::now() < until {
            self.wanted.store(enough, Ordering::SeqCst);
            if self.least() >= enough {
                break;
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
        self.wanted.store(NOBODY, Ordering::SeqCst);
        !self.is_over()
    }

    /// A subscriber has read something.
    pub(super) fn saw(&self, place: usize, seen: &Seen) {
        let Some(reader) = self.readers.get(place) else { return };
        reader.messages.store(seen.messages(), Ordering::Relaxed);
        reader.next.store(seen.next(), Ordering::SeqCst);
        let wanted = self.wanted.load(Ordering::SeqCst);
        if wanted != NOBODY && self.least() >= wanted && self.wanted.swap(NOBODY, Ordering::SeqCst) != NOBODY
        {
            self.publisher.get().map(Thread::unpark);
        }
    }

    /// Messages that subscribers have seen, all together.
    pub(super) fn delivered(&self) -> u64 {
        self.readers.iter().map(|reader| reader.messages.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn measure(&self, is_measuring: bool) {
        self.is_measuring.store(is_measuring, Ordering::Relaxed);
    }

    pub(super) fn is_measuring(&self) -> bool {
        self.is_measuring.load(Ordering::Relaxed)
    }

    /// Nothing more is published.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.publisher.get().map(Thread::unpark);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Waits until every subscriber has come to `sent`, or for so long.
    pub(super) fn wait_all(&self, sent: u64, wait: Duration) {
        let until = Instant::now() + wait;
        while self.least() < sent && Instant::now() < until {
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn least(&self) -> u64 {
        self.readers.iter().map(|reader| reader.next.load(Ordering::SeqCst)).min().unwrap_or(u64::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::Flow;
    use crate::pubsub::seen::{STAMP_BYTES, Seen};
    use std::time::Duration;

    fn seen(upto: u64) -> Seen {
        let mut seen = Seen::default();
        for number in 0..upto {
            let mut payload = [0; STAMP_BYTES];
            payload[8..].copy_from_slice(&number.to_le_bytes());
            seen.message(&payload).unwrap();
        }
        seen
    }

    #[test]
    fn the_publisher_waits_for_the_slowest_until_the_load_is_over() {
        let flow = Flow::new(100, 2);
        assert!(flow.wait_room(0, 100));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| flow.wait_room(100, 10));
            flow.saw(0, &seen(60));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!waits.is_finished());
            flow.saw(1, &seen(60));
            assert!(waits.join().unwrap());
        });
        flow.end();
        assert!(!flow.wait_room(100, 10));
        assert_eq!(flow.delivered(), 120);
    }

    #[test]
    fn a_window_without_end_has_room() {
        let flow = Flow::new(0, 1);
        assert!(flow.wait_room(u64::MAX / 4, 1));
    }
}
