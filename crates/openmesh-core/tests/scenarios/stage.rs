//! The stage: one partition, its log in memory, agents by name.
//!
//! Inputs: `limit <name> <number>` (before all else) · `agent <name>` (connects and registers) · `stranger <name>`
//! (connects) · `asker <name>` (registers on a connection that receives nothing) · `leave <name>` · `at <ms>` (the clock; what is due happens) · `pin <pattern>` ·
//! `policy <TOML rules, one line>` · `restart` / `restart from snapshot` · `<name> sends {…}` (`making.rs`) ·
//! `<name> does {…}` (a command) · `<name> reads` (what it is shown of each record that it may read).

use crate::making::{self, Sent};
use crate::shown;
use openmesh_core::admit::{Familiar, admit};
use openmesh_core::record::{Body, Record};
use openmesh_core::{Config, ConnectionId, Input, Partition, Plan, Sealed, State, Ticket};
use openmesh_message::frame::Command;
use openmesh_message::{Authority, Custodian, Digest, DomainId, KeyPair, Timestamp};
use openmesh_policy::{DEFAULT_CLOSED, Policy};
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) const TOKEN: &str = "admin token";
/// 2026-01-01T00:00:00Z, the scenarios' moment 0.
const BEGINNING_MS: i64 = 1_767_225_600_000;

/// One partition and those around it.
pub(crate) struct Stage {
    config: Config,
    partition: Option<Partition>,
    policy: Policy,
    pub(crate) log: Vec<Record>,
    /// The same as they are stored.
    pub(crate) stored: Vec<Sealed>,
    pub(crate) agents: BTreeMap<String, Agent>,
    pub(crate) sent: BTreeMap<String, Sent>,
    snapshot: Option<(usize, Vec<u8>)>,
    pub(crate) now: Timestamp,
    connections: u64,
}

pub(crate) struct Agent {
    pub(crate) key: KeyPair,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) messages: u64,
}

impl Default for Stage {
    fn default() -> Self {
        let domain = DomainId::from_bytes([1; 32]);
        Self {
            config: Config::new(domain, Digest::of(TOKEN.as_bytes()), [9; 32], Custodian::new([7; 32])),
            partition: None,
            policy: Policy::default_closed(),
            log: Vec::new(),
            stored: Vec::new(),
            agents: BTreeMap::new(),
            sent: BTreeMap::new(),
            snapshot: None,
            now: Timestamp::from_millis(BEGINNING_MS),
            connections: 0,
        }
    }
}

impl Stage {
    /// Plays one input line; what comes of it.
    pub(crate) fn play(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        match words.as_slice() {
            ["limit", name, number] => self.limit(name, number.parse().unwrap()),
            ["agent", name] => return self.enter(name, true, true),
            ["stranger", name] => return self.enter(name, false, true),
            ["asker", name] => return self.enter(name, true, false),
            ["leave", name] => {
                let connection = self.agents.get_mut(*name).unwrap().connection.take().unwrap();
                return self.handle(Input::Disconnected { connection });
            }
            ["at", ms] => {
                self.now = Timestamp::from_millis(BEGINNING_MS).plus_ms(ms.parse().unwrap());
                return self.handle(Input::Tick);
            }
            ["pin", topic] => {
                let admin = self.agents.keys().next().unwrap().clone();
                let topic = (*topic).to_owned();
                let token = Some(TOKEN.to_owned());
                return self.give(&admin, Command::ConfigureTopic { topic, pinned: true, token });
            }
            ["policy", ..] => {
                let rules = line.trim_start_matches("policy ").replace("; ", "\n");
                let text = format!("{DEFAULT_CLOSED}\n[[rule]]\n{rules}\n");
                self.policy = Policy::parse(&text, Authority::OpenMesh).unwrap();
                let policy = self.policy.clone();
                return self.handle(Input::PolicyLoaded { policy, text });
            }
            ["erase", seq] => return self.erase(seq.parse().unwrap()),
            ["erased", seq] => return self.handle(Input::BodiesErased { seqs: vec![seq.parse().unwrap()] }),
            ["wanted", seq] => {
                let record = &self.log[seq.parse::<usize>().unwrap() - 1];
                let wanted = self.partition.as_ref().unwrap().wanted(record, self.now);
                return vec![wanted.map_or("by nothing".to_owned(), |wanted| shown::wanted(self, &wanted))];
            }
            ["headers", "alone"] => self.recover_from_headers(),
            ["snapshot"] => self.snapshot = Some((self.log.len(), self.partition().snapshot().unwrap())),
            ["restart"] => return self.restart(false),
            ["restart", "from", "snapshot"] => return self.restart(true),
            [name, "reads"] => return shown::seen(self, name),
            [name, "sends", json] => {
                let sent = making::message(self, name, &serde_json::from_str(json).unwrap());
                return self.offer(name, sent);
            }
            [name, "does", json] => {
                let command = making::command(self, &serde_json::from_str::<Value>(json).unwrap());
                let keyless = match &command {
                    Command::RegisterKeyless { name, .. } => Some(name.clone()),
                    _ => None,
                };
                let outputs = self.give(name, command);
                keyless.into_iter().for_each(|name| self.meet_keyless(&name));
                return outputs;
            }
            _ => panic!("no such input: {line}"),
        }
        Vec::new()
    }

    /// The scenarios' moment 0.
    pub(crate) const fn beginning(&self) -> Timestamp {
        Timestamp::from_millis(BEGINNING_MS)
    }

    /// The key that the node keeps for an agent.
    pub(crate) fn kept_key(&self, name: &str) -> KeyPair {
        let directory = self.partition.as_ref().unwrap().view().directory;
        let agent = directory.agent(&self.agents[name].key.id()).unwrap();
        let (key, kept) = agent.custodial_key().unwrap();
        self.config.custodian.key(key, &kept.nonce).unwrap()
    }

    /// A time as the scenarios count: milliseconds from their moment 0.
    pub(crate) fn ms(&self, time: Timestamp) -> i64 {
        time.since_ms(Timestamp::from_millis(BEGINNING_MS))
    }

    pub(crate) fn view(&self) -> openmesh_core::View {
        self.partition.as_ref().unwrap().view()
    }

    pub(crate) fn domain(&self) -> DomainId {
        self.config.domain
    }

    pub(crate) fn name_of(&self, connection: ConnectionId) -> &str {
        let found = self.agents.iter().find(|(_, agent)| agent.connection == Some(connection));
        found.map_or("nobody", |(name, _)| name)
    }

    fn limit(&mut self, name: &str, number: u64) {
        match name {
            "inbox_messages" => self.config.inbox_messages_max = number,
            "inbox_sender_messages" => self.config.inbox_sender_messages_max = number,
            "conversations" => self.config.conversations_max = number as usize,
            "subscriptions" => self.config.subscriptions_max = number as usize,
            "agents" => self.config.agents_max = number as usize,
            "tokens" => self.config.tokens_max = number as usize,
            "deliveries" => self.config.deliveries_max = number as u32,
            "dedup_ids" => self.config.dedup_ids_max = number as usize,
            _ => panic!("no such limit: {name}"),
        }
    }

    fn partition(&mut self) -> &mut Partition {
        let (config, policy) = (self.config.clone(), self.policy.clone());
        self.partition.get_or_insert_with(|| Partition::new(config, policy))
    }

    fn enter(&mut self, name: &str, registers: bool, receives: bool) -> Vec<String> {
        let known = self.agents.remove(name);
        let key = match &known {
            Some(known) => KeyPair::from_seed(&known.key.seed()).unwrap(),
            None => KeyPair::from_seed(Digest::of(name.as_bytes()).as_bytes()).unwrap(),
        };
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let agent = key.id();
        let messages = known.as_ref().map_or(0, |agent| agent.messages);
        self.agents.insert(name.to_owned(), Agent { key, connection: Some(connection), messages });
        self.handle(Input::Connected { connection, agent, receives });
        if registers && known.is_none() {
            let token = Some(TOKEN.to_owned());
            return self.give(name, Command::Register { name: name.to_owned(), token });
        }
        Vec::new()
    }

    /// An agent that the node has made a key for connects as a door does on its behalf.
    fn meet_keyless(&mut self, name: &str) {
        let directory = self.partition().view().directory;
        let agent = name.parse().ok().and_then(|name| directory.named(&name));
        let Some(agent) = agent.filter(|_| !self.agents.contains_key(name)) else { return };
        let (key, kept) = directory.agent(&agent).unwrap().custodial_key().unwrap();
        let key = self.config.custodian.key(key, &kept.nonce).unwrap();
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let known = Agent { key, connection: Some(connection), messages: 0 };
        self.agents.insert(name.to_owned(), known);
        self.handle(Input::Connected { connection, agent, receives: false });
    }

    fn offer(&mut self, name: &str, sent: Sent) -> Vec<String> {
        let agent = &self.agents[name];
        let ticket = Ticket { connection: agent.connection.unwrap(), tag: 0 };
        let (id, now) = (agent.key.id(), self.now);
        self.sent.insert(sent.label.clone(), sent.clone());
        let view = self.partition().view();
        let input = match admit(sent.envelope, id, &view, &mut Familiar::default(), now) {
            Ok(admitted) => Input::Message { ticket, admitted: Box::new(admitted) },
            Err(refused) => Input::Refused { ticket, refused },
        };
        self.handle(input)
    }

    fn give(&mut self, name: &str, command: Command) -> Vec<String> {
        let ticket = Ticket { connection: self.agents[name].connection.unwrap(), tag: 0 };
        self.handle(Input::Command { ticket, command: Box::new(command) })
    }

    fn handle(&mut self, input: Input) -> Vec<String> {
        let now = self.now;
        let plan = self.partition().handle(input, now);
        self.keep(&plan);
        shown::plan(self, &plan)
    }

    fn keep(&mut self, plan: &Plan) {
        for sealed in &plan.records {
            self.log.push(Record::decode(&sealed.header, &sealed.salt, &sealed.body).unwrap());
            self.stored.push(sealed.clone());
        }
    }

    fn erase(&mut self, seq: u64) -> Vec<String> {
        let admin = self.agents.values().find(|agent| agent.connection.is_some()).unwrap();
        let (ticket, agent) = (Ticket { connection: admin.connection.unwrap(), tag: 0 }, admin.key.id());
        let positions = vec![self.log[seq as usize - 1].header.position];
        self.handle(Input::Erase { ticket, agent, positions, reason: "a test".to_owned() })
    }

    /// What is left when every message was erased leads to the same inboxes and conversations.
    fn recover_from_headers(&self) {
        let mut partition = Partition::new(self.config.clone(), self.policy.clone());
        for record in &self.log {
            let body = if record.message().is_some() { Body::Erased } else { record.body.clone() };
            partition.recover(&Record { header: record.header.clone(), body });
        }
        let (whole, bare) = (self.partition.as_ref().unwrap().state(), partition.state());
        let counts = |state: &State| {
            state.inboxes().map(|(agent, inbox)| (*agent, inbox.counts())).collect::<Vec<_>>()
        };
        let ended =
            |state: &State| state.conversations().map(|(id, state)| (*id, state.ended)).collect::<Vec<_>>();
        assert_eq!((counts(bare), ended(bare)), (counts(whole), ended(whole)));
        assert_eq!((bare.head(), bare.upkeep()), (whole.head(), whole.upkeep()));
    }

    fn restart(&mut self, from_snapshot: bool) -> Vec<String> {
        let (config, policy) = (self.config.clone(), self.policy.clone());
        let (mut partition, from) = match &self.snapshot {
            Some((length, bytes)) if from_snapshot => {
                (Partition::restore(config, policy, bytes).unwrap(), *length)
            }
            _ => (Partition::new(config, policy), 0),
        };
        for record in self.log.iter().skip(from) {
            partition.recover(record);
        }
        let before = self.partition.replace(partition).unwrap();
        assert!(before.state() == self.partition().state(), "recovery gives another state");
        let epoch = before.state().head().map_or(1, |head| head.epoch + 1);
        let (node, now) = (KeyPair::from_seed(&[8; 32]).unwrap(), self.now);
        let plan = self.partition().begin_epoch(epoch, &node, Digest::ZERO, now);
        self.keep(&plan);
        let names: Vec<_> = self.agents.keys().cloned().collect();
        for name in names {
            self.enter(&name, false, true);
        }
        shown::plan(self, &plan)
    }
}
