//! The load on inboxes: how fast a waiting agent wakes, and how fast a backlog is worked off.

mod native;
mod nats;

use crate::statistics::percentile;
use anyhow::{Context, Result};
use openmesh_message::DomainId;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Messages of one lease or fetch, at most.
const BATCH_MESSAGES: usize = 256;
/// Leases or fetches that are under way at a time.
const BATCHES_AT_ONCE: usize = 4;
/// Between asking for mail and putting some: long enough for the agent to wait.
const PAUSE: Duration = Duration::from_millis(1);

/// What to do with which inbox.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// What to do.
    #[arg(value_enum)]
    work: Work,
    /// The domain of a node; without it a nats-server is spoken to.
    #[arg(long)]
    domain: Option<DomainId>,
    /// Where the server listens.
    #[arg(long)]
    address: SocketAddr,
    /// How many messages.
    #[arg(long)]
    messages: usize,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Work {
    /// Makes the inbox: registers its agent, or adds the consumer.
    Open,
    /// Puts one message for an agent that waits, again and again.
    Wake,
    /// Takes and acknowledges a backlog.
    Drain,
}

/// How long agents took to wake.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Woken {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// How fast a backlog went.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Drained {
    /// Until the first message of the backlog was there.
    pub(crate) first_ms: f64,
    pub(crate) per_second: f64,
}

/// An inbox and somebody who puts messages into it.
trait Mailbox {
    /// Asks for one message, and waits for none.
    fn wait(&mut self) -> Result<()>;

    /// Puts a message; returns when it has reached who waits.
    fn put(&mut self, tag: usize) -> Result<()>;

    /// Acknowledges what came, and reads everything that is still said of it.
    fn finish(&mut self) -> Result<()>;

    /// Takes and acknowledges so many messages, in batches.
    fn drain(&mut self, messages: usize) -> Result<()>;

    /// Takes one message, and acknowledges it after the clock has stopped.
    fn first(&mut self) -> Result<Duration>;
}

/// Does it, and prints what came of it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { work, domain, address, messages } = options;
    let prepared = if *work == Work::Wake { *messages } else { 0 };
    let mut mailbox: Box<dyn Mailbox> = match domain {
        Some(domain) => Box::new(native::Mail::open(*address, domain, prepared)?),
        None => Box::new(nats::Mail::open(*address)?),
    };
    match work {
        Work::Open => println!("null"),
        Work::Wake => println!("{}", serde_json::to_string(&wake(&mut *mailbox, *messages)?)?),
        Work::Drain => println!("{}", serde_json::to_string(&drain(&mut *mailbox, *messages)?)?),
    }
    Ok(())
}

fn wake(mailbox: &mut dyn Mailbox, messages: usize) -> Result<Woken> {
    let mut latencies = Vec::with_capacity(messages);
    for tag in 0..messages {
        mailbox.wait()?;
        std::thread::sleep(PAUSE);
        let begun = Instant::now();
        mailbox.put(tag)?;
        latencies.push(begun.elapsed().as_nanos() as u64);
        mailbox.finish()?;
    }
    latencies.sort_unstable();
    let micros = |share: f64| percentile(&latencies, share) as f64 / 1e3;
    Ok(Woken { p50_us: micros(0.5), p99_us: micros(0.99) })
}

fn drain(mailbox: &mut dyn Mailbox, messages: usize) -> Result<Drained> {
    let first = mailbox.first()?;
    let rest = messages.checked_sub(1).context("a backlog of at least one message")?;
    let begun = Instant::now();
    mailbox.drain(rest)?;
    let per_second = rest as f64 / begun.elapsed().as_secs_f64();
    Ok(Drained { first_ms: first.as_secs_f64() * 1e3, per_second })
}
