//! All of a partition that outlives a restart. Changed only by `apply`, which reads a record and never decides.

pub(crate) mod column;
pub(crate) mod compact;
mod gist;
mod logical;
mod stored;

pub(crate) use gist::Gist;
pub(crate) use logical::Logical;

use crate::conversation::{Conversation, Conversations};
use crate::dedup::{Dedup, Remembered};
use crate::directory::topics::{Shelved, Shelves, Topics};
use crate::directory::{Directory, Tokens};
use crate::inbox::{Entry, EntryState, Inbox, Inboxes, bytes_in_reply_at_most};
use crate::partition::upkeep::LogUpkeep;
use crate::planted::{self, Planted};
use crate::record::{Body, Outcome, Record};
use openmesh_message::frame::InboxCounts;
use openmesh_message::json::Document;
use openmesh_message::{AgentId, ControlAttributes, ConversationId, Digest, Envelope, LogName, Position};
use openmesh_schema::Catalog;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The version of the snapshot format; a newer one is refused.
pub(crate) const STATE_VERSION: u16 = 3;

/// All of a partition that outlives a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// [`STATE_VERSION`].
    pub(crate) version: u16,
    /// The last record applied.
    pub(crate) head: Option<Position>,
    /// The last number given in each logical log but those of inboxes, which know theirs.
    pub(crate) numbers: BTreeMap<LogName, u64>,
    #[serde(skip)]
    pub(crate) directory: Arc<Directory>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) shelves: Arc<Shelves>,
    /// Stored forms of what was published here, in order.
    pub(crate) definitions: Vec<StoredDefinition>,
    /// The policy in force.
    pub(crate) policy_version: Digest,
    #[serde(skip)]
    pub(crate) dedup: Dedup,
    pub(crate) conversations: Conversations,
    #[serde(skip)]
    pub(crate) inboxes: Inboxes,
    pub(crate) tokens: Arc<Tokens>,
    #[serde(default)]
    pub(crate) upkeep: Arc<LogUpkeep>,
}

/// A schema or protocol that was published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum StoredDefinition {
    Schema { name: String, stored: String },
    Protocol { stored: String },
}

/// What a record's message says, read once.
pub(crate) struct Facts {
    pub(crate) control: ControlAttributes,
    pub(crate) digest: Digest,
    pub(crate) payload: Option<Arc<Document>>,
}

/// Limits that `apply` keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) dedup_ids_max: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: STATE_VERSION,
            head: None,
            numbers: BTreeMap::new(),
            directory: Arc::default(),
            topics: Arc::default(),
            shelves: Arc::default(),
            definitions: Vec::new(),
            policy_version: Digest::ZERO,
            dedup: Dedup::default(),
            conversations: Conversations::default(),
            inboxes: Inboxes::default(),
            tokens: Arc::default(),
            upkeep: Arc::default(),
        }
    }
}

impl Facts {
    /// Reads what a kept message says; it was valid when it was taken in.
    pub(crate) fn of(envelope: &Envelope) -> Option<Self> {
        let control = ControlAttributes::parse(&envelope.attributes).ok()?;
        let payload = Document::read(&envelope.payload).ok().map(Arc::new);
        Some(Self { control, digest: envelope.digest(), payload })
    }
}

impl State {
    /// The inbox of each agent that has one.
    pub fn inboxes(&self) -> impl Iterator<Item = (&AgentId, &Inbox)> {
        self.inboxes.iter()
    }

    /// What all inboxes count together.
    pub const fn mail(&self) -> InboxCounts {
        self.inboxes.total()
    }

    /// The tokens that stand for agents.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Every conversation, by id.
    pub fn conversations(&self) -> impl Iterator<Item = (&ConversationId, &Conversation)> {
        self.conversations.iter()
    }

    /// How many conversations have not ended.
    pub const fn open_conversations(&self) -> usize {
        self.conversations.open()
    }

    /// How many message ids are remembered of each sender, to recognise repeats.
    pub fn remembered_ids(&self) -> impl Iterator<Item = (&AgentId, usize)> {
        self.dedup.counts()
    }

    /// What is to be done to the log, and was.
    pub const fn upkeep(&self) -> &Arc<LogUpkeep> {
        &self.upkeep
    }

    /// The last record applied.
    pub const fn head(&self) -> Option<Position> {
        self.head
    }

    /// The next number of a logical log.
    pub(crate) fn next_number(&self, log: &Logical) -> u64 {
        let last = match log {
            Logical::Named(name) => self.numbers.get(name).copied(),
            Logical::Inbox(agent) => self.inboxes.get(agent).map(|inbox| inbox.last_numbers().0),
            Logical::InboxEvents(agent) => self.inboxes.get(agent).map(|inbox| inbox.last_numbers().1),
        };
        last.unwrap_or_default() + 1
    }

    /// Notes which numbers a record has in the logical logs it is in.
    fn note_numbers(&mut self, record: &Record) {
        for log in record.header.logs.iter().filter(|log| !Logical::is_of_inbox(log)) {
            match self.numbers.get_mut(&log.log) {
                Some(number) => *number = log.seq,
                None => _ = self.numbers.insert(log.log.clone(), log.seq),
            }
        }
        for put in record.puts() {
            self.inboxes.change(put.agent, |inbox| inbox.note_put(put.number));
        }
        if let (Some(agent), Some(log)) = (record.inbox_changed(), record.header.logs.first()) {
            self.inboxes.change(agent, |inbox| inbox.note_event(log.seq));
        }
    }

    /// Applies a record; `gist` is that of its message.
    pub(crate) fn apply(
        &mut self,
        record: &Record,
        gist: Option<&Gist>,
        catalog: &mut Catalog,
        bounds: Bounds,
    ) {
        self.head = Some(record.header.position);
        self.note_numbers(record);
        let at = record.header.at;
        match &record.header.outcome {
            Outcome::Accepted(_) => match gist {
                Some(gist) => self.apply_message(record, gist, catalog, bounds),
                None if record.is_erased() => self.apply_erased(record, catalog),
                None => {}
            },
            Outcome::Fired { step, .. } => {
                self.conversations.apply(step, None, catalog);
                self.put_all(record, None);
            }
            Outcome::Leased { agent, token, until, numbers } => {
                self.inboxes.change(*agent, |inbox| inbox.lease(*token, *until, numbers));
            }
            Outcome::Extended { agent, token, until } => {
                self.inboxes.change(*agent, |inbox| inbox.extend(*token, *until));
            }
            Outcome::Settled { agent, settlement } => {
                self.inboxes.change(*agent, |inbox| inbox.settle(settlement, at));
            }
            Outcome::Recalled { agent, number } => {
                self.inboxes.change(*agent, |inbox| inbox.recall(*number));
            }
            Outcome::Erased(erasure) => {
                for (agent, number) in &erasure.ended {
                    self.inboxes.change(*agent, |inbox| inbox.recall(*number));
                }
                Arc::make_mut(&mut self.upkeep).note(record);
            }
            Outcome::Checkpoint(_) | Outcome::ErasureDone { .. } => {
                Arc::make_mut(&mut self.upkeep).note(record);
            }
            Outcome::PolicyChanged { version } => self.policy_version = *version,
            Outcome::Refused { .. } | Outcome::EpochBegun { .. } => {}
            administrative => self.apply_administrative(record, administrative, catalog),
        }
    }

    fn apply_message(&mut self, record: &Record, gist: &Gist, catalog: &Catalog, bounds: Bounds) {
        let seq = record.header.position.seq;
        let Gist { sender, id, check, time, .. } = gist;
        let remembered = Remembered { sender, id: *id, check: *check, seq, time: *time };
        self.dedup.remember(remembered, bounds.dedup_ids_max, record.header.at);
        if let Some(step) = record.step() {
            self.conversations.apply(step, gist.payload.as_deref(), catalog);
        }
        self.put_all(record, Some(gist));
        self.shelve(record, gist);
    }

    /// What the header alone says of a message whose body was erased. Only a log that lost every checkpoint is read so far
    /// back: what the body said of repeats, urgency and time is then not known.
    fn apply_erased(&mut self, record: &Record, catalog: &Catalog) {
        if let Some(step) = record.step() {
            self.conversations.apply(step, None, catalog);
        }
        self.put_all(record, None);
        let topic = record.topic().and_then(|topic| topic.parse().ok());
        if let (Some(topic), Some(in_topic)) = (topic, record.header.logs.first()) {
            let retention = self.topics.of(&topic).map(|(_, setting)| setting.retention).unwrap_or_default();
            let shelved = Shelved { number: in_topic.seq, bytes: 0, at: record.header.at };
            Arc::make_mut(&mut self.shelves).put(&topic, shelved, &retention);
        }
    }

    /// Counts a message of a pinned topic.
    fn shelve(&mut self, record: &Record, gist: &Gist) {
        let (Some(topic), Some(in_topic)) = (&gist.topic, record.header.logs.first()) else {
            return;
        };
        let retention = self.topics.of(topic).map(|(_, setting)| setting.retention).unwrap_or_default();
        let shelved = Shelved { number: in_topic.seq, bytes: gist.bytes(), at: record.header.at };
        Arc::make_mut(&mut self.shelves).put(topic, shelved, &retention);
    }

    /// Makes the entries a record lists; `gist` is that of its message.
    fn put_all(&mut self, record: &Record, gist: Option<&Gist>) {
        for put in record.puts() {
            let own = gist.filter(|_| put.notice.is_none());
            let not_before = own.and_then(|gist| gist.not_before);
            let waits =
                not_before.filter(|time| *time > record.header.at && !planted::has(Planted::IgnoreDelay));
            let notice_bytes = || gist.map_or_else(|| bytes_in_reply_at_most(0), Gist::notice_bytes_in_reply);
            let entry = Entry {
                seq: record.header.position.seq,
                notice: put.notice,
                bytes: own.map_or_else(notice_bytes, |gist| gist.bytes_in_reply(&record.header)),
                priority: own.map(|gist| gist.priority).unwrap_or_default(),
                expiry: own.and_then(|gist| gist.expiry),
                attempts: 0,
                state: waits.map_or(EntryState::Ready, EntryState::Delayed),
                sender: own.map(|gist| gist.sender),
                is_act: own.is_some_and(|gist| gist.is_act),
            };
            self.inboxes.change(put.agent, |inbox| inbox.put(put.number, &entry));
        }
    }

    fn apply_administrative(&mut self, record: &Record, outcome: &Outcome, catalog: &mut Catalog) {
        let text = match &record.body {
            Body::Text(text) => text.as_str(),
            _ => "",
        };
        let seq = record.header.position.seq;
        match outcome {
            Outcome::Registered { .. } => Arc::make_mut(&mut self.directory).note(record),
            Outcome::KeylessRegistered { custody, grant, .. } => {
                Arc::make_mut(&mut self.directory).note(record);
                Arc::make_mut(&mut self.tokens).issue(custody.key, grant.clone(), record.header.at);
            }
            Outcome::TokenIssued { agent, grant, .. } => {
                Arc::make_mut(&mut self.directory).note(record);
                Arc::make_mut(&mut self.tokens).issue(*agent, grant.clone(), record.header.at);
            }
            Outcome::TokenRevoked { token, .. } => Arc::make_mut(&mut self.tokens).revoke(token),
            Outcome::TopicsConfigured { pattern, pinned } => {
                if let Ok(pattern) = pattern.parse() {
                    Arc::make_mut(&mut self.topics).set(pattern, *pinned, None, seq);
                }
            }
            Outcome::TopicsSet { pattern, pinned, retention } => {
                if let Ok(pattern) = pattern.parse() {
                    Arc::make_mut(&mut self.topics).set(pattern, *pinned, Some(*retention), seq);
                }
            }
            Outcome::SchemaPublished { name } => {
                let definition = StoredDefinition::Schema { name: name.clone(), stored: text.to_owned() };
                definition.publish(catalog);
                self.definitions.push(definition);
            }
            Outcome::ProtocolPublished { .. } => {
                let definition = StoredDefinition::Protocol { stored: text.to_owned() };
                definition.publish(catalog);
                self.definitions.push(definition);
            }
            _ => {}
        }
    }
}

impl StoredDefinition {
    /// Puts a definition that was checked when it was published into a catalog.
    pub(crate) fn publish(&self, catalog: &mut Catalog) {
        let published = match self {
            Self::Schema { name, stored } => name
                .parse::<openmesh_message::PinnedName>()
                .ok()
                .and_then(|pinned| catalog.check_schema(&pinned.versioned, stored.as_bytes()).ok())
                .and_then(|schema| catalog.with_schema(schema).ok()),
            Self::Protocol { stored } => catalog
                .check_protocol(stored.as_bytes(), openmesh_message::Authority::OpenMesh)
                .ok()
                .and_then(|(protocol, _)| catalog.with_protocol(protocol).ok()),
        };
        if let Some(published) = published {
            *catalog = published;
        }
    }
}
