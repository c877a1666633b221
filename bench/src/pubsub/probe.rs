//! A publisher and a subscriber whose messages are timed one by one, at a pace that leaves the server idle.

use super::flow::Flow;
use super::seen::Seen;
use super::{Options, Publisher, Subscriber, System};
use crate::statistics::percentile;
use anyhow::{Context, Result, ensure};
use openmesh_message::DomainId;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a message may take.
const LATEST: Duration = Duration::from_secs(30);
/// How long an answer to what was published is waited for.
const ANSWER_WAIT: Duration = Duration::from_micros(500);
const PAYLOAD_BYTES: usize = 128;

/// The two, connected.
pub(crate) struct Probe {
    publisher: Publisher,
    subscriber: Subscriber,
    clock: Flow,
    pause: Duration,
    sent: u64,
    seen: Seen,
}

/// How long messages took from before they were written until they were read.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Probed {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Probe {
    /// Connects and subscribes.
    pub(crate) fn open(
        system: System,
        address: SocketAddr,
        domain: Option<DomainId>,
        per_second: u64,
    ) -> Result<Self> {
        let options = Options::probing(system, address, domain, PAYLOAD_BYTES);
        let publisher = options.publisher_of(1)?;
        let subscriber = options.subscriber(0)?;
        subscriber.socket.stream()?.set_read_timeout(Some(LATEST))?;
        // Of systems that answer nothing, no answer is waited for longer than until the next message is due.
        publisher.socket.stream()?.set_read_timeout(Some(ANSWER_WAIT))?;
        let pause = Duration::from_secs(1) / u32::try_from(per_second).context("a pace")?.max(1);
        let (clock, seen) = (Flow::new(0, 0), Seen::timing_every(1));
        Ok(Self { publisher, subscriber, clock, pause, sent: 0, seen })
    }

    /// Sends messages for so long, each after the one before has come and its pause is over, and times them.
    pub(crate) fn time(&mut self, phase: Duration) -> Result<Probed> {
        let begun = Instant::now();
        let mut latencies = Vec::new();
        while begun.elapsed() < phase {
            let written = Instant::now();
            self.pass()?;
            latencies.push(written.elapsed().as_nanos() as u64);
            self.hear_answer()?;
            std::thread::sleep(self.pause.saturating_sub(written.elapsed()));
        }
        latencies.sort_unstable();
        let micros = |share: f64| percentile(&latencies, share) as f64 / 1e3;
        Ok(Probed { p50_us: micros(0.5), p99_us: micros(0.99) })
    }

    /// Sends one message, and waits until it has come.
    fn pass(&mut self) -> Result<()> {
        let Publisher { blocks, socket, .. } = &mut self.publisher;
        socket.write(blocks.next(self.sent, self.clock.now_ns())?.context("a message to send")?)?;
        self.sent += 1;
        let Subscriber { socket, scan } = &mut self.subscriber;
        while self.seen.next() < self.sent {
            socket.fill()?;
            let used = scan.scan(socket.unused(), &mut self.seen)?;
            socket.used(used);
            if let Some(answer) = scan.answer() {
                socket.write(answer)?;
            }
        }
        ensure!(self.seen.messages() == self.sent, "a message was lost");
        Ok(())
    }

    /// Reads what the server answers to what was published, where it answers.
    fn hear_answer(&mut self) -> Result<()> {
        let Publisher { socket, scan, .. } = &mut self.publisher;
        if let Err(error) = socket.fill() {
            let nothing = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            ensure!(matches!(nothing, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut)), error);
            return Ok(());
        }
        let used = scan.scan(socket.unused(), &mut Seen::default())?;
        socket.used(used);
        if let Some(answer) = scan.answer() {
            socket.write(answer)?;
        }
        Ok(())
    }
}
