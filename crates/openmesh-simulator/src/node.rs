//! A node in memory: admits, hands inputs to the partition in turns, keeps plans, performs their effects.

mod fencing;
mod hearing;
mod listening;
mod live;
mod performing;

pub(crate) use listening::Listening;
use live::Live;

use crate::census::{Census, Kind};
use crate::log::Log;
use crate::policies::{self, PolicyFile};
use crate::random::Random;
use crate::violation::Violation;
use openmesh_core::admit::{Familiar, admit};
use openmesh_core::{Config, ConnectionId, Effect, Input, Partition, Plan, Rejection, Ticket, View};
use openmesh_message::frame::{Command, Reply, Sent};
use openmesh_message::{AgentId, Digest, Envelope, KeyPair, Position, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

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
    /// Messages that come while what was decided waits for the disk.
    held_up: VecDeque<(ConnectionId, AgentId, Sent)>,
    live: Live,
    /// What was found where nobody could be told.
    broken: Option<Violation>,
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
        let live = Live::new(
            Digest::of(&config.salt_seed)
                .as_bytes()
                .first_chunk()
                .map_or(0, |first| u64::from_be_bytes(*first)),
        );
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
            held_up: VecDeque::new(),
            live,
            broken: None,
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
        let topics = &self.view.topics;
        self.live
            .hearing
            .begin(policies::place_of(&self.file.policy.version()), |topic| topics.is_pinned(topic));
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
        self.held_up.clear();
        self.live.clear();
        self.familiar.clear();
        self.listening.clear();
    }

    pub(crate) fn connect(&mut self, connection: ConnectionId, agent: (AgentId, String), receives: bool) {
        let (agent, name) = agent;
        self.live.connect(connection);
        self.live.hearing.join(connection, name);
        self.familiar.insert(connection, Familiar::default());
        self.agents.insert(connection, agent);
        self.queue.push_back(Input::Connected { connection, agent, receives });
    }

    pub(crate) fn disconnect(&mut self, connection: ConnectionId) {
        self.familiar.remove(&connection);
        self.live.disconnect(connection);
        self.held_up.retain(|(held, _, _)| *held != connection);
        self.queue.push_back(Input::Disconnected { connection });
    }

    pub(crate) fn reload_policy(&mut self) {
        let (policy, text) = (self.file.policy.clone(), self.file.text.clone());
        self.queue.push_back(Input::PolicyLoaded { policy, text });
    }

    pub(crate) fn tick(&mut self) {
        self.queue.push_back(Input::Tick);
    }

    /// Takes messages off a connection, in one frame: refused at once, passed on by a shortcut, or admitted and queued. The tags of
    /// those that were refused, and why.
    pub(crate) fn offer(
        &mut self,
        connection: ConnectionId,
        agent: AgentId,
        messages: Vec<(u64, Envelope)>,
        now: Timestamp,
    ) -> Vec<(u64, Rejection)> {
        let is_bare = messages.iter().all(|(_, envelope)| envelope.proof.is_none());
        let sent = match self.live.carry(connection, messages) {
            Ok(sent) => sent,
            Err(violation) => {
                self.broken = Some(violation);
                return Vec::new();
            }
        };
        let comes_after = self.held_up.iter().any(|(held, ..)| *held == connection);
        if comes_after || is_bare && self.live.is_held_up() {
            self.held_up.push_back((connection, agent, sent));
            return Vec::new();
        }
        self.take_in(connection, agent, sent, now)
    }

    fn take_in(
        &mut self,
        connection: ConnectionId,
        agent: AgentId,
        mut sent: Sent,
        now: Timestamp,
    ) -> Vec<(u64, Rejection)> {
        // What came before is decided first.
        if !self.queue.iter().any(|input| connection_of(input) == Some(connection))
            && let Err(violation) = self.live.pass(connection, &mut sent, now)
        {
            self.broken = Some(violation);
        }
        let mut refused = Vec::new();
        for (tag, envelope) in sent.into_messages() {
            if let Err(rejection) = self.admit(Ticket { connection, tag }, agent, envelope, now) {
                refused.push((tag, rejection));
            }
        }
        refused
    }

    fn admit(
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
        self.queue.is_empty() && self.held_up.is_empty()
    }

    /// What agents read of what waits for them, by chance; in the end all of it.
    pub(crate) fn read(&mut self, is_end: bool, census: &mut Census) -> Result<Vec<Out>, Violation> {
        let mut out = Vec::new();
        for live::Told { connection, passed, missed } in self.live.read(is_end)? {
            for _ in 0..passed.len() {
                census.count(Kind::Fault, "passed by a shortcut");
            }
            for _ in 0..missed {
                census.count(Kind::Fault, "missed by a slow reader");
            }
            out.extend(passed.into_iter().map(|tag| Out { connection, said: Said::Done(tag) }));
        }
        Ok(out)
    }

    /// Handles what is queued, keeps it, performs it; or crashes on the way.
    pub(crate) fn turn(
        &mut self,
        now: Timestamp,
        crash: Option<Crash>,
        random: &mut Random,
        census: &mut Census,
    ) -> Result<Vec<Out>, Violation> {
        if let Some(violation) = self.broken.take() {
            return Err(violation);
        }
        let mut plans = Vec::new();
        let mut early = Vec::new();
        while let Some(input) = self.queue.pop_front() {
            let plan = self.decide(input, now)?;
            if plan.records.is_empty() && plan.effects.iter().all(Effect::is_live) {
                early.extend(self.perform_all(&[plan], usize::MAX, census)?);
            } else {
                plans.push(plan);
            }
        }
        self.take_held_up(now, !plans.is_empty(), census);
        if self.bug == Some(NodeBug::AcceptBeforeSync) {
            early.extend(self.perform_all(&plans, usize::MAX, census)?);
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
        early.extend(self.perform_all(&plans, limit, census)?);
        if crash.is_some() {
            self.crash(0, crash, random, census);
        }
        Ok(early)
    }

    /// Has the partition decide, and notes what follows at once: a new view, and shortcuts that end.
    fn decide(&mut self, input: Input, now: Timestamp) -> Result<Plan, Violation> {
        let subject = self.listening.subject(&input);
        let fenced = fencing::outsider(&input, &self.agents, &self.partition);
        let (rules, kept) = (policy_of(&input), pinning_of(&input));
        let message = message_of(&input);
        let plan = self.partition.handle(input, now);
        fencing::check(fenced, &plan)?;
        self.live.hearing.plan(&subject, &plan);
        if let Some((ticket, pattern, pinned)) = kept
            && plan.effects.contains(&Effect::Reply(ticket, Ok(Reply::Done)))
        {
            self.live.hearing.keep(&pattern, pinned);
        }
        if let Some(place) = rules {
            self.live.hearing.rule(place);
        }
        self.listening.begin(subject, &plan, self.partition.next_seq() - 1);
        self.note_plan(&plan);
        if plan.effects.iter().any(|effect| *effect == Effect::PublishView || effect.reads_topics()) {
            self.view = self.partition.view();
        }
        if plan.effects.contains(&Effect::PublishView) {
            self.live.end_every_shortcut();
        }
        if let Some((connection, envelope)) = message {
            self.live.note_passed(connection, &envelope, &plan)?;
        }
        Ok(plan)
    }

    /// What came while what was decided waits: all of it has been decided, none of it need have been performed.
    fn take_held_up(&mut self, now: Timestamp, effects_wait: bool, census: &mut Census) {
        for (connection, agent, sent) in std::mem::take(&mut self.held_up) {
            if effects_wait {
                census.count(Kind::Fault, "came while effects waited");
            }
            for (_, refused) in self.take_in(connection, agent, sent, now) {
                census.count(Kind::Refusal, refused.code());
            }
        }
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

/// The connection that an input comes from, if it is one whose order counts.
const fn connection_of(input: &Input) -> Option<ConnectionId> {
    match input {
        Input::Message { ticket, .. } | Input::Refused { ticket, .. } | Input::Command { ticket, .. } => {
            Some(ticket.connection)
        }
        _ => None,
    }
}

/// The message of an input, and where it comes from.
fn message_of(input: &Input) -> Option<(ConnectionId, Arc<Envelope>)> {
    match input {
        Input::Message { ticket, admitted } => Some((ticket.connection, Arc::clone(&admitted.envelope))),
        _ => None,
    }
}

/// The place of a policy that comes into force.
fn policy_of(input: &Input) -> Option<usize> {
    match input {
        Input::PolicyLoaded { policy, .. } => policies::place_of(&policy.version()),
        _ => None,
    }
}

/// What a command says of how topics are kept.
fn pinning_of(input: &Input) -> Option<(Ticket, String, bool)> {
    let Input::Command { ticket, command } = input else { return None };
    match &**command {
        Command::ConfigureTopic { topic, pinned, .. } => {
            let pattern = topic.rsplit("topic:").next().unwrap_or_default();
            Some((*ticket, pattern.to_owned(), *pinned))
        }
        _ => None,
    }
}
