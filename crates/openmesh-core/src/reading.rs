//! Who may read what: reads are decided too, record by record.

mod looking;
mod matcher;
mod readership;
mod receivers;
mod seen;
mod terms;

pub use looking::{Looking, Stored};
pub use matcher::Matcher;
pub use seen::as_seen_by;
pub use terms::{Sought, Term, Terms};

use crate::admit::destination;
use crate::command::reads_as;
use crate::partition::Partition;
use crate::record::{Header, Outcome, Record};
use crate::view::View;
use openmesh_message::{AgentId, ConversationId, Target, Timestamp, TopicPath};
use openmesh_policy::{
    Action, Authenticity, Decision, Origin, StatefulContext, StaticContext, StaticDecision,
};
use readership::Readership;
pub(crate) use receivers::Receivers;
use serde_json::{Value, json};

/// Who reads a record, before policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// A message to a topic: whoever may read the topic.
    Topic,
    /// Those who took part.
    Parties,
    /// What concerns the whole domain: its members.
    Domain,
}

impl Audience {
    /// That of a record.
    pub(crate) fn of(header: &Header) -> Self {
        match &header.outcome {
            Outcome::Accepted(_) if header.topic().is_some() => Self::Topic,
            Outcome::Accepted(_)
            | Outcome::Refused { .. }
            | Outcome::Fired { .. }
            | Outcome::Leased { .. }
            | Outcome::Extended { .. }
            | Outcome::Settled { .. }
            | Outcome::TokenIssued { .. }
            | Outcome::TokenRevoked { .. }
            | Outcome::Erased(_)
            | Outcome::Recalled { .. } => Self::Parties,
            Outcome::Registered { .. }
            | Outcome::KeylessRegistered { .. }
            | Outcome::SchemaPublished { .. }
            | Outcome::ProtocolPublished { .. }
            | Outcome::TopicsConfigured { .. }
            | Outcome::TopicsSet { .. }
            | Outcome::PolicyChanged { .. }
            | Outcome::Checkpoint(_)
            | Outcome::ErasureDone { .. }
            | Outcome::EpochBegun { .. } => Self::Domain,
        }
    }
}

impl Audience {
    /// That of every record of a kind; `None` for messages, whose destination decides, and for kinds unknown.
    pub(crate) fn of_kind(kind: &str) -> Option<Self> {
        Some(match kind {
            "refused" | "fired" | "leased" | "extended" | "settled" | "recalled" | "token"
            | "token_revoked" | "erased" => Self::Parties,
            "registered" | "schema" | "protocol" | "topics" | "policy" | "epoch" | "checkpoint"
            | "erasure_done" => Self::Domain,
            _ => return None,
        })
    }
}

/// Whoever took part in a record: caused it, got something into an inbox by it, or is whom it is about.
pub(crate) fn parties(header: &Header) -> impl Iterator<Item = &AgentId> {
    let about = match &header.outcome {
        Outcome::TokenIssued { agent, .. }
        | Outcome::TokenRevoked { agent, .. }
        | Outcome::Recalled { agent, .. } => Some(agent),
        _ => None,
    };
    let ended = match &header.outcome {
        Outcome::Erased(erasure) => erasure.ended.as_slice(),
        _ => &[],
    };
    let puts = header.puts().iter().map(|put| &put.agent);
    header.sender.iter().chain(puts).chain(about).chain(ended.iter().map(|(agent, _)| agent))
}

/// Whether an agent may read a record at `now`: it took part in it, or it went to a topic that still hands it out, and
/// policy allows it.
pub fn may_read(view: &View, reader: &AgentId, record: &Record, now: Timestamp) -> bool {
    Readership::new(view, *reader).may_read(record, now)
}

/// Whether an agent may ask the log for the messages of a topic at all: as it would be let subscribe to it.
pub fn may_ask_for(view: &View, reader: &AgentId, topic: TopicPath) -> bool {
    let target = Target::Topic(topic);
    allows(view, &StaticContext { destination: Some(destination(&target, view)), ..plain_read(view, reader) })
}

pub(crate) fn plain_read<'a>(view: &'a View, reader: &AgentId) -> StaticContext<'a> {
    let (standing, agent_name) = view.known_as(reader);
    StaticContext {
        action: Action::Read,
        agent: *reader,
        agent_name,
        standing,
        origin: Origin::Agent,
        authenticity: Authenticity::Connection,
        destination: reads_as(Action::Read, *reader, agent_name),
        performative: None,
        schema: None,
        protocol: None,
    }
}

fn allows(view: &View, context: &StaticContext<'_>) -> bool {
    decided(view, context).allows()
}

/// What policy says where no conversation is at hand.
pub(crate) fn decided(view: &View, context: &StaticContext<'_>) -> Decision {
    match view.policy.decide_static(context) {
        StaticDecision::Decided(decision) => decision,
        StaticDecision::NeedsState => {
            let stateful = StatefulContext { request: *context, role: None, states: &[] };
            view.policy.decide_stateful(&stateful)
        }
    }
}

/// What a member is shown of a conversation.
pub(crate) fn conversation_row(
    partition: &Partition,
    id: &ConversationId,
    agent: &AgentId,
    now: Timestamp,
) -> Option<Value> {
    let state = partition.state.conversations.get(id)?;
    let protocol = partition.view.catalog.protocol(&state.protocol.digest)?;
    let allowed_next = protocol.allowed_next(state, agent, now);
    let all = protocol.may_read_all(state, agent);
    let instances = state.instances.iter().filter(|slot| all || slot.agent == *agent);
    let instances: Vec<_> = instances
        .map(|slot| json!({"machine": slot.machine, "agent": slot.agent, "state": slot.instance.state}))
        .collect();
    let duties =
        protocol.obligations(state).iter().filter(|duty| all || duty.agent == *agent || duty.to == *agent);
    let duties: Vec<_> = duties
        .map(|duty| json!({"owes": duty.agent, "to": duty.to, "must": duty.must, "by": duty.by.to_string()}))
        .collect();
    Some(json!({
        "conversation": id,
        "protocol": state.protocol.versioned,
        "opened": state.opened.map(|time| time.to_string()),
        "state": state.round.state,
        "ended": state.ended.map(|outcome| outcome.as_str()),
        "role": state.role_of(agent),
        "members": state.bound.iter().map(|bound| json!({"agent": bound.agent, "role": bound.role})).collect::<Vec<_>>(),
        "instances": instances,
        "owed": duties,
        "allowed_next": allowed_next,
    }))
}

#[cfg(test)]
mod tests {
    use super::may_read;
    use crate::directory::Directory;
    use crate::record::{Accepted, Body, Header, Outcome, Put, RECORD_VERSION, Record};
    use crate::view::View;
    use openmesh_message::{
        Address, AgentRef, Digest, DomainId, Draft, KeyPair, Performative, Position, Target, Timestamp,
    };
    use openmesh_policy::{Authenticity, Policy};
    use openmesh_schema::Catalog;
    use std::sync::Arc;

    const HOME: DomainId = DomainId::from_bytes([1; 32]);
    const NOW: Timestamp = Timestamp::from_millis(0);

    fn key(seed: u8) -> KeyPair {
        KeyPair::from_seed(&[seed; 32]).unwrap()
    }

    fn view() -> View {
        let mut directory = Directory::default();
        for (seed, name) in [(1, "sender"), (2, "receiver"), (3, "auditor"), (4, "other")] {
            directory.register(key(seed).id(), name.parse().unwrap(), NOW);
        }
        View {
            domain: HOME,
            catalog: Catalog::empty(),
            policy: Policy::default_closed(),
            directory: Arc::new(directory),
            topics: Arc::default(),
            shelves: Arc::default(),
            sealing: crate::record::Sealing::new([0; 32]),
            tokens: Arc::default(),
            identity: crate::view::Identity::default(),
        }
    }

    #[test]
    fn a_message_to_an_agent_is_read_again_by_its_sender_and_those_it_was_put_for_alone() {
        let to = Address::new(HOME, Target::Agent(AgentRef::Name("receiver".parse().unwrap())));
        let message = Draft::new("1", NOW, &to, &Performative::Inform).sign(&key(1)).unwrap();
        let puts = [2, 3].map(|seed| Put { agent: key(seed).id(), number: 1, notice: None });
        let accepted = Accepted {
            authenticity: Authenticity::Signed,
            rule: "members-send".into(),
            step: None,
            puts: puts.to_vec(),
        };
        let header = Header {
            version: RECORD_VERSION,
            position: Position::default(),
            at: NOW,
            logs: Vec::new(),
            sender: Some(key(1).id()),
            outcome: Outcome::Accepted(accepted),
            policy_version: Digest::ZERO,
            commitment: Digest::ZERO,
        };
        let record = Record { header, body: Body::Message(Arc::new(message)) };
        let readers = [1, 2, 3, 4].map(|seed| may_read(&view(), &key(seed).id(), &record, NOW));
        assert_eq!(readers, [true, true, true, false]);
    }
}
