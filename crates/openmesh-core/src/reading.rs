//! Who may read what: reads are decided too, record by record.

use crate::admit::{destination, send_context};
use crate::command::reads_as;
use crate::partition::Partition;
use crate::record::{Accepted, Body, Outcome, Record};
use crate::view::View;
use openmesh_message::frame::LogFilter;
use openmesh_message::{AgentId, ControlAttributes, ConversationId, Target, Timestamp, TopicPattern};
use openmesh_policy::{Action, Authenticity, Origin, StatefulContext, StaticContext, StaticDecision};
use serde_json::{Value, json};

/// Whether policy lets an agent read a message that goes to a topic it subscribed to.
pub(crate) fn may_receive(
    view: &View,
    reader: &AgentId,
    control: &ControlAttributes,
    authenticity: Authenticity,
) -> bool {
    let sent = send_context(control, authenticity, view);
    let context = StaticContext {
        action: Action::Read,
        agent: *reader,
        agent_name: view.directory.name(reader),
        standing: view.standing(reader),
        destination: Some(destination(&control.to.target, view)),
        ..sent
    };
    allows(view, &context)
}

/// Whether an agent may read a record: it took part in it, or it went to a topic, and policy allows it.
pub fn may_read(view: &View, reader: &AgentId, record: &Record) -> bool {
    let took_part =
        record.header.sender == Some(*reader) || record.puts().iter().any(|put| put.agent == *reader);
    match &record.header.outcome {
        Outcome::Accepted(Accepted { authenticity, .. }) => {
            let control =
                record.message().and_then(|message| ControlAttributes::parse(&message.attributes).ok());
            control.is_some_and(|control| {
                let public = matches!(control.to.target, Target::Topic(_));
                (took_part || public) && may_receive(view, reader, &control, *authenticity)
            })
        }
        Outcome::Refused { .. }
        | Outcome::Fired { .. }
        | Outcome::Leased { .. }
        | Outcome::Extended { .. }
        | Outcome::Settled { .. } => took_part,
        Outcome::Registered { .. }
        | Outcome::SchemaPublished { .. }
        | Outcome::ProtocolPublished { .. }
        | Outcome::TopicsConfigured { .. }
        | Outcome::PolicyChanged { .. }
        | Outcome::EpochBegun { .. } => allows(view, &plain_read(view, reader)),
    }
}

fn plain_read<'a>(view: &'a View, reader: &AgentId) -> StaticContext<'a> {
    let agent_name = view.directory.name(reader);
    StaticContext {
        action: Action::Read,
        agent: *reader,
        agent_name,
        standing: view.standing(reader),
        origin: Origin::Agent,
        authenticity: Authenticity::Connection,
        destination: reads_as(Action::Read, *reader, agent_name),
        performative: None,
        schema: None,
        protocol: None,
    }
}

fn allows(view: &View, context: &StaticContext<'_>) -> bool {
    match view.policy.decide_static(context) {
        StaticDecision::Decided(decision) => decision.allows(),
        StaticDecision::NeedsState => {
            let stateful = StatefulContext { request: *context, role: None, states: &[] };
            view.policy.decide_stateful(&stateful).allows()
        }
    }
}

/// Whether a record is what a filter looks for; everything the filter names must fit.
pub fn matches_filter(record: &Record, filter: &LogFilter) -> bool {
    let logs = &record.header.logs;
    let attribute = |name: &str| record.message().and_then(|message| message.attributes.get(name));
    let refused = match &record.body {
        Body::Refused(refused) => Some(refused),
        _ => None,
    };
    let fits_id = |id: &String| {
        attribute("id") == Some(id) || refused.is_some_and(|refused| refused.id.as_ref() == Some(id))
    };
    let fits_agent = |agent: &AgentId| {
        record.header.sender == Some(*agent) || record.puts().iter().any(|put| put.agent == *agent)
    };
    let fits_topic = |pattern: &String| {
        let pattern = pattern.strip_prefix("topic:").unwrap_or(pattern);
        let topic = logs.iter().find_map(|log| log.log.0.strip_prefix("topic/"));
        let parsed = topic.and_then(|topic| topic.parse().ok()).zip(pattern.parse::<TopicPattern>().ok());
        parsed.is_some_and(|(topic, pattern)| pattern.matches(&topic))
    };
    let fits_conversation = |conversation: &String| {
        let log = format!("conversation/{conversation}");
        logs.iter().any(|in_log| in_log.log.0 == log)
            || refused.is_some_and(|refused| refused.conversation.as_ref() == Some(conversation))
    };
    filter.id.as_ref().is_none_or(fits_id)
        && filter.agent.as_ref().is_none_or(fits_agent)
        && filter.topic.as_ref().is_none_or(fits_topic)
        && filter.conversation.as_ref().is_none_or(fits_conversation)
        && filter.kind.as_deref().is_none_or(|kind| record.header.outcome.kind() == kind)
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
