//! Conversations by hand: each step must be one that the definition's tables allow from the state before.

use super::Message;
use crate::census::{Census, Kind, state_name};
use crate::violation::{Violation, ensure};
use openmesh_core::State;
use openmesh_core::record::Record;
use openmesh_message::{AgentId, ConversationId, Digest, Position, Timestamp};
use openmesh_schema::{Catalog, Cause, Effect, InstanceId, Machine, Move, Protocol, TimerStart};
use serde_json::Value;
use std::collections::BTreeMap;

const LEGAL: &str = "every step is one the protocol allows";
const EQUAL: &str = "a conversation is as the log says";

type Place = (String, Option<AgentId>);

/// Every conversation.
#[derive(Default)]
pub(crate) struct Talks {
    by_id: BTreeMap<ConversationId, Talk>,
}

struct Talk {
    protocol: Digest,
    bound: Vec<(AgentId, String)>,
    places: BTreeMap<Place, Standing>,
    rfp: Option<Value>,
    ended: bool,
}

#[derive(Clone, Debug, Default)]
struct Standing {
    state: String,
    deadline: Option<Timestamp>,
    last: Option<AgentId>,
    offer: Option<(Digest, Option<Value>)>,
    taken: BTreeMap<(String, usize), u32>,
    signed: BTreeMap<AgentId, Digest>,
}

/// The act of a step.
pub(crate) struct Deed<'a> {
    pub(super) message: &'a Message,
    pub(super) position: Position,
}

impl Talks {
    pub(super) fn role_of(&self, id: &ConversationId, agent: &AgentId) -> Option<&str> {
        self.by_id.get(id)?.role_of(agent)
    }

    /// Who reads an act besides whom it names: everyone if it goes to the conversation, else who sees all.
    pub(super) fn readers(&self, id: &ConversationId, whole: bool, catalog: &Catalog) -> Vec<AgentId> {
        let Some(talk) = self.by_id.get(id) else {
            return Vec::new();
        };
        let roles = catalog.protocol(&talk.protocol).map(|protocol| &protocol.definition().roles);
        let sees = |role: &str| roles.and_then(|roles| roles.get(role)).is_some_and(|role| role.sees_all);
        let readers = talk.bound.iter().filter(|(_, role)| whole || sees(role));
        readers.map(|(agent, _)| *agent).collect()
    }

    /// Takes in the step of a record; `deed` is its act.
    pub(super) fn feed(
        &mut self,
        record: &Record,
        deed: Option<&Deed<'_>>,
        catalog: &Catalog,
        census: &mut Census,
    ) -> Result<(), Violation> {
        let at = record.header.at;
        let step = record.step().ok_or_else(|| illegal("no step"))?;
        let protocol = catalog.protocol(&step.protocol).ok_or_else(|| illegal("no such protocol"))?;
        let talk = self.by_id.entry(step.conversation).or_insert_with(|| Talk {
            protocol: step.protocol,
            bound: Vec::new(),
            places: BTreeMap::new(),
            rfp: None,
            ended: false,
        });
        if talk.bound.is_empty() {
            let main = InstanceId::main();
            talk.enter(protocol, &main, None, census);
        }
        ensure(!talk.ended, LEGAL, || format!("{} had ended", step.conversation))?;
        ensure(talk.protocol == step.protocol, LEGAL, || "another protocol".to_owned())?;
        let mut turn = Turn { talk, protocol, at, deed, acts: 0, moved: Vec::new() };
        for effect in &step.transition.effects {
            turn.feed(effect, census).map_err(|violation| {
                let what =
                    format!("{} in {}: {}", step.transition.summary(), step.conversation, violation.what);
                Violation::new(violation.promise, what)
            })?;
        }
        turn.finish(&step.transition.effects)
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let places = self.by_id.values().flat_map(|talk| talk.places.values());
        places.filter_map(|standing| standing.deadline).min()
    }

    pub(super) fn compare(&self, state: &State) -> Result<(), Violation> {
        let core: BTreeMap<_, _> = state.conversations().collect();
        ensure(core.len() == self.by_id.len(), EQUAL, || "another number of them".to_owned())?;
        for (id, talk) in &self.by_id {
            let Some(core) = core.get(id) else {
                return Err(Violation::new(EQUAL, format!("{id} is missing")));
            };
            let bound: Vec<_> =
                core.bound.iter().map(|bound| (bound.agent, bound.role.to_string())).collect();
            ensure(bound == talk.bound && core.is_ended() == talk.ended, EQUAL, || {
                format!("{id}: members or end")
            })?;
            let mut places: BTreeMap<Place, (&str, Option<Timestamp>)> = BTreeMap::new();
            places.insert(("round".to_owned(), None), (&core.round.state, core.round.deadline));
            for slot in &core.instances {
                let place = (slot.machine.to_string(), Some(slot.agent));
                places.insert(place, (&slot.instance.state, slot.instance.deadline));
            }
            let ours = talk
                .places
                .iter()
                .map(|(place, standing)| (place.clone(), (standing.state.as_str(), standing.deadline)));
            let ours: BTreeMap<_, _> = ours.collect();
            ensure(places == ours, EQUAL, || format!("{id}: {places:?}, in the log {ours:?}"))?;
        }
        Ok(())
    }
}

impl Talk {
    fn role_of(&self, agent: &AgentId) -> Option<&str> {
        let found = self.bound.iter().find(|(bound, _)| bound == agent);
        found.map(|(_, role)| role.as_str())
    }

    /// Makes an instance that is not there yet.
    fn enter(
        &mut self,
        protocol: &Protocol,
        id: &InstanceId,
        state: Option<&str>,
        census: &mut Census,
    ) -> Option<&mut Standing> {
        let machine = protocol.definition().machines.get(&id.machine)?;
        let standing = self.places.entry(place(id)).or_insert_with(|| {
            let name = protocol.pinned().versioned.name.short();
            census.count(Kind::State, &state_name(&name, &id.machine, &machine.initial));
            Standing { state: machine.initial.to_string(), ..Standing::default() }
        });
        if let Some(state) = state {
            let name = protocol.pinned().versioned.name.short();
            census.count(Kind::State, &state_name(&name, &id.machine, state));
            state.clone_into(&mut standing.state);
        }
        Some(standing)
    }
}

struct Turn<'a> {
    talk: &'a mut Talk,
    protocol: &'a Protocol,
    at: Timestamp,
    deed: Option<&'a Deed<'a>>,
    acts: u32,
    moved: Vec<InstanceId>,
}

impl Turn<'_> {
    fn feed(&mut self, effect: &Effect, census: &mut Census) -> Result<(), Violation> {
        match effect {
            Effect::Bound { agent, role } => {
                ensure(self.talk.role_of(agent).is_none(), LEGAL, || format!("{agent} has a role"))?;
                let known = self.protocol.definition().roles.get(role);
                let held = self.talk.bound.iter().filter(|(_, held)| **held == **role).count();
                let room = known.is_some_and(|role| role.count.max.is_none_or(|max| held < max as usize));
                ensure(room, LEGAL, || format!("there is no room as {role}"))?;
                self.talk.bound.push((*agent, role.to_string()));
                Ok(())
            }
            Effect::Acted { instance, sender, .. } => self.act(instance, sender, census),
            Effect::Moved { instance, from, to, cause } => self.step(instance, (from, to), *cause, census),
            Effect::Ended { .. } => {
                let open = self.talk.places.iter().find(|((machine, _), standing)| {
                    let machine = self.protocol.definition().machines.get(machine.as_str());
                    machine.is_none_or(|machine| !machine.finals.contains_key(standing.state.as_str()))
                });
                ensure(open.is_none(), LEGAL, || format!("it ended with {open:?}"))?;
                self.talk.ended = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn act(&mut self, id: &InstanceId, sender: &AgentId, census: &mut Census) -> Result<(), Violation> {
        self.acts += 1;
        let deed = self.deed.ok_or_else(|| illegal("a timer acted"))?;
        let control = &deed.message.control;
        let role = self.talk.role_of(sender).ok_or_else(|| illegal("the sender has no role"))?.to_owned();
        let round = self.talk.places.get(&("round".to_owned(), None)).map(|standing| standing.state.clone());
        self.talk.enter(self.protocol, id, None, census);
        let machine = self.machine(id)?.clone();
        let rfp = self.talk.rfp.clone();
        let standing = self.talk.places.get_mut(&place(id)).ok_or_else(|| illegal("no instance"))?;
        let state = machine.states.get(standing.state.as_str()).ok_or_else(|| illegal("a final state"))?;
        let fits = |one: &Move| {
            one.performative == control.performative
                && one.from.iter().any(|from| **from == *role)
                && (one.schema.is_none() || one.schema == control.schema)
        };
        let found = state.moves.iter().enumerate().find(|(_, one)| fits(one));
        let (index, one) = found.ok_or_else(|| {
            illegal(&format!("{role} cannot {} in {}", control.performative, standing.state))
        })?;
        ensure(control.source == *sender, LEGAL, || "the act is another's".to_owned())?;
        ensure(!one.turn_other || standing.last != Some(*sender), LEGAL, || "out of turn".to_owned())?;
        let taken = standing.taken.entry((standing.state.clone(), index)).or_default();
        *taken += 1;
        ensure(one.max.is_none_or(|max| *taken <= max), LEGAL, || "too often".to_owned())?;
        check_market(deed.message, standing, rfp.as_ref(), round.as_deref())?;
        standing.last = Some(*sender);
        if one.signatures_all {
            standing.signed.insert(*sender, deed.message.payload_digest);
        }
        if matches!(control.performative.as_str(), "propose" | "counter-propose") {
            standing.offer = Some((deed.message.digest, deed.message.payload.clone()));
        }
        let kind = control.schema.as_ref().map(|schema| schema.versioned.name.short());
        if kind.as_deref() == Some("market/rfp") {
            self.talk.rfp.clone_from(&deed.message.payload);
        }
        Ok(())
    }

    fn step(
        &mut self,
        id: &InstanceId,
        (from, to): (&str, &str),
        cause: Cause,
        census: &mut Census,
    ) -> Result<(), Violation> {
        let machine = self.machine(id)?.clone();
        let standing = self.talk.places.get(&place(id)).ok_or_else(|| illegal("no instance"))?;
        ensure(standing.state == from, LEGAL, || format!("it was {}", standing.state))?;
        let state = machine.states.get(from).ok_or_else(|| illegal("it was final"))?;
        let allowed = match cause {
            Cause::Act => state.moves.iter().any(|one| {
                *one.next == *to
                    && self.deed.is_some_and(|deed| deed.message.control.performative == one.performative)
            }),
            Cause::Timer => {
                let due = standing.deadline.is_some_and(|deadline| deadline <= self.at);
                due && self.deed.is_none() && state.timer.as_ref().is_some_and(|timer| *timer.next == *to)
            }
            Cause::When => state.when.iter().any(|when| *when.next == *to),
        };
        ensure(allowed, LEGAL, || format!("{from}→{to} by {}", cause.as_str()))?;
        let signed_by_all = state.moves.iter().any(|one| *one.next == *to && one.signatures_all);
        let mut signed = standing.signed.values();
        let first = signed.next();
        let agree = standing.signed.len() > 1 && signed.all(|digest| Some(digest) == first);
        ensure(!signed_by_all || agree, LEGAL, || "not all signed the same bytes".to_owned())?;
        self.talk.enter(self.protocol, id, Some(to), census);
        let deadline = self.deadline(&machine, to);
        if let Some(standing) = self.talk.places.get_mut(&place(id)) {
            standing.deadline = deadline;
        }
        self.moved.push(id.clone());
        Ok(())
    }

    /// The deadlines set by the step are those of the definition, and an act acted once.
    fn finish(self, effects: &[Effect]) -> Result<(), Violation> {
        ensure(self.acts == u32::from(self.deed.is_some()), LEGAL, || {
            let position = self.deed.map(|deed| deed.position.to_string());
            format!("{} acts in one step at {position:?}", self.acts)
        })?;
        for id in &self.moved {
            let set = effects.iter().rev().find_map(|effect| match effect {
                Effect::TimerSet { instance, at } if instance == id => Some(Some(*at)),
                Effect::TimerCleared { instance } if instance == id => Some(None),
                _ => None,
            });
            let due = self.talk.places.get(&place(id)).and_then(|standing| standing.deadline);
            ensure(set.unwrap_or(None) == due, "a timer is set as the protocol says", || {
                format!("{id}: {set:?}, due {due:?} by {effects:?}")
            })?;
        }
        Ok(())
    }

    fn machine(&self, id: &InstanceId) -> Result<&Machine, Violation> {
        let machines = &self.protocol.definition().machines;
        machines.get(&id.machine).ok_or_else(|| illegal("no such machine"))
    }

    fn deadline(&self, machine: &Machine, state: &str) -> Option<Timestamp> {
        match &machine.states.get(state)?.timer.as_ref()?.starts {
            TimerStart::After { duration_ms, .. } => Some(self.at.plus_ms(*duration_ms)),
            TimerStart::At(_) => {
                let deed = self.deed.and_then(|deed| deed.message.payload.as_ref());
                let end = deed?.pointer("/tenderPeriod/endDate")?.as_str()?;
                Timestamp::parse(end).ok()
            }
        }
    }
}

/// The rules of `market/negotiation` that its tables do not hold, by hand.
fn check_market(
    message: &Message,
    standing: &Standing,
    rfp: Option<&Value>,
    round: Option<&str>,
) -> Result<(), Violation> {
    let control = &message.control;
    let kind = control.schema.as_ref().map(|schema| schema.versioned.name.short()).unwrap_or_default();
    let value = |payload: Option<&Value>| payload.and_then(|payload| payload.get("value").cloned());
    let amount =
        |value: &Option<Value>| value.as_ref().and_then(|value| value.get("amount")).and_then(Value::as_f64);
    let (mine, asked) = (value(message.payload.as_ref()), value(rfp));
    if matches!(control.performative.as_str(), "accept-proposal" | "reject-proposal") {
        let named = standing.offer.as_ref().is_some_and(|(digest, _)| control.parents.contains(digest));
        ensure(named, LEGAL, || "it names another offer".to_owned())?;
    }
    if kind == "market/proposal" {
        let within = amount(&mine).zip(amount(&asked)).is_some_and(|(mine, asked)| mine <= asked);
        ensure(within, LEGAL, || "the offer is over the budget".to_owned())?;
        let open = control.performative.as_str() != "propose" || round == Some("open");
        ensure(open, LEGAL, || "a proposal after the end".to_owned())?;
    }
    if kind == "market/contract" {
        let offered = value(standing.offer.as_ref().and_then(|(_, payload)| payload.as_ref()));
        ensure(amount(&mine) == amount(&offered), LEGAL, || "another price than agreed".to_owned())?;
    }
    let id = |payload: Option<&Value>, key: &str| payload.and_then(|payload| payload.get(key).cloned());
    if matches!(kind.as_str(), "market/proposal" | "market/contract") {
        let same = id(message.payload.as_ref(), "rfp") == id(rfp, "id");
        ensure(same, LEGAL, || "it is about another request".to_owned())?;
    }
    Ok(())
}

fn place(id: &InstanceId) -> Place {
    (id.machine.to_string(), id.agent)
}

fn illegal(what: &str) -> Violation {
    Violation::new(LEGAL, what)
}
