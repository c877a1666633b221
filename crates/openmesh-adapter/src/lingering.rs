//! Answers that go with what comes next to their connection, or a moment later: nobody waits for them, and a write of its own
//! would wake their reader for little ([RFC 1122, 4.2.3.2](https://www.rfc-editor.org/rfc/rfc1122#section-4.2.3.2) has TCP
//! acknowledge so).

use crate::outbox::{Batch, Outbox, WeakOutbox};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Longest that an answer waits for something to go with.
const LINGERS_FOR: Duration = Duration::from_millis(1);

/// The connections that such answers wait for, in the order they do; what went with something else meanwhile is found when it
/// is first. Whoever owns it looks often, so that an exchange that goes on never needs a timer.
#[derive(Debug, Default)]
pub struct Lingering {
    waiting: VecDeque<Waiting>,
    last: u64,
}

/// Answers of one connection.
#[derive(Debug)]
struct Waiting {
    outbox: WeakOutbox,
    number: u64,
    until: Instant,
}

impl Lingering {
    /// Hands over answers that may wait.
    pub fn send(&mut self, outbox: &Outbox, answers: Batch) {
        self.last += 1;
        let number = self.last;
        if outbox.send_quietly(answers, number) {
            let until = Instant::now() + LINGERS_FOR;
            self.waiting.push_back(Waiting { outbox: outbox.downgrade(), number, until });
        }
    }

    /// Has those written that have waited long enough; how long the others still may.
    pub fn write_due(&mut self) -> Option<Duration> {
        while let Some(Waiting { outbox, number, until }) = self.waiting.front() {
            if let Some(outbox) = outbox.upgrade().filter(|outbox| outbox.is_quiet(*number)) {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Some(left);
                }
                outbox.end_quiet();
            }
            self.waiting.pop_front();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{LINGERS_FOR, Lingering};
    use crate::outbox::{Outbox, Outgoing};
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::Poll;
    use std::time::Duration;
    use tokio::time::{sleep, timeout};

    fn pongs(batch: Option<Vec<Outgoing>>) -> Vec<u64> {
        let number = |outgoing| match outgoing {
            Outgoing::Pong(number) => number,
            other => panic!("{other:?}"),
        };
        batch.into_iter().flatten().map(number).collect()
    }

    #[tokio::test]
    async fn an_answer_that_lingers_wakes_nobody_and_goes_with_what_comes_next() {
        let (mut lingering, (outbox, mut reader)) = (Lingering::default(), Outbox::new());
        let mut next = pin!(reader.next());
        let mut polled = async || poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await;
        assert!(polled().await.is_pending());
        lingering.send(&outbox, vec![Outgoing::Pong(1)]);
        assert!(polled().await.is_pending(), "it was told");
        assert!(lingering.write_due().is_some());
        outbox.send(vec![Outgoing::Pong(2)]).unwrap();
        assert_eq!(lingering.write_due(), None, "it waits for nothing any more");
        let Poll::Ready(batch) = polled().await else { panic!("it was not told") };
        assert_eq!(pongs(batch), [1, 2]);
    }

    #[tokio::test]
    async fn an_answer_that_nothing_comes_behind_is_written_all_the_same() {
        let (mut lingering, (outbox, mut reader)) = (Lingering::default(), Outbox::new());
        for number in 1..4 {
            // The reader is told each time anew.
            lingering.send(&outbox, vec![Outgoing::Pong(number)]);
            assert!(lingering.write_due().is_some_and(|left| left <= LINGERS_FOR));
            sleep(LINGERS_FOR).await;
            assert_eq!(lingering.write_due(), None);
            let batch = timeout(Duration::from_secs(20), reader.next()).await.unwrap();
            assert_eq!(pongs(batch), [number]);
        }
    }

    #[tokio::test]
    async fn one_that_waits_behind_others_that_went_is_not_forgotten() {
        let (mut lingering, (gone, _)) = (Lingering::default(), Outbox::new());
        let ((busy, _reads), (idle, mut reader)) = (Outbox::new(), Outbox::new());
        for outbox in [&gone, &busy, &idle] {
            lingering.send(outbox, vec![Outgoing::Pong(1)]);
        }
        busy.send(vec![Outgoing::Pong(2)]).unwrap();
        lingering.send(&busy, vec![Outgoing::Pong(3)]);
        sleep(LINGERS_FOR).await;
        assert_eq!(lingering.write_due(), None);
        assert_eq!(pongs(timeout(Duration::from_secs(20), reader.next()).await.unwrap()), [1]);
    }
}
