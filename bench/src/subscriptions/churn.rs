//! Many connections with many subscriptions that change, while messages go to somebody else: what those take meanwhile.

mod native;
mod nats;

use super::names::Names;
use crate::process::{memory_bytes, raise_open_files};
use crate::pubsub::{Probe, Probed, System};
use crate::socket::Socket;
use anyhow::{Context, Result, anyhow};
use openmesh_message::DomainId;
use serde::{Deserialize, Serialize};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two bursts of changes.
const BURST_EVERY: Duration = Duration::from_millis(1);
/// How long the server has to come to rest before its memory is read.
const REST: Duration = Duration::from_secs(1);

/// What to hold open at which server, and what to change.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The domain of a node; without it a nats-server is spoken to.
    #[arg(long)]
    domain: Option<DomainId>,
    /// Where the server listens.
    #[arg(long)]
    address: SocketAddr,
    /// The server, whose memory is read.
    #[arg(long)]
    server: u32,
    /// Connections that hold subscriptions.
    #[arg(long)]
    connections: usize,
    /// Subscriptions, all together.
    #[arg(long)]
    subscriptions: usize,
    /// How many of them have wildcards.
    #[arg(long)]
    wildcards: usize,
    /// Subscriptions ended or begun in a second.
    #[arg(long, default_value_t = 10_000)]
    changes_per_second: u64,
    /// Messages to the subscriber that is timed, a second.
    #[arg(long, default_value_t = 1_000)]
    messages_per_second: u64,
    /// How long messages are timed, without changes and with them.
    #[arg(long)]
    phase_ms: u64,
    /// How often messages are timed without changes, and then with them.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Churned {
    /// Memory of the server for each connection with its subscriptions.
    pub(crate) connection_bytes: f64,
    /// Before anybody else is connected.
    pub(crate) alone: Probed,
    pub(crate) rounds: Vec<Round>,
}

/// What messages took in one round.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    /// While the subscriptions are held.
    pub(crate) held: Probed,
    /// While they change.
    pub(crate) changing: Probed,
    /// Changes that were made in a second.
    pub(crate) changes_per_second: f64,
}

/// How subscriptions are held at one system.
trait Holding: Sync {
    /// Connects, and subscribes as the names say.
    fn hold(&self, place: usize, names: &Names) -> Result<TcpStream>;

    /// Two changes: ends a connection's subscription of this number, and begins it with another name.
    fn change(&self, number: u64, name: &str, bytes: &mut Vec<u8>) -> Result<()>;

    /// Asks for a word when all changes of a connection are made, of a server that says nothing by itself.
    fn ask(&self, stream: &TcpStream) -> Result<()>;

    /// Waits until the server has made all changes of a connection; fails where it did not.
    fn confirm(&self, socket: &mut Socket, changes: u64) -> Result<()>;
}

/// Connects and subscribes, times messages, and prints what came of it.
pub(crate) fn run(options: &Options) -> Result<()> {
    raise_open_files();
    let holding: Box<dyn Holding> = match options.domain {
        Some(domain) => Box::new(native::Native::connect(options.address, domain)?),
        None => Box::new(nats::Nats::new(options.address)),
    };
    println!("{}", serde_json::to_string(&churn(options, &*holding)?)?);
    Ok(())
}

fn churn(options: &Options, holding: &dyn Holding) -> Result<Churned> {
    let system = if options.domain.is_some() { System::Openmesh } else { System::Nats };
    let phase = Duration::from_millis(options.phase_ms);
    let mut probe = Probe::open(system, options.address, options.domain, options.messages_per_second)?;
    let alone = probe.time(phase)?;
    let names = Names::new(options.connections, options.subscriptions, options.wildcards);
    let before = memory_bytes(options.server, "VmRSS")?;
    let held = (0..options.connections).map(|place| {
        holding.hold(place, &names).with_context(|| format!("connection {place} of {}", options.connections))
    });
    let streams: Vec<TcpStream> = held.collect::<Result<_>>()?;
    std::thread::sleep(REST);
    let grown = memory_bytes(options.server, "VmRSS")?.saturating_sub(before);
    let changer = Changer { holding, streams: &streams, names: &names, is_over: AtomicBool::new(false) };
    let mut pairs = 0;
    let rounds = (0..options.rounds).map(|_| {
        let held = probe.time(phase)?;
        let (changing, changes_per_second) = std::thread::scope(|scope| {
            changer.is_over.store(false, Ordering::Relaxed);
            let changes = scope.spawn(|| changer.change(&mut pairs, options.changes_per_second));
            let timed = probe.time(phase);
            changer.is_over.store(true, Ordering::Relaxed);
            let changes = changes.join().map_err(|_| anyhow!("the one who changes panicked"))??;
            anyhow::Ok((timed?, changes))
        })?;
        Ok(Round { held, changing, changes_per_second })
    });
    Ok(Churned {
        connection_bytes: grown as f64 / options.connections as f64,
        alone,
        rounds: rounds.collect::<Result<_>>()?,
    })
}

/// One who ends and begins subscriptions, connection by connection.
struct Changer<'a> {
    holding: &'a dyn Holding,
    streams: &'a [TcpStream],
    names: &'a Names,
    is_over: AtomicBool,
}

impl Changer<'_> {
    /// Makes so many changes a second until it is over; tells how many were made in a second, until the last was
    /// confirmed. What was changed before is in `pairs`.
    fn change(&self, pairs: &mut u64, per_second: u64) -> Result<f64> {
        let (begun, before) = (Instant::now(), *pairs);
        let mut bytes = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let due = before + begun.elapsed().as_micros() as u64 * per_second / 2 / 1_000_000;
            while *pairs < due {
                self.pair(*pairs, &mut bytes)?;
                *pairs += 1;
            }
            std::thread::sleep(BURST_EVERY);
        }
        let connections = self.streams.len() as u64;
        let of_it = |upto: u64, place: u64| upto / connections + u64::from(place < upto % connections);
        // All are asked before any is waited for: what is timed is the server, not one round trip after the other.
        self.streams.iter().try_for_each(|stream| self.holding.ask(stream))?;
        let first = self.streams.first().context("no connections")?;
        let mut socket = Socket::of(first.try_clone()?);
        for (place, stream) in (0..).zip(self.streams) {
            socket.turn_to(stream.try_clone()?);
            let changes = (of_it(*pairs, place) - of_it(before, place)) * 2;
            self.holding.confirm(&mut socket, changes)?;
        }
        Ok((*pairs - before) as f64 * 2.0 / begun.elapsed().as_secs_f64())
    }

    fn pair(&self, pair: u64, bytes: &mut Vec<u8>) -> Result<()> {
        use std::io::Write;
        let connections = self.streams.len() as u64;
        let (place, turn) = (pair % connections, pair / connections);
        let (number, name) = self.names.changed(place as usize, turn);
        bytes.clear();
        self.holding.change(number, &name, bytes)?;
        let mut stream = self.streams.get(place as usize).context("no such connection")?;
        Ok(stream.write_all(bytes)?)
    }
}
