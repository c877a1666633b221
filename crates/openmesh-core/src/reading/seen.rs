//! What a reader sees of a record it may read: what concerns it, and nothing of its rivals.

use super::{Audience, allows, plain_read};
use crate::record::{Body, Outcome, Put, Record, Step, is_shown_to};
use crate::view::View;
use openmesh_message::AgentId;
use openmesh_policy::{Action, StaticContext};
use openmesh_schema::{Cause, Effect, InstanceId, Notice};

/// A record as one who may read it sees it: of a step the moves of the round, of the reader's own instances, and those
/// that the step was told it about; of inboxes the reader's own, and those that its own message was put into; of a policy
/// the text only where the reader may administer. To whom a record brought a notice alone, it shows the notice: neither
/// the message that led to it nor who sent it.
pub fn as_seen_by(view: &View, reader: &AgentId, record: &Record) -> Record {
    let sent = record.header.sender == Some(*reader);
    let got = record.puts().iter().any(|put| put.agent == *reader && put.notice.is_none());
    let mut seen = record.clone();
    if !sent {
        seen.header.logs.retain(|log| is_shown_to(log, reader));
    }
    let shown = |put: &Put| put.agent == *reader || (sent && put.notice.is_none());
    match &mut seen.header.outcome {
        Outcome::Accepted(accepted) => {
            accepted.puts.retain(shown);
            accepted.step.iter_mut().for_each(|step| narrow(step, reader, sent || got));
            if !sent && !got && Audience::of(record) == Audience::Parties {
                seen.header.sender = None;
                seen.body = Body::Empty;
            }
        }
        Outcome::Fired { step, puts } => {
            puts.retain(shown);
            narrow(step, reader, got);
        }
        Outcome::Erased(erasure) if !sent => erasure.ended.retain(|(agent, _)| agent == reader),
        Outcome::PolicyChanged { .. } if !may_administer(view, reader) => seen.body = Body::Empty,
        _ => {}
    }
    seen
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
