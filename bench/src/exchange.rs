//! Request and reply: one who asks and one who answers, on connections of their own, one request at a time.

mod native;
mod nats;

use crate::process::cpu_us;
use crate::statistics::percentile;
use anyhow::{Context, Result, anyhow};
use openmesh_message::DomainId;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Instant;

/// What to ask through which server.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The domain of a node; without it a nats-server is spoken to.
    #[arg(long)]
    domain: Option<DomainId>,
    /// Where the server listens.
    #[arg(long)]
    address: SocketAddr,
    /// The server, whose processor time is read before and after.
    #[arg(long)]
    server: Option<u32>,
    /// Requests that count.
    #[arg(long, default_value_t = 10_000)]
    requests: usize,
    /// Requests before them.
    #[arg(long, default_value_t = 500)]
    warm_up: usize,
    /// Bytes of each payload.
    #[arg(long, default_value_t = 128)]
    payload_bytes: usize,
    /// Each message with a signature of its own, made before the clock starts.
    #[arg(long)]
    signed: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Exchanged {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Processor time of the server a request with its reply.
    pub(crate) server_us: Option<f64>,
    /// Processor time of this process for the same.
    pub(crate) generator_us: f64,
}

/// One of the two.
trait Side: Send {
    /// Sends its message of this number.
    fn say(&mut self, number: usize) -> Result<()>;

    /// Waits for the other's message of this number.
    fn hear(&mut self, number: usize) -> Result<()>;
}

/// Asks and answers, and prints what came of it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (asker, answerer): (Box<dyn Side>, Box<dyn Side>) = match &options.domain {
        Some(domain) => {
            let (asker, answerer) = native::pair(options, *domain)?;
            (Box::new(asker), Box::new(answerer))
        }
        None => {
            let (asker, answerer) = nats::pair(options.address, options.payload_bytes)?;
            (Box::new(asker), Box::new(answerer))
        }
    };
    println!("{}", serde_json::to_string(&exchange(options, asker, answerer)?)?);
    Ok(())
}

impl Options {
    const fn messages(&self) -> usize {
        self.warm_up + self.requests
    }
}

fn exchange(options: &Options, mut asker: Box<dyn Side>, mut answerer: Box<dyn Side>) -> Result<Exchanged> {
    let messages = options.messages();
    let answers = std::thread::spawn(move || {
        (0..messages).try_for_each(|number| {
            answerer.hear(number)?;
            answerer.say(number)
        })
    });
    let own = std::process::id();
    let server = || options.server.map(cpu_us).transpose();
    for number in 0..options.warm_up {
        asker.say(number)?;
        asker.hear(number)?;
    }
    let (server_before, own_before) = (server()?, cpu_us(own)?);
    let mut latencies = Vec::with_capacity(options.requests);
    for number in options.warm_up..messages {
        let begun = Instant::now();
        asker.say(number)?;
        asker.hear(number)?;
        latencies.push(begun.elapsed().as_nanos() as u64);
    }
    let (server_after, own_after) = (server()?, cpu_us(own)?);
    answers.join().map_err(|_| anyhow!("the one who answers panicked"))?.context("the one who answers")?;
    latencies.sort_unstable();
    let micros = |share: f64| percentile(&latencies, share) as f64 / 1e3;
    let each = |us: f64| us / options.requests as f64;
    Ok(Exchanged {
        p50_us: micros(0.5),
        p99_us: micros(0.99),
        server_us: server_after.zip(server_before).map(|(after, before)| each(after - before)),
        generator_us: each(own_after - own_before),
    })
}
