//! The window: so many messages in flight, one more for each that is acknowledged.

use anyhow::{Result, ensure};
use std::ops::Range;
use std::time::{Duration, Instant};

/// A connection to what is under load.
pub(crate) trait Wire {
    /// Sends the messages of these tags, in one write where that is possible.
    fn send(&mut self, tags: Range<usize>) -> Result<()>;

    /// Waits for acknowledgements, and adds the tags of all that have come.
    fn acknowledged(&mut self, tags: &mut Vec<usize>) -> Result<()>;
}

/// What came of it.
pub(super) struct Driven {
    /// From before a message was written until its acknowledgement was read.
    pub(super) latencies_ns: Vec<u64>,
    pub(super) took: Duration,
    /// The first tag that was not used.
    pub(super) next: usize,
}

/// Keeps `in_flight` messages unacknowledged for `load`, or until all are sent; then waits for the rest.
pub(super) fn drive(
    wire: &mut dyn Wire,
    tags: Range<usize>,
    in_flight: usize,
    load: Duration,
) -> Result<Driven> {
    let begun = Instant::now();
    let mut since = Vec::with_capacity(tags.len());
    let mut latencies_ns = Vec::with_capacity(tags.len());
    let mut arrived = Vec::with_capacity(in_flight);
    let mut next = tags.start;
    let mut room = in_flight;
    let mut now = begun;
    loop {
        let upto = if now - begun < load { (next + room).min(tags.end) } else { next };
        if upto > next {
            since.resize(upto - tags.start, Instant::now());
            wire.send(next..upto)?;
            room -= upto - next;
            next = upto;
        }
        if room == in_flight {
            break;
        }
        wire.acknowledged(&mut arrived)?;
        now = Instant::now();
        for tag in arrived.drain(..) {
            let sent = tag.checked_sub(tags.start).and_then(|place| since.get(place));
            ensure!(sent.is_some() && tag < next, "message {tag} was acknowledged and never sent");
            latencies_ns.extend(sent.map(|&sent| (now - sent).as_nanos() as u64));
            room += 1;
        }
        ensure!(room <= in_flight, "more was acknowledged than sent");
    }
    Ok(Driven { latencies_ns, took: now - begun, next })
}

#[cfg(test)]
mod tests {
    use super::{Wire, drive};
    use anyhow::Result;
    use std::ops::Range;
    use std::time::Duration;

    /// Acknowledges what it was sent, half of it at a time.
    #[derive(Default)]
    struct Echo {
        open: Vec<usize>,
        most: usize,
        sent: usize,
    }

    impl Wire for Echo {
        fn send(&mut self, tags: Range<usize>) -> Result<()> {
            self.sent += tags.len();
            self.open.extend(tags);
            self.most = self.most.max(self.open.len());
            Ok(())
        }

        fn acknowledged(&mut self, tags: &mut Vec<usize>) -> Result<()> {
            let count = self.open.len().div_ceil(2);
            tags.extend(self.open.drain(..count));
            Ok(())
        }
    }

    #[test]
    fn never_more_than_the_window_is_open_and_each_message_counts_once() {
        let mut echo = Echo::default();
        let driven = drive(&mut echo, 5..105, 8, Duration::from_secs(60)).unwrap();
        assert_eq!((driven.latencies_ns.len(), driven.next), (100, 105));
        assert_eq!((echo.sent, echo.most), (100, 8));
    }

    #[test]
    fn load_that_is_over_sends_no_more() {
        let mut echo = Echo::default();
        let driven = drive(&mut echo, 0..100, 8, Duration::ZERO).unwrap();
        assert_eq!(driven.next, 0);
    }
}
