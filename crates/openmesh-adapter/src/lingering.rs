//! Answers that go with what comes next to their connection, or a moment later: nobody waits for them, and a write of its own
//! would wake their reader for little ([RFC 1122, 4.2.3.2](https://www.rfc-editor.org/rfc/rfc1122#section-4.2.3.2) has TCP
//! acknowledge so).

use crate::outbox::{Batch, Outbox, WeakOutbox};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// Longest that an answer waits for something to go with.
const LINGERS_FOR: Duration = Duration::from_millis(1);

/// The connections that such answers wait for.
#[derive(Debug, Default)]
pub struct Lingering {
    outboxes: Mutex<Vec<WeakOutbox>>,
    has_begun: Notify,
}

impl Lingering {
    /// Hands over answers that may wait.
    pub fn send(&self, outbox: &Outbox, answers: Batch) {
        if !outbox.send_quietly(answers) {
            return;
        }
        let mut outboxes = self.outboxes();
        outboxes.push(outbox.downgrade());
        if outboxes.len() == 1 {
            self.has_begun.notify_one();
        }
    }

    /// Has them written in time, as long as this is awaited.
    pub async fn run(&self) {
        loop {
            self.has_begun.notified().await;
            sleep(LINGERS_FOR).await;
            let outboxes = std::mem::take(&mut *self.outboxes());
            for outbox in outboxes.iter().filter_map(WeakOutbox::upgrade) {
                outbox.end_quiet();
            }
        }
    }

    fn outboxes(&self) -> MutexGuard<'_, Vec<WeakOutbox>> {
        self.outboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Lingering;
    use crate::outbox::{Outbox, Outgoing};
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::Poll;
    use std::time::Duration;
    use tokio::time::timeout;

    fn pongs(batch: Option<Vec<Outgoing>>) -> Vec<u64> {
        let number = |outgoing| match outgoing {
            Outgoing::Pong(number) => number,
            other => panic!("{other:?}"),
        };
        batch.into_iter().flatten().map(number).collect()
    }

    #[tokio::test]
    async fn an_answer_that_lingers_wakes_nobody_and_goes_with_what_comes_next() {
        let (lingering, (outbox, mut reader)) = (Lingering::default(), Outbox::new());
        let mut next = pin!(reader.next());
        let mut polled = async || poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await;
        assert!(polled().await.is_pending());
        lingering.send(&outbox, vec![Outgoing::Pong(1)]);
        assert!(polled().await.is_pending(), "it was told");
        outbox.send(vec![Outgoing::Pong(2)]).unwrap();
        let Poll::Ready(batch) = polled().await else { panic!("it was not told") };
        assert_eq!(pongs(batch), [1, 2]);
    }

    #[tokio::test]
    async fn an_answer_that_nothing_comes_behind_is_written_all_the_same() {
        let (lingering, (outbox, mut reader)) = (Lingering::default(), Outbox::new());
        for number in 1..4 {
            // The reader is told each time anew.
            let told = async {
                lingering.send(&outbox, vec![Outgoing::Pong(number)]);
                timeout(Duration::from_secs(20), reader.next()).await.unwrap()
            };
            let batch = tokio::select! {
                batch = told => batch,
                () = lingering.run() => None,
            };
            assert_eq!(pongs(batch), [number]);
        }
    }
}
