//! A node in memory: admits, hands inputs to the partition in turns, keeps plans, performs their effects.

mod fencing;
mod listening;
mod performing;

pub(crate) use listening::Listening;

use crate::census::{Census, Kind};
use crate::log::Log;
use crate::policies::PolicyFile;
use crate::random::Random;
use crate::violation::Violation;
use openmesh_core::admit::{Familiar, admit};
use openmesh_core::{Config, ConnectionId, Input, Partition, Plan, Rejection, Ticket, View};
use openmesh_message::frame::Command;
use openmesh_message::{AgentId, Digest, Envelope, KeyPair, Position, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// Inputs that wait for their turn.
const QUEUE_MAX: usize = 24;

/// Something that a node gets wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeBug {
    /// Performs a plan's effects before its records are synced.
    AcceptBeforeSync,
    /// Loses the last synced record in a crash.
    LoseSynced,
    /// Begins no epoch after a crash.
    ReuseEpoch,
}

/// Where a node crashes in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    BeforeStore,
    AmidStore,
    BeforeEffects,
    AmidEffects,
}

/// What a recovery begins from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Log,
    Snapshot(usize),
}

/// Something a node says to an agent.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    pub(crate) connection: ConnectionId,
    pub(crate) said: Said,
}

/// What of it matters to a simulated agent.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// A send of that tag is taken in or handed over.
    Done(u64),
    /// A send of that tag is refused, with that code.
    Rejected(u64, &'static str),
    /// Mail is leased: the token and the numbers.
    Leased(u64, Vec<u64>),
    /// Anything else.
    Other,
}

/// A node and its disk.
pub(crate) struct Node {
    key: KeyPair,
    config: Config,
    bug: Option<NodeBug>,
    pub(crate) partition: Partition,
    view: View,
    familiar: BTreeMap<ConnectionId, Familiar>,
    agents: BTreeMap<ConnectionId, AgentId>,
    queue: VecDeque<Input>,
    pub(crate) log: Log,
    pub(crate) is_up: bool,
    pub(crate) disk_full: bool,
    pub(crate) file: PolicyFile,
    pub(crate) listening: Listening,
    /// What the node has put its name to.
    pub(crate) promised: BTreeMap<Digest, Position>,
    pub(crate) trace: Digest,
}

impl Node {
    /// A node that is down, with an empty disk.
    pub(crate) fn new(config: Config, key: KeyPair, file: PolicyFile, bug: Option<NodeBug>) -> Self {
        let partition = Partition::new(config.clone(), file.policy.clone());
        Self {
            key,
            bug,
            view: partition.view(),
            partition,
            config,
            familiar: BTreeMap::new(),
            agents: BTreeMap::new(),
            queue: VecDeque::new(),
            log: Log::default(),
            is_up: false,
            disk_full: false,
            file,
            listening: Listening::default(),
            promised: BTreeMap::new(),
            trace: Digest::ZERO,
        }
    }

    /// Rebuilds the partition from the disk.
    pub(crate) fn recover(&self, from: From) -> Result<Partition, Violation> {
        let snapshot = match from {
            From::Log => None,
            From::Snapshot(age) => self.log.snapshot(age),
        };
        let (seq, mut partition) = match snapshot {
            None => (0, Partition::new(self.config.clone(), self.file.policy.clone())),
            Some((seq, bytes)) => {
                let restored = Partition::restore(self.config.clone(), self.file.policy.clone(), bytes);
                let broken = |error: openmesh_core::RestoreError| {
                    Violation::new("a snapshot can be restored", error.to_string())
                };
                (*seq, restored.map_err(broken)?)
            }
        };
        for seq in seq + 1..=self.log.head() {
            partition.recollect(&self.log.recollection(seq)?);
        }
        Ok(partition)
    }

    /// Goes up with a recovered partition.
    pub(crate) fn start(&mut self, partition: Partition, now: Timestamp) -> Result<(), Violation> {
        self.partition = partition;
        self.is_up = true;
        if !self.log.is_clean && (self.bug != Some(NodeBug::ReuseEpoch) || self.log.epoch == 0) {
            self.log.epoch += 1;
            let chain = self.log.chain();
            let plan = self.partition.begin_epoch(self.log.epoch, &self.key, chain, now);
            self.log.append(&plan.records)?;
            self.log.sync();
            self.note_plan(&plan);
        }
        self.log.is_clean = false;
        self.view = self.partition.view();
        let (policy, text) = (self.file.policy.clone(), self.file.text.clone());
        self.queue.push_back(Input::PolicyLoaded { policy, text });
        Ok(())
    }

    /// Closes the log as a node does that is told to stop.
    pub(crate) fn stop(&mut self) {
        self.log.is_clean = true;
        self.go_down();
    }

    fn go_down(&mut self) {
        self.is_up = false;
        self.queue.clear();
        self.familiar.clear();
        self.listening.clear();
    }

    pub(crate) fn connect(&mut self, connection: ConnectionId, agent: AgentId, receives: bool) {
        self.familiar.insert(connection, Familiar::default());
        self.agents.insert(connection, agent);
        self.queue.push_back(Input::Connected { connection, agent, receives });
    }

    pub(crate) fn disconnect(&mut self, connection: ConnectionId) {
        self.familiar.remove(&connection);
        self.queue.push_back(Input::Disconnected { connection });
    }

    pub(crate) fn reload_policy(&mut self) {
        let (policy, text) = (self.file.policy.clone(), self.file.text.clone());
        self.queue.push_back(Input::PolicyLoaded { policy, text });
    }

    pub(crate) fn tick(&mut self) {
        self.queue.push_back(Input::Tick);
    }

    /// Takes a message off a connection: refused at once, or admitted and queued.
    pub(crate) fn offer(
        &mut self,
        ticket: Ticket,
        agent: AgentId,
        envelope: Envelope,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let Some(familiar) = self.familiar.get_mut(&ticket.connection) else {
            return Ok(());
        };
        if self.queue.len() >= QUEUE_MAX {
            return Err(Rejection::Busy);
        }
        if self.disk_full {
            return Err(Rejection::StoreFull);
        }
        let input = match admit(envelope, agent, &self.view, familiar, now) {
            Ok(admitted) => Input::Message { ticket, admitted: Box::new(admitted) },
            Err(refused) => Input::Refused { ticket, refused },
        };
        self.queue.push_back(input);
        Ok(())
    }

    /// The key that the node keeps for an agent.
    pub(crate) fn kept_key(&self, agent: &AgentId) -> Option<KeyPair> {
        let directory = self.partition.view().directory;
        let (key, kept) = directory.agent(agent)?.custodial_key()?;
        self.config.custodian.key(key, &kept.nonce).ok()
    }

    pub(crate) fn command(&mut self, ticket: Ticket, command: Command) -> Result<(), Rejection> {
        if self.queue.len() >= QUEUE_MAX {
            return Err(Rejection::Busy);
        }
        self.queue.push_back(Input::Command { ticket, command: Box::new(command) });
        Ok(())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Handles what is queued, keeps it, performs it; or crashes on the way.
    pub(crate) fn turn(
        &mut self,
        now: Timestamp,
        crash: Option<Crash>,
        random: &mut Random,
        census: &mut Census,
    ) -> Result<Vec<Out>, Violation> {
        let mut plans = Vec::new();
        while let Some(input) = self.queue.pop_front() {
            let subject = self.listening.subject(&input);
            let fenced = fencing::outsider(&input, &self.agents, &self.partition);
            let plan = self.partition.handle(input, now);
            fencing::check(fenced, &plan)?;
            self.listening.begin(subject, &plan, self.partition.next_seq() - 1);
            self.note_plan(&plan);
            plans.push(plan);
        }
        let mut early = Vec::new();
        if self.bug == Some(NodeBug::AcceptBeforeSync) {
            early = self.perform_all(&plans, usize::MAX, census)?;
        }
        if crash != Some(Crash::BeforeStore) {
            for plan in &plans {
                self.log.append(&plan.records)?;
            }
        }
        let stored = !matches!(crash, Some(Crash::BeforeStore | Crash::AmidStore));
        if !stored {
            let total: usize = plans.iter().map(|plan| plan.records.len()).sum();
            self.crash(total, crash, random, census);
            return Ok(early);
        }
        self.log.sync();
        if self.bug == Some(NodeBug::AcceptBeforeSync) {
            return Ok(early);
        }
        let effects: usize = plans.iter().map(|plan| plan.effects.len()).sum();
        let limit = match crash {
            Some(Crash::BeforeEffects) => 0,
            Some(_) => random.below(effects as u64) as usize,
            None => usize::MAX,
        };
        let out = self.perform_all(&plans, limit, census)?;
        if crash.is_some() {
            self.crash(0, crash, random, census);
        }
        Ok(out)
    }

    fn crash(&mut self, planned: usize, crash: Option<Crash>, random: &mut Random, census: &mut Census) {
        let torn = self.log.crash(random);
        let lost = if crash == Some(Crash::BeforeStore) { planned } else { torn.lost };
        let name = match crash {
            Some(Crash::BeforeStore) => "crash before store",
            Some(Crash::AmidStore) => "crash amid store",
            Some(Crash::BeforeEffects) => "crash before effects",
            _ => "crash amid effects",
        };
        census.count(Kind::Fault, name);
        if lost > 0 {
            census.count(Kind::Fault, "records lost in a crash");
        }
        if torn.kept > 0 {
            census.count(Kind::Fault, "unsynced records kept by a crash");
        }
        if self.bug == Some(NodeBug::LoseSynced) {
            self.log.lose_last();
        }
        self.go_down();
    }

    fn note_plan(&mut self, plan: &Plan) {
        for sealed in &plan.records {
            self.note(&sealed.header);
            self.note(&sealed.body);
        }
    }

    /// Adds to the fingerprint of the run.
    pub(crate) fn note(&mut self, bytes: &[u8]) {
        self.trace = Digest::of_parts("simulated trace", &[self.trace.as_bytes(), bytes]);
    }
}
