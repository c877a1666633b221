//! Publish and subscribe: one publisher, some subscribers, one topic of which nothing is kept.
//!
//! As thin for one system as for the other: what is published is one block of bytes that is made once, of which only
//! what must differ is written anew; what comes is counted by its place, and its number looked at.

mod batch;
mod flow;
mod framed;
mod load;
mod mqtt;
pub(crate) mod native;
mod nats;
mod probe;
mod redis;
mod seen;

use crate::settings::PUBSUB_WINDOW_BYTES;
use crate::socket::Socket;
use anyhow::{Context, Result, ensure};
use batch::Batch;
pub(crate) use framed::await_bytes;
use native::{Made, Making};
use openmesh_message::DomainId;
pub(crate) use probe::{Probe, Probed};
pub(crate) use seen::{STAMP_BYTES, Scan, Seen};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Messages of one write, where they are small.
const BATCH_MESSAGES_MAX: usize = 256;
/// Payload bytes of one write, about.
const BATCH_BYTES: usize = 64 * 1024;

/// What to publish to whom.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// What is spoken.
    #[arg(long, value_enum)]
    system: System,
    /// Where the server listens.
    #[arg(long)]
    address: SocketAddr,
    /// The domain of a node.
    #[arg(long)]
    domain: Option<DomainId>,
    /// The server, whose processor time is read before and after.
    #[arg(long)]
    server: Option<u32>,
    /// How many receive each message.
    #[arg(long, default_value_t = 1)]
    subscribers: usize,
    /// Bytes of each payload.
    #[arg(long, default_value_t = 128)]
    payload_bytes: usize,
    /// Messages published and not yet seen by every subscriber, at a time: as many as come to 2 MiB and at most 4,096
    /// where it is not said; 0 is as many as the server takes in.
    #[arg(long)]
    window: Option<u64>,
    /// Load that does not count.
    #[arg(long, default_value_t = 500)]
    warm_up_ms: u64,
    /// Load that counts.
    #[arg(long, default_value_t = 3_000)]
    load_ms: u64,
    /// So many messages to a node that are made before the clock starts, and are JSON; none of them is timed.
    #[arg(long)]
    made: Option<usize>,
    /// Those are signed in batches of 256.
    #[arg(long, requires = "made")]
    signed: bool,
    /// And have a schema.
    #[arg(long, requires = "made")]
    typed: bool,
}

/// Whose protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum System {
    /// Native frames, without proofs, to a topic that is not pinned.
    Openmesh,
    /// Core NATS, without JetStream.
    Nats,
    /// MQTT 3.1.1, quality of service 0.
    Mqtt,
    /// PUBLISH and SUBSCRIBE of Redis.
    Redis,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Passed {
    /// Messages handed to a subscriber while the clock ran.
    pub(crate) delivered: u64,
    pub(crate) per_second: f64,
    /// Processor time of the server a delivered message.
    pub(crate) server_us: Option<f64>,
    /// Processor time of this process a delivered message.
    pub(crate) generator_us: f64,
    /// From before a message was written until a subscriber had read it.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Messages that subscribers never saw, of all that were published, warm-up and tail included.
    pub(crate) lost: u64,
}

/// One who publishes.
struct Publisher {
    /// What the server answers.
    socket: Socket,
    scan: Box<dyn Scan>,
    blocks: Blocks,
}

/// What is written.
enum Blocks {
    /// One block, of which only what must differ is written anew.
    Renewed(Batch),
    /// Blocks that were made before.
    Made(Made),
}

impl Blocks {
    /// Messages of the next block.
    fn messages(&self) -> u64 {
        match self {
            Self::Renewed(batch) => batch.messages(),
            Self::Made(made) => made.messages(),
        }
    }

    /// The next block, its messages numbered from `first` on; `None` where there is no more.
    fn next(&mut self, first: u64, now_ns: u64) -> Result<Option<&[u8]>> {
        match self {
            Self::Renewed(batch) => {
                batch.renew(first, now_ns)?;
                Ok(Some(batch.bytes()))
            }
            Self::Made(made) => Ok(made.next()),
        }
    }
}

/// One who subscribes.
struct Subscriber {
    socket: Socket,
    scan: Box<dyn Scan>,
}

/// Everybody, connected and subscribed.
struct Parties {
    publisher: Publisher,
    subscribers: Vec<Subscriber>,
}

/// Publishes, and prints what came of it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let parties = options.connect()?;
    println!("{}", serde_json::to_string(&load::drive(options, parties)?)?);
    Ok(())
}

impl Options {
    fn connect(&self) -> Result<Parties> {
        let publisher = self.publisher()?;
        let subscribers = (0..self.subscribers).map(|place| self.subscriber(place));
        Ok(Parties { publisher, subscribers: subscribers.collect::<Result<_>>()? })
    }

    /// Options for few messages, one at a time.
    fn probing(system: System, address: SocketAddr, domain: Option<DomainId>, payload_bytes: usize) -> Self {
        Self {
            system,
            address,
            domain,
            payload_bytes,
            server: None,
            subscribers: 1,
            window: None,
            warm_up_ms: 0,
            load_ms: 0,
            made: None,
            signed: false,
            typed: false,
        }
    }

    fn publisher(&self) -> Result<Publisher> {
        self.publisher_of((BATCH_BYTES / self.payload_bytes.max(1)).clamp(1, BATCH_MESSAGES_MAX))
    }

    /// A publisher of so many messages a write.
    fn publisher_of(&self, messages: usize) -> Result<Publisher> {
        let (address, payload_bytes) = (self.address, self.payload_bytes);
        ensure!(payload_bytes >= STAMP_BYTES, "a payload holds its stamp of {STAMP_BYTES} bytes");
        match (self.system, self.made) {
            (System::Openmesh, Some(count)) => {
                let (is_signed, is_typed) = (self.signed, self.typed);
                let making = Making { count, payload_bytes, at_once: messages, is_signed, is_typed };
                native::publisher_of_made(address, &self.domain()?, making)
            }
            (System::Openmesh, None) => native::publisher(address, &self.domain()?, payload_bytes, messages),
            (System::Nats, _) => nats::publisher(address, payload_bytes, messages),
            (System::Mqtt, _) => mqtt::publisher(address, payload_bytes, messages),
            (System::Redis, _) => redis::publisher(address, payload_bytes, messages),
        }
    }

    fn subscriber(&self, place: usize) -> Result<Subscriber> {
        let (address, payload_bytes) = (self.address, self.payload_bytes);
        match self.system {
            System::Openmesh if self.made.is_some() => native::subscriber_of_made(address, &self.domain()?),
            System::Openmesh => native::subscriber(address, &self.domain()?),
            System::Nats => nats::subscriber(address, payload_bytes),
            System::Mqtt => mqtt::subscriber(address, payload_bytes, place),
            System::Redis => redis::subscriber(address, payload_bytes),
        }
    }

    fn domain(&self) -> Result<DomainId> {
        self.domain.context("--domain says which domain it is")
    }
}

/// Messages that are published and not yet seen by every subscriber, at a time.
pub(crate) fn window(payload_bytes: usize) -> u64 {
    (PUBSUB_WINDOW_BYTES / (payload_bytes.max(1) as u64)).min(flow::WINDOW_MESSAGES_MAX)
}
