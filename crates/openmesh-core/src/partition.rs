//! All state of one partition, and the one way to change it.
//!
//! How it is driven:
//! 1. `handle(input, now)` decides, applies what was decided, and returns a [`Plan`].
//! 2. Keep the plan's records and sync them; only then let its effects happen.
//! 3. At `next_deadline()` hand in `Input::Tick`.
//! 4. If keeping fails, drop the partition and restore it from what was kept: `restore(snapshot)`, then
//!    `recover(record)` for each record after it. Recovery applies outcomes and never decides.

mod numbering;
pub mod planted;
#[cfg(feature = "steps")]
pub mod steps;
mod streaming;
pub(crate) mod upkeep;

pub(crate) use numbering::Numbering;

use self::numbering::InboxNames;
use self::planted::Planted;
use crate::deadlines::{Deadlines, Owner};
use crate::dedup::Dedup;
use crate::input::{ConnectionId, Input, Ticket};
use crate::plan::{Effect, Plan, Sealed};
use crate::record::{Body, Header, Outcome, RECORD_VERSION, Recollection, Record, SealedBody, Sealing};
use crate::request::Requests;
use crate::route::Routes;
use crate::route::census::Census;
use crate::route::stream::Streams;
use crate::state::{Bounds, Gist, Logical, STATE_VERSION, State};
use crate::view::{Identity, View};
use openmesh_message::frame::Retention;
use openmesh_message::{
    AgentId, ConversationId, Custodian, Digest, DomainId, KeyPair, LogSeq, PartitionId, Position, Priority,
    Timestamp, TopicPattern,
};
use openmesh_policy::Policy;
use openmesh_schema::Catalog;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const CLAIM_CONTEXT: &str = "openmesh epoch claim v1";

/// Messages an inbox holds, unless a node is told otherwise.
pub const INBOX_MESSAGES_MAX: u64 = 1_000_000;
/// Messages of one sender that an inbox holds, unless a node is told otherwise.
pub const INBOX_SENDER_MESSAGES_MAX: u64 = 100_000;

/// Subscriptions of one connection, unless a node is told otherwise.
pub const SUBSCRIPTIONS_MAX: usize = 1_000;
/// Subscriptions of one agent on all its connections, unless a node is told otherwise.
pub const AGENT_SUBSCRIPTIONS_MAX: usize = 1_000_000;
/// Subscriptions of a node, unless it is told otherwise.
pub const NODE_SUBSCRIPTIONS_MAX: usize = 4_000_000;
/// Agents of a domain, each with an inbox, unless a node is told otherwise.
pub const AGENTS_MAX: usize = 2_000_000;

/// What a partition is told once.
#[derive(Clone)]
pub struct Config {
    /// The domain served.
    pub domain: DomainId,
    /// The partition's number.
    pub partition: PartitionId,
    /// SHA-256 of the admin token.
    pub admin_token: Digest,
    /// Drawn at random for each run, never kept: salts blind the commitments to bodies.
    pub salt_seed: [u8; 32],
    /// Makes the keys that the node keeps for agents.
    pub custodian: Custodian,
    /// Ids remembered for each sender.
    pub dedup_ids_max: usize,
    /// Leases of one message before it is a dead letter.
    pub deliveries_max: u32,
    /// Messages an inbox holds.
    pub inbox_messages_max: u64,
    /// Messages of one sender that an inbox holds.
    pub inbox_sender_messages_max: u64,
    /// Conversations open at a time.
    pub conversations_max: usize,
    /// Subscriptions of one connection.
    pub subscriptions_max: usize,
    /// Subscriptions of one agent on all its connections.
    pub agent_subscriptions_max: usize,
    /// Subscriptions of all connections.
    pub node_subscriptions_max: usize,
    /// Agents in the directory.
    pub agents_max: usize,
    /// Valid tokens of one agent.
    pub tokens_max: usize,
}

/// One partition of the mesh.
pub struct Partition {
    pub(crate) config: Config,
    pub(crate) state: State,
    pub(crate) view: View,
    pub(crate) routes: Routes,
    pub(crate) census: Census,
    pub(crate) requests: Requests,
    pub(crate) streams: Streams,
    pub(crate) deadlines: Deadlines,
    pub(crate) waiting: BTreeMap<AgentId, VecDeque<Waiting>>,
    pub(crate) inbox_names: InboxNames,
    epoch: u32,
}

/// An agent that waits for mail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) ticket: Ticket,
    pub(crate) messages_max: u32,
    pub(crate) visibility_ms: u64,
    pub(crate) until: Timestamp,
    /// Only mail at least so urgent.
    pub(crate) least: Priority,
}

/// Why a snapshot cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Written by a later version of the program.
    #[error(
        "the snapshot was written by a newer version (format {0}, this program reads up to {STATE_VERSION})"
    )]
    Newer(u16),
    /// Cannot be read.
    #[error("the snapshot cannot be read: {0}")]
    Malformed(String),
}

impl Config {
    /// Limits that suit one node.
    pub fn new(domain: DomainId, admin_token: Digest, salt_seed: [u8; 32], custodian: Custodian) -> Self {
        Self {
            domain,
            partition: PartitionId(0),
            admin_token,
            salt_seed,
            custodian,
            dedup_ids_max: 1_000_000,
            deliveries_max: 10,
            inbox_messages_max: INBOX_MESSAGES_MAX,
            inbox_sender_messages_max: INBOX_SENDER_MESSAGES_MAX,
            conversations_max: 100_000,
            subscriptions_max: SUBSCRIPTIONS_MAX,
            agent_subscriptions_max: AGENT_SUBSCRIPTIONS_MAX,
            node_subscriptions_max: NODE_SUBSCRIPTIONS_MAX,
            agents_max: AGENTS_MAX,
            tokens_max: 64,
        }
    }

    /// Drawn anew for each run: where remembered ids lie in memory.
    fn dedup_key(&self) -> u64 {
        self.key("openmesh dedup key v1")
    }

    fn key(&self, context: &str) -> u64 {
        let key = Digest::of_parts(context, &[&self.salt_seed]);
        key.as_bytes().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }
}

impl Partition {
    /// An empty partition.
    pub fn new(config: Config, policy: Policy) -> Self {
        let dedup = Dedup::keyed(config.dedup_key());
        Self::with_state(config, policy, State { dedup, ..State::default() })
    }

    /// A partition as a snapshot holds it.
    pub fn restore(config: Config, policy: Policy, snapshot: &[u8]) -> Result<Self, RestoreError> {
        let state = State::read(snapshot, config.dedup_key())?;
        Ok(Self::with_state(config, policy, planted::to_restore(state)))
    }

    /// The state as a snapshot holds it.
    pub fn snapshot(&self) -> Result<Vec<u8>, RestoreError> {
        planted::to_keep(&self.state).write()
    }

    fn with_state(config: Config, policy: Policy, state: State) -> Self {
        let mut catalog = Catalog::builtin();
        for definition in &state.definitions {
            definition.publish(&mut catalog);
        }
        let view = View {
            domain: config.domain,
            catalog,
            policy,
            directory: Arc::clone(&state.directory),
            topics: Arc::clone(&state.topics),
            tokens: Arc::clone(&state.tokens),
            // Filled in where the view is handed out: a clone kept here would be copied at every message.
            shelves: Arc::default(),
            sealing: Sealing::new(config.salt_seed),
            identity: Identity::default(),
        };
        let mut partition = Self {
            epoch: state.head.map_or(1, |head| head.epoch),
            routes: Routes::keyed(config.key("openmesh routes key v1")),
            config,
            state,
            view,
            census: Census::default(),
            requests: Requests::default(),
            streams: Streams::default(),
            deadlines: Deadlines::default(),
            waiting: BTreeMap::new(),
            inbox_names: InboxNames::default(),
        };
        partition.set_every_deadline();
        partition
    }

    /// Applies a record that was kept before; decides nothing.
    pub fn recover(&mut self, record: &Record) {
        self.recollect(&Recollection::of(record));
    }

    /// The same where the record was read for nothing else.
    pub fn recollect(&mut self, recollection: &Recollection<'_>) {
        self.apply(&recollection.record, recollection.gist.as_ref());
    }

    /// Begins an epoch: every record from here on bears it. Returns the record that says so.
    pub fn begin_epoch(
        &mut self,
        epoch: u32,
        node: &KeyPair,
        previous_chain: Digest,
        now: Timestamp,
    ) -> Plan {
        let previous = self.state.head;
        if !planted::has(Planted::ReusePosition) {
            self.epoch = epoch;
        }
        let outcome = Outcome::EpochBegun { owner: node.id(), previous, previous_chain };
        let claim = minicbor::to_vec((epoch, &outcome)).unwrap_or_default();
        let body = Body::Claim(node.sign(CLAIM_CONTEXT, &claim));
        let mut plan = Plan::new(now);
        let draft = self.draft_in(Logical::domain(), None, outcome, body);
        self.commit(draft, None, &mut plan);
        plan
    }

    /// Goes on behind records that are lost: their numbers are never used again.
    pub fn skip_to(&mut self, next_seq: u64) {
        if next_seq > self.next_seq() {
            let partition = self.config.partition;
            self.state.head = Some(Position { partition, epoch: self.epoch, seq: next_seq - 1 });
        }
    }

    /// Pins topics because the node's configuration says so.
    pub fn pin(&mut self, pattern: TopicPattern, now: Timestamp) -> Plan {
        let mut plan = Plan::new(now);
        if self.state.topics.pinned().all(|pinned| *pinned != pattern) {
            let retention = Retention::UNLIMITED;
            let outcome = Outcome::TopicsSet { pattern: pattern.to_string(), pinned: true, retention };
            let draft = self.draft_in(Logical::domain(), None, outcome, Body::Empty);
            self.commit(draft, None, &mut plan);
        }
        plan
    }

    /// Takes one input: decides, applies, and says what is to be done.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Plan {
        let mut plan = Plan::new(now);
        match input {
            Input::Connected { connection, agent, receives } => {
                self.routes.connect(connection, agent, receives);
            }
            Input::Disconnected { connection } => self.disconnect(connection, now),
            Input::Message { ticket, admitted } => self.take_message(ticket, admitted, &mut plan),
            Input::Refused { ticket, refused } => self.refuse(ticket, *refused, &mut plan),
            Input::Command { ticket, command } => self.take_command(ticket, *command, &mut plan),
            Input::Stream { connection, act } => self.take_stream_act(connection, act, &mut plan),
            Input::PolicyLoaded { policy, text } => self.change_policy(policy, text, &mut plan),
            Input::Checkpoint { checkpoint, claim } => self.note_checkpoint(checkpoint, claim, &mut plan),
            Input::Erase { ticket, agent, positions, reason } => {
                self.erase((ticket, agent), positions, reason, &mut plan);
            }
            Input::BodiesErased { seqs } => self.note_erased(&seqs, &mut plan),
            Input::Tick => self.tick(&mut plan),
        }
        plan
    }

    /// When the next `Tick` is due.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.next()
    }

    /// What admission reads.
    pub fn view(&self) -> View {
        let (shelves, identity) = (Arc::clone(&self.state.shelves), Identity::default());
        View { shelves, identity, ..self.view.clone() }
    }

    /// Streams that have not ended.
    pub fn streams(&self) -> usize {
        self.streams.open()
    }

    /// All that outlives a restart.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The next record's number.
    pub fn next_seq(&self) -> u64 {
        self.state.head.map_or(1, |head| head.seq + 1)
    }

    /// Agents whose kept key the custodian's secret does not give: the node cannot sign for them.
    pub fn unusable_keys(&self) -> impl Iterator<Item = &AgentId> {
        let is_lost = |agent: &crate::Agent| {
            let kept = agent.custodial_key();
            kept.is_some_and(|(key, kept)| self.config.custodian.key(key, &kept.nonce).is_err())
        };
        self.state.directory.iter().filter(move |(_, agent)| is_lost(agent)).map(|(id, _)| id)
    }

    /// Replies that were dropped because they came after their request's deadline.
    pub const fn late_replies(&self) -> u64 {
        self.requests.late_replies
    }

    fn disconnect(&mut self, connection: ConnectionId, now: Timestamp) {
        let agent = self.routes.agent(connection);
        self.streams.disconnect(connection, now);
        self.set_stream_deadline();
        if let Some(agent) = self.routes.agent(connection) {
            self.census.leave(&agent, self.routes.count(connection));
        }
        self.routes.disconnect(connection);
        if let Some(waiting) = agent.and_then(|agent| self.waiting.get_mut(&agent)) {
            waiting.retain(|waiting| waiting.ticket.connection != connection);
        }
    }

    fn tick(&mut self, plan: &mut Plan) {
        const TIMERS_PER_TICK: usize = 1_000;
        for _ in 0..TIMERS_PER_TICK {
            match self.deadlines.due(plan.at) {
                None => return,
                Some(Owner::Conversation(id)) => self.fire_due(&id, plan),
                Some(Owner::Inbox(agent)) => {
                    self.settle_due(&agent, plan);
                    self.serve_waiting(&agent, plan);
                }
                Some(Owner::Waiter(agent)) => self.end_waiting(&agent, plan),
                Some(Owner::Streams) => self.end_deserted_streams(plan),
            }
        }
    }

    /// Brings a policy into force, and keeps its text.
    fn change_policy(&mut self, policy: Policy, text: String, plan: &mut Plan) {
        let version = policy.version();
        self.view.policy = policy;
        if version != self.state.policy_version {
            let outcome = Outcome::PolicyChanged { version };
            let draft = self.draft_in(Logical::domain(), None, outcome, Body::Text(text));
            self.commit(draft, None, plan);
            self.end_denied_streams(plan);
        }
        plan.effects.push(Effect::PublishView);
    }

    /// A record that stands in one logical log.
    pub(crate) fn draft_in(
        &self,
        log: Logical,
        sender: Option<AgentId>,
        outcome: Outcome,
        body: Body,
    ) -> Draft {
        let seq = self.state.next_number(&log);
        Draft { logs: vec![log.at(seq)], sender, outcome, body, sealed: None }
    }

    /// Seals a record, applies it, and adds it to the plan. The only way state changes.
    pub(crate) fn commit(&mut self, draft: Draft, gist: Option<&Gist>, plan: &mut Plan) -> Header {
        let position = self.next_position();
        let sealed = draft.sealed.unwrap_or_else(|| self.view.sealing.seal(&position, &draft.body));
        let SealedBody { salt, bytes: body, commitment } = sealed;
        let header = Header {
            version: RECORD_VERSION,
            position,
            at: plan.at,
            logs: draft.logs,
            sender: draft.sender,
            outcome: draft.outcome,
            policy_version: self.state.policy_version,
            commitment,
        };
        let record = Record { header, body: draft.body };
        let header = record.header.encoded();
        self.apply(&record, gist);
        plan.records.push(Sealed { position, header, salt, body });
        record.header
    }

    fn apply(&mut self, record: &Record, gist: Option<&Gist>) {
        let bounds = Bounds { dedup_ids_max: self.config.dedup_ids_max };
        self.state.apply(record, gist, &mut self.view.catalog, bounds);
        self.epoch = self.epoch.max(record.header.position.epoch);
        self.view.directory = Arc::clone(&self.state.directory);
        self.view.topics = Arc::clone(&self.state.topics);
        self.view.tokens = Arc::clone(&self.state.tokens);
        self.set_deadlines_of(record);
    }

    fn set_deadlines_of(&mut self, record: &Record) {
        if let Some(step) = record.step() {
            self.set_conversation_deadline(step.conversation);
        }
        let puts = record.puts().iter().map(|put| put.agent);
        let ended = match &record.header.outcome {
            Outcome::Erased(erasure) => erasure.ended.as_slice(),
            _ => &[],
        };
        for agent in puts.chain(record.inbox_changed()).chain(ended.iter().map(|(agent, _)| *agent)) {
            self.set_inbox_deadline(agent);
        }
    }

    fn set_every_deadline(&mut self) {
        if planted::has(Planted::LoseTimer) {
            return;
        }
        let conversations: Vec<_> = self.state.conversations.iter().map(|(id, _)| *id).collect();
        for id in conversations {
            self.set_conversation_deadline(id);
        }
        let agents: Vec<_> = self.state.inboxes.iter().map(|(agent, _)| *agent).collect();
        for agent in agents {
            self.set_inbox_deadline(agent);
        }
    }

    fn set_conversation_deadline(&mut self, id: ConversationId) {
        let deadline = self.state.conversations.next_deadline(&id, &self.view.catalog);
        self.deadlines.set(Owner::Conversation(id), deadline);
    }

    fn set_inbox_deadline(&mut self, agent: AgentId) {
        let deadline = self.state.inboxes.get(&agent).and_then(crate::inbox::Inbox::next_deadline);
        self.deadlines.set(Owner::Inbox(agent), deadline);
    }

    fn next_position(&self) -> Position {
        Position { partition: self.config.partition, epoch: self.epoch, seq: self.next_seq() }
    }

    /// A number never used twice, for the key that the next record tells of.
    pub(crate) fn nonce(&self) -> Digest {
        let position = minicbor::to_vec(self.next_position()).unwrap_or_default();
        Digest::of_parts("openmesh custodial nonce v1", &[&self.config.salt_seed, &position])
    }
}

/// A record before it has a position.
pub(crate) struct Draft {
    pub(crate) logs: Vec<LogSeq>,
    pub(crate) sender: Option<AgentId>,
    pub(crate) outcome: Outcome,
    pub(crate) body: Body,
    /// The body ready to be kept, where that was done before.
    pub(crate) sealed: Option<SealedBody>,
}
