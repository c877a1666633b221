//! What a reader sees of a record it may read: what concerns it, and nothing of its rivals.

use super::{allows, plain_read};
use crate::record::{Body, Outcome, Put, Record, Step, is_shown_to};
use crate::view::View;
use openmesh_message::AgentId;
use openmesh_policy::{Action, StaticContext};
use openmesh_schema::{Cause, Effect, InstanceId, Notice};

/// A record as one who may read it sees it: of a step the moves of the round, of the reader's own instances, and those
/// that the step was told it about; of inboxes the reader's own; of a policy the text only where the reader may
/// administer.
pub fn as_seen_by(view: &View, reader: &AgentId, record: &Record) -> Record {
    let mut seen = record.clone();
    let acted = record.header.sender == Some(*reader)
        || record.puts().iter().any(|put| put.agent == *reader && put.notice.is_none());
    seen.header.logs.retain(|log| is_shown_to(log, reader));
    match &mut seen.header.outcome {
        Outcome::Accepted(accepted) => {
            keep_own(&mut accepted.puts, reader);
            accepted.step.iter_mut().for_each(|step| narrow(step, reader, acted));
        }
        Outcome::Fired { step, puts } => {
            keep_own(puts, reader);
            narrow(step, reader, acted);
        }
        Outcome::PolicyChanged { .. } if !may_administer(view, reader) => seen.body = Body::Empty,
        _ => {}
    }
    seen
}

fn keep_own(puts: &mut Vec<Put>, reader: &AgentId) {
    puts.retain(|put| put.agent == *reader);
}

/// `acted` says whether the reader sent the act or it was put for it: then it sees what the act itself did.
fn narrow(step: &mut Step, reader: &AgentId, acted: bool) {
    let told = std::mem::take(&mut step.notices);
    step.transition.effects.retain(|effect| match effect {
        Effect::Moved { instance, from, to, cause } => {
            concerns(instance, reader)
                || (acted && *cause == Cause::Act)
                || told.iter().any(|notice| is_told(notice, reader, (instance, from, to)))
        }
        Effect::Ended { .. } => true,
        _ => false,
    });
    step.notices = told.into_iter().filter(|notice| notice.readers.contains(reader)).collect();
    for notice in &mut step.notices {
        notice.readers.retain(|told| told == reader);
    }
}

fn concerns(instance: &InstanceId, reader: &AgentId) -> bool {
    instance.agent.is_none_or(|agent| agent == *reader)
}

fn is_told(notice: &Notice, reader: &AgentId, (instance, from, to): (&InstanceId, &str, &str)) -> bool {
    notice.readers.contains(reader) && notice.instance == *instance && notice.from == from && notice.to == to
}

fn may_administer(view: &View, reader: &AgentId) -> bool {
    allows(view, &StaticContext { action: Action::Administer, destination: None, ..plain_read(view, reader) })
}
