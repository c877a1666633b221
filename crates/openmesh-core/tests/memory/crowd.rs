//! A partition that takes records as recovery does, and commands as they come.

use openmesh_core::record::{Accepted, Body, Header, Outcome, Put, RECORD_VERSION, Record, Settlement};
use openmesh_core::{Config, ConnectionId, Effect, Input, Partition, Ticket};
use openmesh_message::frame::Command;
use openmesh_message::{
    AgentId, Attributes, Custodian, Digest, DomainId, Envelope, LogName, LogSeq, PartitionId, Position,
    Timestamp, Transit,
};
use openmesh_policy::{Authenticity, Policy};
use std::collections::BTreeMap;

/// 2026-01-01T00:00:00Z.
const BEGINNING_MS: i64 = 1_767_225_600_000;

pub(crate) struct Crowd {
    pub(crate) partition: Partition,
    seq: u64,
    sender: AgentId,
    numbers: BTreeMap<AgentId, u64>,
    now: Timestamp,
}

/// An id like any other; nobody has its key.
pub(crate) fn agent(number: u64) -> AgentId {
    AgentId::from_kept(*Digest::of(&number.to_be_bytes()).as_bytes())
}

fn config() -> Config {
    let domain = DomainId::from_bytes([1; 32]);
    Config::new(domain, Digest::ZERO, [9; 32], Custodian::new([7; 32]))
}

impl Crowd {
    pub(crate) fn new() -> Self {
        let partition = Partition::new(config(), Policy::default_open());
        let sender = openmesh_message::KeyPair::from_seed(&[3; 32]).unwrap().id();
        let now = Timestamp::from_millis(BEGINNING_MS);
        Self { partition, seq: 0, sender, numbers: BTreeMap::new(), now }
    }

    pub(crate) fn restored(&self, snapshot: &[u8]) -> Partition {
        Partition::restore(config(), Policy::default_open(), snapshot).unwrap()
    }

    pub(crate) fn register(&mut self, agent: AgentId, name: &str) {
        let outcome = Outcome::Registered { agent, name: name.to_owned() };
        self.keep(outcome, Body::Empty, Vec::new());
    }

    /// A message to some, a millisecond after the one before.
    pub(crate) fn send(&mut self, recipients: &[AgentId]) {
        self.now = self.now.plus_ms(1);
        let mut attributes = Attributes::default();
        let (source, to) =
            (self.sender.to_string(), format!("mesh://{}/inbox/recipient", DomainId::from_bytes([1; 32])));
        let (id, time) = (format!("message-{}", self.seq), self.now.to_string());
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", &id),
            ("source", &source),
            ("type", "mesh/untyped.v1"),
            ("time", &time),
            ("to", &to),
            ("performative", "inform"),
        ] {
            attributes.set(name, value).unwrap();
        }
        let payload = vec![b'x'; 128].into();
        let envelope = Envelope { attributes, payload, proof: None, transit: Transit::default() };
        let puts = recipients.iter().map(|agent| {
            // The memory that is looked at is not this crowd's: it counts for one recipient alone.
            let number = if recipients.len() == 1 { self.numbers.entry(*agent).or_default() } else { &mut 0 };
            *number += 1;
            Put { agent: *agent, number: *number, notice: None }
        });
        let puts: Vec<_> = puts.collect();
        let logs = puts
            .iter()
            .map(|put| LogSeq { log: LogName(format!("inbox/{}", put.agent).into()), seq: put.number });
        let logs = if puts.len() == 1 { logs.collect() } else { Vec::new() };
        let (authenticity, rule) = (Authenticity::Signed, "rule".to_owned());
        let accepted = Accepted { authenticity, rule: rule.into(), step: None, puts };
        self.keep(Outcome::Accepted(accepted), Body::Message(std::sync::Arc::new(envelope)), logs);
    }

    /// The first message of an inbox is done.
    pub(crate) fn settle_first(&mut self, agent: AgentId) {
        let settlement = Settlement { acknowledged: vec![1], ..Settlement::default() };
        let log = LogSeq { log: LogName(format!("inboxevents/{agent}").into()), seq: 1 };
        self.keep(Outcome::Settled { agent, settlement }, Body::Empty, vec![log]);
    }

    fn keep(&mut self, outcome: Outcome, body: Body, logs: Vec<LogSeq>) {
        self.seq += 1;
        let position = Position { partition: PartitionId(0), epoch: 1, seq: self.seq };
        let (policy_version, commitment) = (Digest::ZERO, Digest::ZERO);
        let sender = Some(self.sender);
        let version = RECORD_VERSION;
        let header =
            Header { version, position, at: self.now, logs, sender, outcome, policy_version, commitment };
        self.partition.recover(&Record { header, body });
    }

    pub(crate) fn command(&mut self, agent: AgentId, command: Command) -> Vec<Effect> {
        let connection = ConnectionId(1);
        self.partition.handle(Input::Connected { connection, agent, receives: false }, self.now);
        let ticket = Ticket { connection, tag: 1 };
        self.partition.handle(Input::Command { ticket, command: Box::new(command) }, self.now).effects
    }

    /// Leases from an inbox; how many messages.
    pub(crate) fn lease(&mut self, agent: AgentId, messages_max: u32) -> usize {
        let lease = Command::Lease { messages_max, visibility_ms: 60_000, wait_ms: 0, least: None };
        let effects = self.command(agent, lease);
        let items = effects.iter().find_map(|effect| match effect {
            Effect::Lease { items, .. } => Some(items.len()),
            _ => None,
        });
        items.unwrap_or_default()
    }
}
