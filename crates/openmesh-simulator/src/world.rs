//! One run: agents, a node, and everything between them that can go wrong.

mod carrying;
mod custody;
mod doing;
mod power;
mod ticking;

use crate::agent::Agent;
use crate::census::{Census, Kind};
use crate::misdeeds;
use crate::model::Model;
use crate::node::{Crash, Node, NodeBug};
use crate::policies::{self, PolicyFile};
use crate::random::Random;
use crate::violation::Violation;
use carrying::Carried;
use openmesh_core::Config;
use openmesh_message::frame::Command;
use openmesh_message::{
    Address, AgentId, AttributeError, ConversationId, Custodian, Digest, DomainId, Draft, Envelope, KeyPair,
    Performative, Timestamp,
};
use openmesh_schema::Catalog;
use std::collections::BTreeMap;

pub(crate) const ADMIN_TOKEN: &str = "simulated admin token";
/// Agents that are registered; the one after them is a stranger.
const NAMES: [&str; 9] =
    ["buyer", "seller-a", "seller-b", "seller-c", "auditor", "herald", "worker", "asker", "rogue"];
const STRANGER: &str = "stranger";
/// 2026-01-01T00:00:00Z.
const BEGINNING_MS: i64 = 1_767_225_600_000;
/// Steps between two misdeeds.
const MISDEED_EVERY: u64 = 11;
/// Messages of a run, unless it is very quiet.
const MESSAGES_MIN: u64 = 210;
/// Turns after the last step in which every send must end.
const SETTLING_TURNS: u32 = 400;

/// All of one run.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) random: Random,
    pub(crate) census: Census,
    pub(crate) node: Node,
    pub(crate) agents: Vec<Agent>,
    pub(crate) model: Model,
    pub(crate) catalog: Catalog,
    pub(crate) domain: DomainId,
    pub(crate) talks: BTreeMap<ConversationId, TalkFacts>,
    pub(crate) prices: BTreeMap<Digest, u64>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) time: Timestamp,
    /// Fixes what is said that is not kept, and who listens to it.
    ticking: Random,
    ticked: u64,
    ahead_ms: i64,
    wire: BTreeMap<(Timestamp, u64), Carried>,
    order: u64,
    next_connection: u64,
    up_at: Timestamp,
    files: Vec<PolicyFile>,
    calm: bool,
    broken: Option<Violation>,
}

/// What the agents of a conversation know of it from the beginning.
#[derive(Clone, Debug)]
pub(crate) struct TalkFacts {
    pub(crate) rfp: String,
    pub(crate) amount: u64,
}

/// A request outside conversations.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) asker: usize,
    pub(crate) responder: usize,
    pub(crate) id: String,
    pub(crate) deadline: Timestamp,
}

impl World {
    pub(crate) fn new(seed: u64, bug: Option<NodeBug>) -> Result<Self, Violation> {
        let identity = |error: openmesh_message::IdentityError| {
            Violation::new("the simulator can begin", error.to_string())
        };
        let mut agents = Vec::new();
        for name in NAMES.into_iter().chain([STRANGER]) {
            agents.push(Agent::new(name, seed).map_err(identity)?);
        }
        let mut random = Random::new(seed);
        let domain = DomainId::from_bytes(random.bytes());
        let custodian = Custodian::new(random.bytes());
        let mut config = Config::new(domain, Digest::of(ADMIN_TOKEN.as_bytes()), random.bytes(), custodian);
        config.deliveries_max = 3;
        config.subscriptions_max = 4;
        config.tokens_max = 5;
        if seed % 20 == 8 {
            config.agents_max = NAMES.len();
        }
        config.conversations_max = if seed % 20 == 3 { 2 } else { 24 };
        config.inbox_messages_max = if seed % 20 == 4 { 6 } else { 5_000 };
        config.inbox_sender_messages_max = if seed % 20 == 6 { 4 } else { 5_000 };
        config.dedup_ids_max = if seed % 20 == 5 { 12 } else { 1_000_000 };
        let node_key = KeyPair::from_seed(&random.bytes()).map_err(identity)?;
        let files = policies::all();
        let first =
            files.first().cloned().ok_or_else(|| Violation::new("the simulator can begin", "no policy"))?;
        Ok(Self {
            seed,
            model: Model::new(config.clone()),
            node: Node::new(config, node_key, first, bug),
            random,
            census: Census::default(),
            agents,
            catalog: Catalog::builtin(),
            domain,
            talks: BTreeMap::new(),
            prices: BTreeMap::new(),
            asked: Vec::new(),
            time: Timestamp::from_millis(BEGINNING_MS),
            ticking: Random::new(!seed),
            ticked: 0,
            ahead_ms: 0,
            wire: BTreeMap::new(),
            order: 0,
            next_connection: 0,
            up_at: Timestamp::from_millis(BEGINNING_MS),
            files,
            calm: false,
            broken: None,
        })
    }

    /// Runs so many steps with everything going wrong, then lets things settle and checks all.
    pub(crate) fn run(&mut self, steps: u64) -> Result<(), Violation> {
        self.set_up()?;
        if self.seed % 500 == 7 {
            crate::crowd::gather(self)?;
        }
        let crash_at = steps / 2 + self.random.below(40);
        for step in 0..2 * steps {
            if step >= steps && self.census.messages() >= MESSAGES_MIN {
                break;
            }
            self.pass_time();
            self.change_world();
            self.carry()?;
            self.act();
            self.tick_along();
            if step % MISDEED_EVERY == 0 {
                misdeeds::commit(self, step / MISDEED_EVERY);
            }
            self.resend();
            let crash = self.crash_now(step >= crash_at && self.census.crashes() == 0);
            self.turn(crash)?;
        }
        self.settle()?;
        self.check_all()
    }

    /// The node's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.time.plus_ms(self.ahead_ms)
    }

    /// Registers everyone and pins the topics.
    fn set_up(&mut self) -> Result<(), Violation> {
        self.boot(crate::node::From::Log)?;
        for agent in 0..self.agents.len() {
            self.connect(agent);
        }
        self.turn(None)?;
        for agent in 0..NAMES.len() {
            self.register(agent)?;
        }
        for pattern in ["topic:market/**", "topic:news/**"] {
            let command = Command::ConfigureTopic {
                topic: pattern.to_owned(),
                pinned: true,
                token: Some(ADMIN_TOKEN.to_owned()),
            };
            self.command_now(0, command)?;
        }
        self.set_up_custody()
    }

    /// Registers an agent under its name, without a link between.
    pub(crate) fn register(&mut self, agent: usize) -> Result<(), Violation> {
        let name = self.agents.get(agent).map(|agent| agent.name.clone()).unwrap_or_default();
        let token = Some(ADMIN_TOKEN.to_owned());
        self.command_now(agent, Command::Register { name, token })
    }

    /// Steps without faults until every send has ended.
    fn settle(&mut self) -> Result<(), Violation> {
        self.calm = true;
        self.node.disk_full = false;
        for _ in 0..SETTLING_TURNS {
            self.time = self.time.plus_ms(500);
            self.change_world();
            self.carry()?;
            self.resend();
            self.turn(None)?;
            let waits = self.agents.iter().any(|agent| !agent.waiting.is_empty());
            if !waits && self.node.is_up && self.wire.is_empty() && self.node.is_idle() {
                return Ok(());
            }
        }
        let waiting: Vec<_> = self.agents.iter().flat_map(|agent| agent.waiting.values()).collect();
        let first = waiting.first().map(|waiting| format!("{:?}", waiting.envelope.attributes));
        Err(Violation::new("every send ends", format!("{} do not: {first:?}", waiting.len())))
    }

    /// One turn of the node, and what it kept fed to the model.
    pub(crate) fn turn(&mut self, crash: Option<Crash>) -> Result<(), Violation> {
        if let Some(violation) = self.broken.take() {
            return Err(violation);
        }
        if !self.node.is_up {
            return Ok(());
        }
        let due = self.node.partition.next_deadline().is_some_and(|deadline| deadline <= self.now());
        if due && (self.calm || self.random.chance(2, 3)) {
            self.node.tick();
        }
        let now = self.now();
        let mut out = self.node.turn(now, crash, &mut self.random, &mut self.census)?;
        out.extend(self.node.read(self.calm, &mut self.census)?);
        for out in out {
            self.hand_back(out);
        }
        self.feed_model()?;
        if crash.is_some() {
            self.after_crash();
        } else {
            self.node.listening.check(&self.node.log)?;
            self.take_snapshot();
        }
        Ok(())
    }

    fn feed_model(&mut self) -> Result<(), Violation> {
        for seq in self.model.next_seq()..=self.node.log.head() {
            let record = self.node.log.record(seq)?;
            self.model.feed(&record, &mut self.census)?;
            self.node.listening.note(&record);
        }
        Ok(())
    }

    /// Misses no fault kind: picks whether and where the node crashes in this turn.
    fn crash_now(&mut self, surely: bool) -> Option<Crash> {
        let kinds = [Crash::BeforeStore, Crash::AmidStore, Crash::BeforeEffects, Crash::AmidEffects];
        if !self.node.is_up || !(surely || self.random.chance(1, 150)) {
            return None;
        }
        self.random.pick(&kinds).copied()
    }

    /// A message in the making, of this agent and this moment.
    pub(crate) fn draft(&mut self, agent: usize, to: &Address, act: &Performative) -> Option<Draft> {
        let time = self.time;
        let id = self.agents.get_mut(agent)?.message_id();
        Some(Draft::new(id, time, to, act))
    }

    pub(crate) fn address(&self, text: &str) -> Option<Address> {
        Address::expand(text, self.domain).ok()
    }

    pub(crate) fn id_of(&self, agent: usize) -> Option<AgentId> {
        self.agents.get(agent).map(Agent::id)
    }

    pub(crate) fn index_of(&self, id: &AgentId) -> Option<usize> {
        self.agents.iter().position(|agent| agent.id() == *id)
    }

    /// A registered agent, by chance.
    pub(crate) fn anyone(&mut self) -> usize {
        self.random.below(NAMES.len() as u64) as usize
    }

    pub(crate) fn stranger(&self) -> usize {
        NAMES.len()
    }

    /// Signs and sends.
    pub(crate) fn send_signed(&mut self, agent: usize, draft: Draft) -> Option<Digest> {
        let signed = draft.sign(&self.agents.get(agent)?.key);
        self.send_made(agent, signed)
    }

    /// Sends without a signature.
    pub(crate) fn send_unsigned(&mut self, agent: usize, draft: Draft) -> Option<Digest> {
        let unsigned = draft.unsigned(&self.id_of(agent)?);
        self.send_made(agent, unsigned)
    }

    fn send_made(&mut self, agent: usize, made: Result<Envelope, AttributeError>) -> Option<Digest> {
        let envelope = made.ok()?;
        let digest = envelope.digest();
        self.agents.get_mut(agent)?.remember(&envelope);
        self.send(agent, envelope);
        Some(digest)
    }

    pub(crate) fn fault(&mut self, name: &str) {
        self.census.count(Kind::Fault, name);
    }
}
