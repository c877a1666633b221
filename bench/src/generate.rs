//! The load: one process that keeps so many messages in flight at one server, and measures each.
//!
//! It is as thin for one system as for the other: everything is made before the clock starts, and one thread writes
//! what there is to write at once and reads what there is to read.

pub(crate) mod native;
pub(crate) mod nats;
mod prepared;
mod raw;
mod window;

pub(crate) use prepared::now;
pub(crate) use window::Wire;

use crate::process::cpu_us;
use crate::settings::PUBLISH_PAYLOAD_BYTES;
use crate::statistics::percentile;
use anyhow::{Context, Result};
use native::Line;
use openmesh_message::DomainId;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use window::Driven;

/// Messages made before the clock starts, a second of load; a run that uses them up ends early.
const PREPARED_PER_SECOND: usize = 200_000;
/// The same for messages each of which is signed for itself.
const PREPARED_SIGNED_PER_SECOND: usize = 60_000;
/// The same for load with one message in flight.
const PREPARED_ALONE_PER_SECOND: usize = 30_000;

/// What load to put on what.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// What is spoken.
    #[arg(long, value_enum)]
    system: System,
    /// Where the server listens.
    #[arg(long)]
    address: Option<SocketAddr>,
    /// The domain of a node.
    #[arg(long)]
    domain: Option<DomainId>,
    /// The file of the raw loop.
    #[arg(long)]
    file: Option<PathBuf>,
    /// The server, whose processor time is read before and after.
    #[arg(long)]
    server: Option<u32>,
    /// Messages without their acknowledgement, at a time.
    #[arg(long)]
    in_flight: usize,
    /// Load that does not count.
    #[arg(long, default_value_t = 0)]
    warm_up_ms: u64,
    /// Load that counts.
    #[arg(long, default_value_t = 0)]
    load_ms: u64,
    /// So many messages, however long it takes.
    #[arg(long, conflicts_with_all = ["warm_up_ms", "load_ms"])]
    messages: Option<usize>,
    /// Bytes of each payload.
    #[arg(long, default_value_t = PUBLISH_PAYLOAD_BYTES)]
    payload_bytes: usize,
    /// Messages go to the inbox that is drained.
    #[arg(long)]
    mail: bool,
    /// Messages have a schema and are steps of a protocol.
    #[arg(long, conflicts_with = "mail")]
    checked: bool,
    /// Each of them has a signature of its own.
    #[arg(long, requires = "checked")]
    sign_each: bool,
}

/// What can be put under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum System {
    /// Native frames to a pinned topic.
    Openmesh,
    /// A publish to a JetStream stream, with a reply inbox.
    Nats,
    /// A file: append and fdatasync a group.
    Raw,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) messages: usize,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Processor time of the server a message.
    pub(crate) server_us: Option<f64>,
    /// Processor time of this process a message.
    pub(crate) generator_us: f64,
}

/// Puts the load on, and prints what came of it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let count = options.messages.unwrap_or_else(|| options.prepared());
    let address = || options.address.context("--address says where the server listens");
    let mut wire: Box<dyn Wire> = match options.system {
        System::Openmesh => {
            let domain = options.domain.context("--domain says which domain it is")?;
            let line = Line::connect(address()?, &domain)?;
            let to = if options.mail { native::inbox(domain)? } else { native::topic(domain)? };
            let publisher = if options.checked {
                native::Publisher::checked(line, &to, count, options)
            } else {
                native::Publisher::new(line, &to, count, options.payload_bytes)
            };
            Box::new(publisher?)
        }
        System::Nats => Box::new(nats::Publisher::connect(address()?, options.payload_bytes)?),
        System::Raw => {
            let file = options.file.as_ref().context("--file says where to write")?;
            Box::new(raw::Writer::open(file, options.payload_bytes)?)
        }
    };
    let measured = measure(options, &mut *wire, count)?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

impl Options {
    /// How many messages are made for load that lasts so long.
    fn prepared(&self) -> usize {
        let milliseconds = (self.warm_up_ms + self.load_ms) as usize;
        let per_second = match (self.in_flight, self.sign_each) {
            (1, _) => PREPARED_ALONE_PER_SECOND,
            (_, true) => PREPARED_SIGNED_PER_SECOND,
            _ => PREPARED_PER_SECOND,
        };
        (per_second * milliseconds / 1_000).max(self.in_flight * 2)
    }

    fn load(&self) -> Duration {
        if self.messages.is_some() { Duration::MAX } else { Duration::from_millis(self.load_ms) }
    }
}

fn measure(options: &Options, wire: &mut dyn Wire, count: usize) -> Result<Measured> {
    let warm_up = Duration::from_millis(options.warm_up_ms);
    let warmed = window::drive(wire, 0..count / 2, options.in_flight, warm_up)?;
    let server = |id: Option<u32>| id.map(cpu_us).transpose();
    let own = std::process::id();
    let (server_before, own_before) = (server(options.server)?, cpu_us(own)?);
    let driven = window::drive(wire, warmed.next..count, options.in_flight, options.load())?;
    let (server_after, own_after) = (server(options.server)?, cpu_us(own)?);
    let server_us = server_after.zip(server_before).map(|(after, before)| after - before);
    Ok(summary(driven, server_us, own_after - own_before))
}

fn summary(driven: Driven, server_us: Option<f64>, own_us: f64) -> Measured {
    let mut latencies = driven.latencies_ns;
    latencies.sort_unstable();
    let messages = latencies.len();
    let micros = |share: f64| percentile(&latencies, share) as f64 / 1e3;
    Measured {
        messages,
        per_second: messages as f64 / driven.took.as_secs_f64(),
        p50_us: micros(0.5),
        p99_us: micros(0.99),
        server_us: server_us.map(|us| us / messages as f64),
        generator_us: own_us / messages as f64,
    }
}
