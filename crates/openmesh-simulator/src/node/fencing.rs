//! Fencing tokens: a command that names a token under which nothing is leased must be refused.

use crate::violation::{Violation, ensure};
use openmesh_core::{ConnectionId, Effect, EntryState, Input, Partition, Plan, Ticket};
use openmesh_message::AgentId;
use openmesh_message::frame::{Command, Reply};
use std::collections::BTreeMap;

/// The ticket of a command that must be refused, if the input is one.
pub(super) fn outsider(
    input: &Input,
    agents: &BTreeMap<ConnectionId, AgentId>,
    partition: &Partition,
) -> Option<Ticket> {
    let Input::Command { ticket, command } = input else {
        return None;
    };
    let (Command::Ack { token, .. } | Command::Nack { token, .. } | Command::Extend { token, .. }) =
        &**command
    else {
        return None;
    };
    let agent = agents.get(&ticket.connection)?;
    let mut inboxes = partition.state().inboxes();
    let inbox = inboxes.find(|(owner, _)| *owner == agent).map(|(_, inbox)| inbox);
    let under = |state: EntryState| matches!(state, EntryState::Leased(held, _) if held == *token);
    let held = inbox.is_some_and(|inbox| inbox.entries().any(|(_, entry)| under(entry.state)));
    (!held).then_some(*ticket)
}

/// Whether it was refused.
pub(super) fn check(outsider: Option<Ticket>, plan: &Plan) -> Result<(), Violation> {
    let Some(ticket) = outsider else {
        return Ok(());
    };
    let done = Effect::Reply(ticket, Ok(Reply::Done));
    ensure(!plan.effects.contains(&done), "only its token ends or extends a lease", || format!("{ticket:?}"))
}
