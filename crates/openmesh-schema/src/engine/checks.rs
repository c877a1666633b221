//! Whether a move that fits may be taken: turn, count, addressee, parents, signatures, payload rules, guard.

use super::Refusal;
use super::matching::{Candidate, addressed, move_key};
use super::scope::View;
use super::work::deadline;
use crate::conversation::{Act, ActTarget, ConversationState, IllegalKind, Instance};
use crate::definition::{Binds, Definition, Label};
use crate::protocol::Protocol;
use openmesh_message::{Performative, Timestamp};

type Checked = Result<(), Refusal>;

pub(super) fn check(
    protocol: &Protocol,
    state: &ConversationState,
    act: &Act<'_>,
    candidate: &Candidate<'_>,
    now: Timestamp,
) -> Checked {
    let instance = state.instance(&candidate.id);
    check_turn(instance, act, candidate)?;
    check_count(instance, candidate)?;
    check_recipient(protocol, state, act, candidate)?;
    check_parents(instance, act)?;
    if candidate.one.signatures_all && act.custodial && !candidate.one.custodial_allowed {
        let detail = "a signature by a key that the node keeps does not count here";
        return Err(Refusal::new(IllegalKind::CustodialSignature, detail));
    }
    let variable = candidate.variable(protocol);
    let view = View { state, instance, act: variable.zip(act.payload) };
    check_correlation(protocol, &view)?;
    check_requirement(protocol, &view)?;
    check_guard(protocol, &view, candidate)?;
    match deadline(protocol, &candidate.id.machine, &candidate.one.next, &view, now) {
        Ok(_) => Ok(()),
        Err(detail) => Err(Refusal::new(IllegalKind::TimerUnusable, detail)),
    }
}

/// Invitations name invited roles, one role an agent, as many as the role takes.
pub(super) fn check_invites(definition: &Definition, act: &Act<'_>) -> Checked {
    let bad = |detail: String| Err(Refusal::new(IllegalKind::BadInvitation, detail));
    for (place, (role, agent)) in act.invites.iter().enumerate() {
        if definition.roles.get(role.as_str()).is_none_or(|role| role.binds != Binds::Invited) {
            return bad(format!("`{role}` is no role that one is invited to"));
        }
        let earlier = act.invites.iter().take(place);
        if *agent == act.sender || earlier.clone().any(|(_, other)| other == agent) {
            return bad(format!("{agent} would have two roles"));
        }
    }
    for (name, role) in &definition.roles {
        let invited = act.invites.iter().filter(|(role, _)| **role == **name).count();
        let few = invited < role.count.min as usize;
        let many = role.count.max.is_some_and(|max| invited > max as usize);
        if role.binds == Binds::Invited && (few || many) {
            return bad(format!("{invited} agents are invited as `{name}`"));
        }
    }
    Ok(())
}

pub(super) fn check_turn(instance: Option<&Instance>, act: &Act<'_>, candidate: &Candidate<'_>) -> Checked {
    let last = instance.and_then(|instance| instance.last_mover);
    if candidate.one.turn_other && last == Some(act.sender) {
        let detail = "the sender made the last move: it is the other's turn";
        return Err(Refusal::new(IllegalKind::OutOfTurn, detail));
    }
    Ok(())
}

fn check_count(instance: Option<&Instance>, candidate: &Candidate<'_>) -> Checked {
    let taken = |key| instance.and_then(|instance| instance.taken.get(&key)).copied();
    match candidate.one.max {
        Some(max) if taken(move_key(candidate.state, candidate.index)).unwrap_or(0) >= max => {
            let detail =
                format!("`{}` was done {max} times, as often as allowed", candidate.one.performative);
            Err(Refusal::new(IllegalKind::TooMany, detail))
        }
        _ => Ok(()),
    }
}

/// Where others move in the machine too, they must see the act: it goes to one of them or to all.
fn check_recipient(
    protocol: &Protocol,
    state: &ConversationState,
    act: &Act<'_>,
    candidate: &Candidate<'_>,
) -> Checked {
    let opening = state.opened.is_some() && state.round.last_mover.is_none();
    if opening || act.to == ActTarget::Conversation {
        return Ok(());
    }
    let mut counterparts = counterparts(protocol, &candidate.id.machine, candidate.role).peekable();
    if counterparts.peek().is_none() {
        return Ok(());
    }
    let is_counterpart = |role: &Label| counterparts.clone().any(|one| one == role);
    let concerned = addressed(act).filter(|agent| *agent != act.sender).is_some_and(|agent| {
        state.role_of(&agent).is_some_and(is_counterpart)
            || protocol.may_join(state, &agent).any(is_counterpart)
    });
    if concerned {
        return Ok(());
    }
    let roles: Vec<&str> = counterparts.map(|role| &**role).collect();
    let detail = format!("address it to an agent bound as {}, or to the conversation", roles.join(" or "));
    Err(Refusal::new(IllegalKind::WrongRecipient, detail))
}

/// The roles that must see what `role` does in a machine.
pub(super) fn counterparts<'p>(
    protocol: &'p Protocol,
    name: &str,
    role: &'p str,
) -> impl Iterator<Item = &'p Label> + Clone {
    let Definition { roles, machines, .. } = protocol.definition();
    let several = roles.get(role).is_some_and(|found| !found.count.is_single());
    let beside = several && machines.get(name).is_some_and(|machine| machine.per.is_none());
    protocol.rules().movers(name).iter().filter(move |mover| ***mover != *role || beside)
}

fn check_parents(instance: Option<&Instance>, act: &Act<'_>) -> Checked {
    if !answers_offer(act.performative) {
        return Ok(());
    }
    match instance.and_then(|instance| instance.offer) {
        Some(offer) if act.parents.contains(&offer) => Ok(()),
        Some(offer) => {
            let detail = format!("`parents` must name the latest offer, {offer}");
            Err(Refusal::new(IllegalKind::WrongParent, detail))
        }
        None => Err(Refusal::new(IllegalKind::WrongParent, "there is no offer to answer")),
    }
}

/// Whether an act answers an offer, which it then names.
pub(super) fn answers_offer(act: &Performative) -> bool {
    matches!(act, Performative::AcceptProposal | Performative::RejectProposal)
}

/// Whether an act is an offer, which can be accepted or rejected.
pub(super) fn is_offer(act: &Performative) -> bool {
    matches!(act, Performative::Propose | Performative::CounterPropose)
}

fn check_correlation(protocol: &Protocol, view: &View<'_>) -> Checked {
    let Some((variable, payload)) = view.act else {
        return Ok(());
    };
    let Some(pointer) = protocol.rules().correlated(variable) else {
        return Ok(());
    };
    let broken = |detail: String| Err(Refusal::new(IllegalKind::CorrelationBroken, detail));
    match (payload.pointer(pointer), &view.state.correlation) {
        (None, _) => broken(format!("`{pointer}` is missing")),
        (Some(found), Some(expected)) if found != *expected => {
            broken(format!("`{pointer}` must be {expected}, as in this conversation so far"))
        }
        _ => Ok(()),
    }
}

fn check_requirement(protocol: &Protocol, view: &View<'_>) -> Checked {
    let Some((variable, _)) = view.act else {
        return Ok(());
    };
    let Some(expression) = protocol.rules().required(variable) else {
        return Ok(());
    };
    let text = || {
        let mut texts = protocol.definition().require.iter();
        let text = texts.find(|(name, _)| name.name.replace('-', "_") == **variable);
        text.map(|(_, text)| text.as_str()).unwrap_or_default()
    };
    explain(expression.holds(view), text, IllegalKind::RequirementUnmet)
}

fn check_guard(protocol: &Protocol, view: &View<'_>, candidate: &Candidate<'_>) -> Checked {
    let rules = protocol.rules().state(&candidate.id.machine, candidate.state);
    let guard = rules.and_then(|rules| rules.guards.get(candidate.index)?.as_ref());
    let Some(guard) = guard else {
        return Ok(());
    };
    let text = || candidate.one.guard.as_deref().unwrap_or_default();
    explain(guard.holds(view), text, IllegalKind::GuardFailed)
}

fn explain<'p>(holds: Result<bool, String>, text: impl Fn() -> &'p str, kind: IllegalKind) -> Checked {
    match holds {
        Ok(true) => Ok(()),
        Ok(false) => Err(Refusal::new(kind, format!("this does not hold: {}", text()))),
        Err(why) => Err(Refusal::new(kind, format!("this cannot be said to hold: {} ({why})", text()))),
    }
}
