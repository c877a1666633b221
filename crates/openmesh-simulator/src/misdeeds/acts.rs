//! Misdeeds in conversations: acts that the protocol forbids at that moment.

use crate::conversing::{Deed, proposal, rfp};
use crate::world::World;
use openmesh_core::Conversation;
use openmesh_message::{Address, AgentId, AgentRef, Digest, Performative, PinnedName, Target};
use openmesh_schema::Slot;
use serde_json::Value;

const MARKET: &str = "negotiation";

fn deed(world: &World, state: &Conversation, agent: &AgentId, act: Performative) -> Option<Deed> {
    Some(Deed {
        agent: world.index_of(agent)?,
        id: state.id,
        protocol: (*state.protocol).clone(),
        to: Address::new(world.domain, Target::Conversation(state.id)),
        act,
        schema: None,
        payload: None,
        parents: Vec::new(),
        invites: Vec::new(),
    })
}

fn to_agent(world: &World, agent: AgentId) -> Address {
    Address::new(world.domain, Target::Agent(AgentRef::Id(agent)))
}

fn with_proposal(world: &World, mut deed: Deed, price: u64) -> Option<Deed> {
    let facts = world.talks.get(&deed.id)?;
    deed.payload = Some(proposal(facts, price));
    deed.schema = world.schema("market/proposal");
    Some(deed)
}

/// An open market with a bid in that state, and the bid.
fn market_with(world: &mut World, fits: impl Fn(&Slot) -> bool) -> Option<(Conversation, Slot)> {
    let state = world
        .some_talk(|name, state| name == MARKET && !state.is_ended() && state.instances.iter().any(&fits))?;
    let slot = state.instances.iter().find(|slot| fits(slot))?.clone();
    Some((state, slot))
}

fn buyer(state: &Conversation) -> Option<AgentId> {
    state.bound.first().map(|bound| bound.agent)
}

/// A registered agent that has no role there.
fn outsider(world: &mut World, state: &Conversation) -> Option<AgentId> {
    let ids: Vec<_> = (0..9).filter_map(|agent| world.id_of(agent)).collect();
    let outside: Vec<_> = ids.into_iter().filter(|id| state.role_of(id).is_none()).collect();
    world.random.pick(&outside).copied()
}

fn perform(world: &mut World, deed: Deed) -> Option<()> {
    world.perform(deed).map(|_| ())
}

pub(super) fn unknown_protocol(world: &mut World) -> Option<()> {
    let protocol = world.protocol("fipa/request")?;
    let mut deed = world.opening(&protocol)?;
    deed.protocol = PinnedName { digest: Digest::of(b"no such protocol"), ..deed.protocol };
    perform(world, deed)
}

pub(super) fn other_protocol(world: &mut World) -> Option<()> {
    let state = world.some_talk(|name, _| name == MARKET)?;
    let mut deed = deed(world, &state, &buyer(&state)?, Performative::Cancel)?;
    deed.protocol = world.protocol("fipa/query")?.pinned().clone();
    perform(world, deed)
}

pub(super) fn ended(world: &mut World) -> Option<()> {
    let state = world.some_talk(|_, state| state.is_ended())?;
    let deed = deed(world, &state, &buyer(&state)?, Performative::Cancel)?;
    perform(world, deed)
}

pub(super) fn illegal_step(world: &mut World) -> Option<()> {
    let state = world.some_talk(|name, state| name != MARKET && !state.is_ended())?;
    let deed = deed(world, &state, &buyer(&state)?, Performative::Confirm)?;
    perform(world, deed)
}

/// Meddles with what was addressed to another.
pub(super) fn not_bound(world: &mut World) -> Option<()> {
    let state = world.some_talk(|_, state| state.addressee.is_some() && !state.is_ended())?;
    let addressee = state.addressee?;
    let agent = outsider(world, &state).filter(|agent| *agent != addressee)?;
    let deed = deed(world, &state, &agent, Performative::Inform)?;
    perform(world, deed)
}

pub(super) fn role_full(world: &mut World) -> Option<()> {
    let full = |name: &str, state: &Conversation| {
        let open = state.addressee.is_none() && !state.is_ended();
        open && matches!(name, "request" | "query" | "subscribe") && state.bound.len() == 2
    };
    let Some(state) = world.some_talk(full) else {
        return open_to_all(world);
    };
    let agent = outsider(world, &state)?;
    let deed = deed(world, &state, &agent, Performative::Inform)?;
    perform(world, deed)
}

/// Makes occasions: a request to nobody in particular, and someone who agrees.
fn open_to_all(world: &mut World) -> Option<()> {
    let waiting = |name: &str, state: &Conversation| {
        name == "request" && state.addressee.is_none() && !state.is_ended() && state.bound.len() == 1
    };
    if let Some(state) = world.some_talk(waiting) {
        let agent = outsider(world, &state)?;
        let mut deed = deed(world, &state, &agent, Performative::Agree)?;
        deed.to = to_agent(world, buyer(&state)?);
        return perform(world, deed);
    }
    let protocol = world.protocol("fipa/request")?;
    let mut deed = world.opening(&protocol)?;
    deed.to = Address::new(world.domain, Target::Conversation(deed.id));
    perform(world, deed)
}

pub(super) fn no_instance(world: &mut World) -> Option<()> {
    let (state, slot) = market_with(world, |slot| *slot.instance.state == *"offered")?;
    let mut deed = deed(world, &state, &buyer(&state)?, Performative::AcceptProposal)?;
    deed.parents.extend(slot.instance.offer);
    perform(world, deed)
}

pub(super) fn wrong_schema(world: &mut World) -> Option<()> {
    let (state, slot) = market_with(world, |slot| *slot.instance.state == *"offered")?;
    let mut deed = deed(world, &state, &slot.agent, Performative::CounterPropose)?;
    deed.to = to_agent(world, buyer(&state)?);
    perform(world, deed)
}

pub(super) fn out_of_turn(world: &mut World) -> Option<()> {
    let (state, slot) = market_with(world, |slot| *slot.instance.state == *"offered")?;
    counter(world, &state, &slot, slot.instance.last_mover?)
}

fn counter(world: &mut World, state: &Conversation, slot: &Slot, agent: AgentId) -> Option<()> {
    let buyer = buyer(state)?;
    let other = if agent == buyer { slot.agent } else { buyer };
    let mut deed = deed(world, state, &agent, Performative::CounterPropose)?;
    deed.to = to_agent(world, other);
    let deed = with_proposal(world, deed, 1)?;
    perform(world, deed)
}

/// One counter-offer more than there may be.
pub(super) fn too_many(world: &mut World) -> Option<()> {
    let worn = |slot: &Slot| {
        *slot.instance.state == *"offered" && slot.instance.taken.values().any(|taken| *taken >= 10)
    };
    let (state, slot) = market_with(world, worn)?;
    let buyer = buyer(&state)?;
    let agent = if slot.instance.last_mover == Some(buyer) { slot.agent } else { buyer };
    counter(world, &state, &slot, agent)
}

/// Another clause for a contract, again and again.
pub(super) fn quibble(world: &mut World) -> Option<()> {
    let (state, slot) = market_with(world, |slot| *slot.instance.state == *"agreed")?;
    for number in 0..8 {
        let mut deed = deed(world, &state, &slot.agent, Performative::Inform)?;
        deed.to = to_agent(world, buyer(&state)?);
        deed.payload = Some(world.contract(&state, &slot.agent, &format!("clause {number}"))?);
        deed.schema = world.schema("market/contract");
        perform(world, deed)?;
    }
    Some(())
}

/// An offer shown to one whom it does not concern.
pub(super) fn wrong_recipient(world: &mut World) -> Option<()> {
    let (state, slot) = market_with(world, |slot| *slot.instance.state == *"offered")?;
    let mut deed = deed(world, &state, &slot.agent, Performative::Refuse)?;
    let others = state.bound.iter().filter(|bound| *bound.role == *"auditor");
    deed.to = to_agent(world, others.map(|bound| bound.agent).next()?);
    if slot.instance.last_mover == Some(slot.agent) {
        deed.agent = world.index_of(&slot.agent)?;
        deed.act = Performative::CounterPropose;
        let buyer_moved = state.instances.iter().find(|other| {
            *other.instance.state == *"offered" && other.instance.last_mover != Some(other.agent)
        });
        deed.agent = world.index_of(&buyer_moved?.agent)?;
        deed.act = Performative::Refuse;
    }
    perform(world, deed)
}

/// Accepts an offer that is none.
pub(super) fn wrong_parent(world: &mut World) -> Option<()> {
    let (state, slot) = market_with(world, |slot| {
        *slot.instance.state == *"offered" && slot.instance.last_mover == Some(slot.agent)
    })?;
    let mut deed = deed(world, &state, &buyer(&state)?, Performative::AcceptProposal)?;
    deed.to = to_agent(world, slot.agent);
    deed.parents.push(Digest::of(b"no such offer"));
    perform(world, deed)
}

/// Offers when the call is closed.
pub(super) fn too_late(world: &mut World) -> Option<()> {
    let closed = |name: &str, state: &Conversation| {
        let late = matches!(&*state.round.state, "closed" | "awarded");
        late && matches!(name, "negotiation" | "contract-net") && !state.is_ended()
    };
    let state = world.some_talk(closed)?;
    let agent = outsider(world, &state)?;
    let mut deed = deed(world, &state, &agent, Performative::Propose)?;
    deed.to = to_agent(world, buyer(&state)?);
    if state.protocol.versioned.name.name == MARKET {
        deed = with_proposal(world, deed, 1)?;
    }
    perform(world, deed)
}

fn bid(world: &mut World, change: impl Fn(&mut Value)) -> Option<()> {
    let open = |name: &str, state: &Conversation| name == MARKET && *state.round.state == *"open";
    let state = world.some_talk(open)?;
    let agent = outsider(world, &state)?;
    let mut deed = deed(world, &state, &agent, Performative::Propose)?;
    deed.to = to_agent(world, buyer(&state)?);
    let mut deed = with_proposal(world, deed, 1)?;
    change(deed.payload.as_mut()?);
    perform(world, deed)
}

pub(super) fn over_budget(world: &mut World) -> Option<()> {
    bid(world, |payload| {
        if let Some(amount) = payload.pointer_mut("/value/amount") {
            *amount = Value::from(1_000_000);
        }
    })
}

pub(super) fn other_request(world: &mut World) -> Option<()> {
    bid(world, |payload| {
        if let Some(rfp) = payload.pointer_mut("/rfp") {
            *rfp = Value::from("another");
        }
    })
}

/// Signs a contract with a key that the node keeps.
pub(super) fn custodial(world: &mut World) -> Option<()> {
    let (state, slot) = market_with(world, |slot| *slot.instance.state == *"agreed")?;
    let mut deed = deed(world, &state, &slot.agent, Performative::Inform)?;
    deed.to = to_agent(world, buyer(&state)?);
    deed.payload = Some(world.contract(&state, &slot.agent, "kept by the node")?);
    deed.schema = world.schema("market/contract");
    world.perform_with(deed, true).map(|_| ())
}

/// A call whose end is a valid time beyond the last one that clocks here can hold.
pub(super) fn unusable_timer(world: &mut World) -> Option<()> {
    let protocol = world.protocol("market/negotiation")?;
    let mut deed = world.opening(&protocol)?;
    let facts = world.talks.get(&deed.id)?;
    deed.payload = Some(rfp(facts, "9999-12-31T23:59:59Z"));
    perform(world, deed)
}

pub(super) fn bad_invitation(world: &mut World) -> Option<()> {
    let protocol = world.protocol("market/negotiation")?;
    let mut deed = world.opening(&protocol)?;
    let other = (deed.agent + 1) % 9;
    deed.invites = vec![("seller", world.id_of(other)?)];
    perform(world, deed)
}
