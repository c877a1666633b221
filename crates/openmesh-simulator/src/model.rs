//! The reference model: what must be true of a log, kept naively from its records and from nothing else.

mod inboxes;
mod talks;

use crate::census::Census;
use crate::policies::{self, Taken};
use crate::violation::{Violation, ensure};
use inboxes::Inboxes;
use openmesh_core::record::{Accepted, Body, Outcome, Put, Record};
use openmesh_core::{Config, State};
use openmesh_message::json::Document;
use openmesh_message::limits::TIME_WINDOW_MS;
use openmesh_message::{
    AgentId, AgentRef, ControlAttributes, Digest, Envelope, Position, Target, Timestamp, json,
};
use openmesh_policy::Authenticity;
use openmesh_schema::Catalog;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use talks::{Deed, Talks};

/// All that a log says, read naively.
pub(crate) struct Model {
    catalog: Catalog,
    config: Config,
    policies: Vec<Digest>,
    head: Option<Position>,
    numbers: BTreeMap<String, u64>,
    names: BTreeMap<String, AgentId>,
    /// Agents, and the keys that the node keeps for them.
    kept_keys: BTreeSet<(AgentId, AgentId)>,
    /// Tokens that were not revoked: for whom, and until when.
    tokens: BTreeMap<Digest, (AgentId, Timestamp)>,
    policy: Digest,
    taken: BTreeSet<Digest>,
    ids: BTreeMap<(AgentId, String), Timestamp>,
    latest: Timestamp,
    latest_record: Timestamp,
    sent: BTreeSet<Digest>,
    pub(crate) inboxes: Inboxes,
    pub(crate) talks: Talks,
}

/// A message of a record, read once.
pub(crate) struct Message {
    pub(crate) control: ControlAttributes,
    pub(crate) digest: Digest,
    pub(crate) payload_digest: Digest,
    pub(crate) payload: Option<Value>,
    pub(crate) to: Option<AgentId>,
}

impl Model {
    pub(crate) fn new(config: Config) -> Self {
        let files = policies::all();
        Self {
            catalog: Catalog::builtin(),
            config,
            policies: files.iter().map(|file| file.policy.version()).collect(),
            head: None,
            numbers: BTreeMap::new(),
            names: BTreeMap::new(),
            kept_keys: BTreeSet::new(),
            tokens: BTreeMap::new(),
            policy: Digest::ZERO,
            taken: BTreeSet::new(),
            ids: BTreeMap::new(),
            latest: Timestamp::from_millis(0),
            latest_record: Timestamp::from_millis(0),
            sent: BTreeSet::new(),
            inboxes: Inboxes::default(),
            talks: Talks::default(),
        }
    }

    /// The next record it wants.
    pub(crate) fn next_seq(&self) -> u64 {
        self.head.map_or(1, |head| head.seq + 1)
    }

    /// Notes that an agent made a message.
    pub(crate) fn note_sent(&mut self, digest: Digest) {
        self.sent.insert(digest);
    }

    /// Takes in the next record, or says which promise it breaks.
    pub(crate) fn feed(&mut self, record: &Record, census: &mut Census) -> Result<(), Violation> {
        self.check_place(record)?;
        let header = &record.header;
        self.latest_record = self.latest_record.max(header.at);
        match &header.outcome {
            Outcome::Accepted(accepted) => self.feed_message(record, accepted, census)?,
            Outcome::Fired { step, puts } => {
                self.talks.feed(record, None, &self.catalog, census)?;
                self.check_notices(step.conversation, puts)?;
                self.put_all(record, puts, None)?;
            }
            Outcome::Registered { agent, name } => self.feed_name(name, *agent)?,
            Outcome::KeylessRegistered { custody, name, grant } => {
                self.feed_name(name, custody.key)?;
                self.kept_keys.insert((custody.key, custody.key));
                self.tokens.insert(grant.token, (custody.key, grant.expires));
            }
            Outcome::TokenIssued { agent, grant, custody } => {
                self.kept_keys.extend(custody.iter().map(|custody| (*agent, custody.key)));
                self.tokens.insert(grant.token, (*agent, grant.expires));
            }
            Outcome::TokenRevoked { token, .. } => {
                let revoked = self.tokens.remove(token);
                ensure(revoked.is_some(), "a token is revoked once", || token.to_string())?;
            }
            Outcome::PolicyChanged { version } => self.policy = *version,
            Outcome::SchemaPublished { .. } | Outcome::ProtocolPublished { .. } => {
                ensure(
                    matches!(&record.body, Body::Text(text) if !text.is_empty()),
                    "a definition is kept with its text",
                    || header.position.to_string(),
                )?;
            }
            _ => self.inboxes.feed(header, self.config.deliveries_max)?,
        }
        self.head = Some(header.position);
        Ok(())
    }

    /// Compares the core's state with what the log says.
    pub(crate) fn compare(&self, state: &State, next_deadline: Option<Timestamp>) -> Result<(), Violation> {
        ensure(state.head() == self.head, "the state is the log's", || {
            format!("head {:?}, in the log {:?}", state.head(), self.head)
        })?;
        self.compare_tokens(state)?;
        self.inboxes.compare(state)?;
        self.talks.compare(state)?;
        let earliest = self.inboxes.deadline().into_iter().chain(self.talks.deadline()).min();
        ensure(next_deadline == earliest, "no timer is lost", || {
            format!("the next is {next_deadline:?}, in the log {earliest:?}")
        })
    }

    fn check_place(&mut self, record: &Record) -> Result<(), Violation> {
        let header = &record.header;
        let position = header.position;
        let epoch = self.head.map_or(0, |head| head.epoch);
        let begins = matches!(header.outcome, Outcome::EpochBegun { .. });
        ensure(position.seq == self.next_seq(), "records are numbered without a gap", || {
            position.to_string()
        })?;
        ensure(position.epoch == epoch + u32::from(begins), "an epoch begins with its record", || {
            position.to_string()
        })?;
        for log in &header.logs {
            let last = self.numbers.entry(log.log.to_string()).or_default();
            *last += 1;
            ensure(*last == log.seq, "a logical log has no gap", || {
                format!("record {position} is {log}, due was {last}")
            })?;
        }
        ensure(!header.logs.is_empty(), "every record is in a logical log", || position.to_string())?;
        ensure(header.policy_version == self.policy, "a record names the policy in force", || {
            position.to_string()
        })
    }

    fn feed_message(
        &mut self,
        record: &Record,
        accepted: &Accepted,
        census: &mut Census,
    ) -> Result<(), Violation> {
        let message = self.read(record, accepted)?;
        let control = &message.control;
        self.check_policy(record, &message)?;
        match &accepted.step {
            Some(_) => {
                let deed = Deed { message: &message, position: record.header.position };
                self.talks.feed(record, Some(&deed), &self.catalog, census)?;
            }
            None => ensure(control.protocol.is_none(), "an act is a step", || control.id.to_string())?,
        }
        self.check_recipients(&message, accepted)?;
        if let Some(id) = control.conversation {
            let notices: Vec<_> = accepted.puts.iter().filter(|put| put.notice.is_some()).cloned().collect();
            self.check_notices(id, &notices)?;
        }
        self.put_all(record, &accepted.puts, Some(control))
    }

    fn feed_name(&mut self, name: &str, agent: AgentId) -> Result<(), Violation> {
        let before = self.names.insert(name.to_owned(), agent);
        ensure(before.is_none(), "a name is given once", || name.to_owned())
    }

    fn check_proof(
        &self,
        record: &Record,
        envelope: &Envelope,
        source: &AgentId,
        accepted: &Accepted,
    ) -> Result<(), Violation> {
        let at = record.header.position;
        let keyid = envelope.proof.as_ref().map(|proof| *proof.keyid());
        let kept = keyid.is_some_and(|keyid| self.kept_keys.contains(&(*source, keyid)));
        let digest = envelope.digest();
        let signer = keyid.filter(|keyid| kept || keyid == source);
        let holds =
            |signer| envelope.proof.as_ref().is_some_and(|proof| proof.verify(&signer, &digest).is_ok());
        ensure(signer.is_some_and(holds), "every kept message is signed by its sender", || at.to_string())?;
        let expected = if kept { Authenticity::Custodial } else { Authenticity::Signed };
        ensure(
            accepted.authenticity == expected,
            "what the node signs for an agent is kept as custodial",
            || format!("record {at}: by {keyid:?} for {source}, kept as {}", accepted.authenticity),
        )
    }

    /// A token is worth something from when it is issued until it is revoked or expires.
    fn compare_tokens(&self, state: &State) -> Result<(), Violation> {
        let now = self.latest_record;
        for (token, (agent, expires)) in &self.tokens {
            let expected = Some(*agent).filter(|_| *expires > now);
            let found = state.tokens().look_up(token, now).map(|issued| issued.agent);
            ensure(found == expected, "a token stands for its agent until it expires or is revoked", || {
                format!("{token}: {found:?}, by the log {expected:?}")
            })?;
        }
        Ok(())
    }

    /// Every kept message is signed by its sender, was sent, is valid, and is kept once.
    fn read(&mut self, record: &Record, accepted: &Accepted) -> Result<Message, Violation> {
        let at = record.header.position;
        let broken =
            |promise: &'static str, what: String| Violation::new(promise, format!("record {at}: {what}"));
        let envelope =
            record.message().ok_or_else(|| broken("a message taken in is kept", "no message".to_owned()))?;
        let control = ControlAttributes::parse(&envelope.attributes)
            .map_err(|error| broken("a message taken in can be read", error.to_string()))?;
        let digest = envelope.digest();
        self.check_proof(record, envelope, &control.source, accepted)?;
        ensure(record.header.sender == Some(control.source), "a record names the sender", || at.to_string())?;
        ensure(self.sent.contains(&digest), "what is kept was sent", || at.to_string())?;
        ensure(self.taken.insert(digest), "a message is kept once", || {
            format!("record {at}: {} of {} again", control.id, control.source)
        })?;
        self.check_id(record, &control)?;
        let payload = json::parse_strict(&envelope.payload).ok();
        if let Some(pinned) = &control.schema {
            let schema = self.catalog.schema(&pinned.digest);
            let valid = schema
                .zip(payload.as_ref())
                .is_some_and(|(schema, payload)| schema.validate(&Document::of(payload)).is_ok());
            ensure(valid, "every kept payload is valid under its schema", || at.to_string())?;
        }
        let to = match &control.to.target {
            Target::Agent(agent) | Target::Inbox(agent) => match agent {
                AgentRef::Id(id) => Some(*id),
                AgentRef::Name(name) => self.names.get(name.as_str()).copied(),
            },
            Target::Topic(_) | Target::Conversation(_) => None,
        };
        Ok(Message { payload_digest: Digest::of(&envelope.payload), control, digest, payload, to })
    }

    /// An id is used for one message, as long as it can be remembered.
    fn check_id(&mut self, record: &Record, control: &ControlAttributes) -> Result<(), Violation> {
        self.latest = self.latest.max(record.header.at);
        let key = (control.source, control.id.to_string());
        let before = self.ids.insert(key, control.time);
        let window_begins = self.latest.plus_ms(-TIME_WINDOW_MS);
        let few = self.ids.len() > self.config.dedup_ids_max;
        ensure(
            few || before.is_none_or(|before| before < window_begins),
            "an id is used for one message",
            || format!("{} at {}", control.id, record.header.position),
        )
    }

    fn check_policy(&self, record: &Record, message: &Message) -> Result<(), Violation> {
        let control = &message.control;
        let place = self.policies.iter().position(|version| *version == record.header.policy_version);
        let topic = match &control.to.target {
            Target::Topic(topic) => Some(topic.as_str()),
            _ => None,
        };
        let taken = Taken {
            topic,
            performative: control.performative.as_str(),
            role: control.conversation.and_then(|id| self.talks.role_of(&id, &control.source)),
            sender: self.names.iter().find(|(_, agent)| **agent == control.source).map(|(name, _)| &**name),
        };
        let registered = self.names.values().any(|agent| *agent == control.source);
        let forbidden = !registered || place.is_none_or(|place| policies::forbids(place, &taken));
        ensure(!forbidden, "nothing is taken in that the policy in force forbids", || {
            format!("record {}", record.header.position)
        })
    }

    /// A message is put into the inbox of whom it names, of who sees all, and of nobody else.
    fn check_recipients(&self, message: &Message, accepted: &Accepted) -> Result<(), Violation> {
        let control = &message.control;
        let mut due: BTreeSet<AgentId> = BTreeSet::new();
        if let Some(id) = control.conversation {
            let whole = matches!(control.to.target, Target::Conversation(_));
            due.extend(self.talks.readers(&id, whole, &self.catalog));
            due.remove(&control.source);
        }
        due.extend(message.to);
        let puts = accepted.puts.iter().filter(|put| put.notice.is_none());
        let found: BTreeSet<AgentId> = puts.clone().map(|put| put.agent).collect();
        ensure(
            found == due && puts.count() == due.len(),
            "a message reaches its recipients and nobody else",
            || format!("{}: put to {found:?}, due to {due:?}", control.id),
        )
    }

    fn check_notices(
        &self,
        conversation: openmesh_message::ConversationId,
        puts: &[Put],
    ) -> Result<(), Violation> {
        let members = self.talks.readers(&conversation, true, &self.catalog);
        let strange = puts.iter().find(|put| !members.contains(&put.agent));
        ensure(strange.is_none(), "a conversation's notices stay among its members", || {
            format!("{strange:?}")
        })
    }

    fn put_all(
        &mut self,
        record: &Record,
        puts: &[Put],
        control: Option<&ControlAttributes>,
    ) -> Result<(), Violation> {
        for put in puts {
            let log = format!("inbox/{}", put.agent);
            let listed =
                record.header.logs.iter().any(|in_log| *in_log.log.0 == *log && in_log.seq == put.number);
            ensure(listed, "mail bears its number in the inbox's log", || format!("{put:?}"))?;
            let place = (record.header.position.seq, record.header.at);
            self.inboxes.put(place, put, control, self.config.inbox_sender_messages_max)?;
        }
        Ok(())
    }
}
