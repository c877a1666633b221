//! Messages taken through a partition that has many subscriptions, in this process: what finding their readers takes.

use super::names::Names;
use crate::generate::now;
use crate::statistics::percentile;
use anyhow::{Context, Result, anyhow, bail};
use openmesh_core::admit::{Familiar, admit};
use openmesh_core::{Config, ConnectionId, Effect, Input, Partition, Ticket};
use openmesh_message::frame::{Command, Start};
use openmesh_message::{
    Address, AgentId, Custodian, Digest, DomainId, Draft, KeyPair, Performative, Target, Timestamp,
};
use openmesh_policy::Policy;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Subscriptions of one connection.
const OF_EACH: usize = 1_000;
const PAYLOAD_BYTES: usize = 128;
/// Fewer messages are taken than asked for where that would take longer.
const LONGEST: Duration = Duration::from_secs(15);
/// From one message to the next, so many subscriptions are passed over: no two neighbours share what a cache holds.
const STRIDE: usize = 7_919;
const DOMAIN: [u8; 32] = [1; 32];
const SEED: [u8; 32] = [9; 32];

/// How many of what.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Subscriptions.
    #[arg(long)]
    subscriptions: usize,
    /// How many of them have wildcards.
    #[arg(long)]
    wildcards: usize,
    /// Messages, each to a topic that one subscription takes in.
    #[arg(long)]
    messages: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Matched {
    /// Of a message: from its frame decoded to its deliveries decided.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// To begin a subscription.
    pub(crate) subscribe_us: f64,
}

/// Subscribes, takes messages, and prints what that took.
pub(crate) fn run(options: &Options) -> Result<()> {
    let domain = DomainId::from_bytes(DOMAIN);
    let key = KeyPair::from_seed(&SEED)?;
    let mut matching = Matching::new(domain, key.id())?;
    let names = Names::new(options.subscriptions.div_ceil(OF_EACH), options.subscriptions, options.wildcards);
    let begun = Instant::now();
    let subscribed = matching.subscribe(&names, options.subscriptions.div_ceil(OF_EACH))?;
    let subscribe_us = begun.elapsed().as_secs_f64() * 1e6 / subscribed as f64;
    let mut took = Vec::with_capacity(options.messages);
    let begun = Instant::now();
    for number in (0..options.messages).take_while(|_| begun.elapsed() < LONGEST) {
        took.push(matching.take(number, &names.plain(number * STRIDE))?);
    }
    took.sort_unstable();
    let micros = |share: f64| percentile(&took, share) as f64 / 1e3;
    let matched = Matched { p50_us: micros(0.5), p99_us: micros(0.99), subscribe_us };
    println!("{}", serde_json::to_string(&matched)?);
    Ok(())
}

/// A partition, and one agent that does everything.
struct Matching {
    partition: Partition,
    domain: DomainId,
    agent: AgentId,
    familiar: Familiar,
    at: Timestamp,
}

impl Matching {
    fn new(domain: DomainId, agent: AgentId) -> Result<Self> {
        let config = Config::new(domain, Digest::ZERO, [0; 32], Custodian::new([0; 32]));
        let partition = Partition::new(config, Policy::default_open());
        let mut matching = Self { partition, domain, agent, familiar: Familiar::default(), at: now()? };
        matching.connect(ConnectionId(0))?;
        matching.command(ConnectionId(0), Command::Register { name: "bench".to_owned(), token: None })?;
        Ok(matching)
    }

    fn connect(&mut self, connection: ConnectionId) -> Result<()> {
        let connected = Input::Connected { connection, agent: self.agent, receives: true };
        self.handle(connected).map(drop)
    }

    /// Tells how many subscriptions there are.
    fn subscribe(&mut self, names: &Names, connections: usize) -> Result<usize> {
        let mut subscribed = 0;
        for place in 0..connections {
            let connection = ConnectionId(place as u64 + 1);
            self.connect(connection)?;
            for (subscription, name) in (1..).zip(names.of(place)) {
                let pattern = format!("mesh://{}/topic/{name}", self.domain);
                self.command(connection, Command::Subscribe { subscription, pattern, start: Start::Next })?;
                subscribed += 1;
            }
        }
        Ok(subscribed)
    }

    fn command(&mut self, connection: ConnectionId, command: Command) -> Result<()> {
        let ticket = Ticket { connection, tag: 1 };
        self.handle(Input::Command { ticket, command: Box::new(command) }).map(drop)
    }

    /// Takes a message to one topic; tells how many nanoseconds that took.
    fn take(&mut self, number: usize, name: &str) -> Result<u64> {
        let to = Address::new(self.domain, Target::Topic(name.parse()?));
        let draft = Draft::new(format!("m{number}"), self.at, &to, &Performative::Inform);
        let draft = draft.payload("application/octet-stream", vec![b'x'; PAYLOAD_BYTES]);
        let envelope = draft.unsigned(&self.agent)?;
        let (view, ticket) = (self.partition.view(), Ticket { connection: ConnectionId(0), tag: 1 });
        let begun = Instant::now();
        let admitted = admit(envelope, self.agent, &view, &mut self.familiar, self.at);
        let admitted = admitted.map_err(|refused| anyhow!("refused: {:?}", refused.rejection))?;
        let effects = self.handle(Input::Message { ticket, admitted: Box::new(admitted) })?;
        let took = begun.elapsed().as_nanos() as u64;
        let delivered = effects.iter().filter(|effect| matches!(effect, Effect::Deliver(_))).count();
        (delivered == 1)
            .then_some(took)
            .with_context(|| format!("{delivered} readers of {name}: {effects:?}"))
    }

    fn handle(&mut self, input: Input) -> Result<Vec<Effect>> {
        let effects = self.partition.handle(input, self.at).effects;
        for effect in &effects {
            match effect {
                Effect::Reject(_, rejection) | Effect::Reply(_, Err(rejection)) => {
                    bail!("the partition refused: {rejection:?}")
                }
                _ => {}
            }
        }
        Ok(effects)
    }
}
