//! What a reader sees of a record it may read: what concerns it, and nothing of its rivals.

use super::{Audience, allows, plain_read};
use crate::record::{Body, Header, InboxLog, Outcome, Put, Record, Step};
use crate::view::View;
use openmesh_message::AgentId;
use openmesh_policy::{Action, StaticContext};
use openmesh_schema::{Cause, Effect, InstanceId, Label, Notice};

/// A record as one who may read it sees it: of a step the moves of the round, of the reader's own instances, and those
/// that the step was told it about; of inboxes the reader's own, and those that its own message was put into; of a policy
/// the text only where the reader may administer. To whom a record brought a notice alone, it shows the notice: neither
/// the message that led to it nor who sent it.
pub fn as_seen_by(view: &View, reader: &AgentId, record: &Record) -> Record {
    let mut seen = record.clone();
    if narrow(view, (reader, &InboxLog::of(reader)), &mut seen.header).hides_body {
        seen.body = Body::Empty;
    }
    seen
}

/// What a header was narrowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Narrowed {
    /// Whether the body is not for the reader.
    pub(super) hides_body: bool,
    /// Whether anything is hidden that a filter looks at.
    pub(super) hides_any: bool,
}

/// Leaves in a header what its reader is to see.
pub(super) fn narrow(view: &View, (reader, inbox): (&AgentId, &InboxLog), header: &mut Header) -> Narrowed {
    let sent = header.sender == Some(*reader);
    let got = header.puts().iter().any(|put| put.agent == *reader && put.notice.is_none());
    let (logs, puts) = (header.logs.len(), header.puts().len());
    let is_among_parties = Audience::of(header) == Audience::Parties;
    if !sent {
        header.logs.retain(|log| inbox.is_shown(log));
    }
    let shown = |put: &Put| put.agent == *reader || (sent && put.notice.is_none());
    let mut hides_body = false;
    match &mut header.outcome {
        Outcome::Accepted(accepted) => {
            accepted.puts.retain(shown);
            accepted.step.iter_mut().for_each(|step| narrow_step(step, reader, sent || got));
            if !sent && !got && is_among_parties {
                header.sender = None;
                hides_body = true;
            }
        }
        Outcome::Fired { step, puts } => {
            puts.retain(shown);
            narrow_step(step, reader, got);
        }
        Outcome::Erased(erasure) if !sent => erasure.ended.retain(|(agent, _)| agent == reader),
        Outcome::PolicyChanged { .. } => hides_body = !may_administer(view, reader),
        _ => {}
    }
    let is_erasure = matches!(header.outcome, Outcome::Erased(_));
    let hides_any = hides_body || is_erasure || header.logs.len() < logs || header.puts().len() < puts;
    Narrowed { hides_body, hides_any }
}

/// `acted` says whether the reader sent the act or it was put for it: then it sees what the act itself did.
fn narrow_step(step: &mut Step, reader: &AgentId, acted: bool) {
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

fn is_told(notice: &Notice, reader: &AgentId, (instance, from, to): (&InstanceId, &Label, &Label)) -> bool {
    notice.readers.contains(reader)
        && notice.instance == *instance
        && notice.from == *from
        && notice.to == *to
}

fn may_administer(view: &View, reader: &AgentId) -> bool {
    allows(view, &StaticContext { action: Action::Administer, destination: None, ..plain_read(view, reader) })
}
