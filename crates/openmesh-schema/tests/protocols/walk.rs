//! Walks every configuration of each shipped protocol through the real engine, beside the naive interpreter.

use crate::fixture::{Draft, HOUR_MS, NOW, agents, contract, conversation, pin, proposal, protocol, rfp};
use crate::naive::{Config, Naive, NaiveAct, Place, To};
use openmesh_message::{AgentId, Authority, Digest};
use openmesh_schema::{
    Act, ActTarget, Catalog, ConversationState, Instance, InstanceId, Protocol, Transition,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

struct Walk {
    protocol: Arc<Protocol>,
    naive: Naive,
    agents: Vec<AgentId>,
    drafts: Vec<Prepared>,
    found: BTreeMap<Config, Node>,
    refused: u64,
}

/// A draft whose digests are computed once.
struct Prepared {
    naive: NaiveAct,
    draft: Draft,
    digest: Digest,
}

impl Prepared {
    /// The act, with the offer of its instance as parent where it names one.
    fn act<'a>(&'a self, state: &'a ConversationState) -> Act<'a> {
        let mut parents = self.draft.parents.as_slice();
        if self.naive.names_offer
            && let ActTarget::Agent(to) = self.draft.to
        {
            let mut slots = state.instances.iter().filter(|slot| slot.agent == to);
            parents = slots.next().map_or(&[], |slot| slot.instance.offer.as_slice());
        }
        Act {
            sender: self.draft.sender,
            performative: &self.draft.performative,
            schema: self.draft.schema.as_ref(),
            payload: self.draft.payload.as_ref(),
            payload_bytes: &self.draft.payload_bytes,
            digest: self.digest,
            parents,
            to: self.draft.to,
            invites: &[],
            custodial: false,
        }
    }
}

struct Node {
    state: ConversationState,
    edges: Vec<Edge>,
}

struct Edge {
    label: String,
    cause: EdgeCause,
    to: Config,
}

#[derive(Clone)]
enum EdgeCause {
    Act(usize),
    Timer(InstanceId),
}

/// How much of the space of acts is offered in every configuration.
#[derive(Clone, Copy)]
enum Offered {
    /// The protocol's own performatives.
    Own,
    /// Every performative, schema and addressee.
    All,
}

impl Walk {
    fn new(protocol: Arc<Protocol>, count: u8, offered: Offered) -> Self {
        let naive = Naive::new(protocol.stored());
        let agents = agents(count);
        let drafts = drafts(&protocol, &agents, offered);
        Self { protocol, naive, agents, drafts, found: BTreeMap::new(), refused: 0 }
    }

    fn run(&mut self, openings: &[Draft]) {
        let mut open = Vec::new();
        for opening in openings {
            let opened = self.protocol.open(&conversation(), &opening.act(), NOW).unwrap();
            open.extend(self.add(*opened.after));
        }
        while let Some(config) = open.pop() {
            let edges = self.expand(&config);
            let mut nodes = Vec::new();
            for (edge, state) in edges {
                open.extend(self.add(state));
                nodes.push(edge);
            }
            self.found.get_mut(&config).unwrap().edges = nodes;
        }
    }

    /// Adds a configuration; `None` if it is known.
    fn add(&mut self, mut state: ConversationState) -> Option<Config> {
        let config = self.config(&state);
        if self.found.contains_key(&config) {
            return None;
        }
        freeze(&mut state);
        self.found.insert(config.clone(), Node { state, edges: Vec::new() });
        Some(config)
    }

    fn expand(&mut self, config: &Config) -> Vec<(Edge, ConversationState)> {
        let state = self.found[config].state.clone();
        let mut edges = Vec::new();
        let mut allowed = BTreeSet::new();
        for index in 0..self.drafts.len() {
            let Prepared { naive: naive_act, draft, .. } = &self.drafts[index];
            let expected = self.naive.step(config, naive_act);
            let decided = self.protocol.step(&state, &self.drafts[index].act(&state), NOW);
            match (decided, expected) {
                (Ok(decided), Some(expected)) => {
                    let mut next = state.clone();
                    self.protocol.apply(&mut next, &decided.transition, draft.payload.as_ref());
                    assert_eq!(next, *decided.after, "applied as it was decided");
                    assert_eq!(self.config(&next), expected, "{naive_act:?} in {config:?}");
                    allowed.insert(allowed_key(&self.protocol, &state, draft));
                    let label =
                        label(&decided.transition, next.role_of(&draft.sender).map(|role| (&**role, draft)));
                    edges.push((Edge { label, cause: EdgeCause::Act(index), to: expected }, next));
                }
                (Err(_), None) => self.refused += 1,
                (decided, expected) => {
                    panic!("{naive_act:?}\n{config:?}\nengine: {decided:?}\nnaive: {expected:?}")
                }
            }
        }
        self.check_allowed_next(&state, &allowed);
        for id in timers(&state) {
            let (transition, next) = self.fire(&state, &id);
            let key = (id.machine.to_string(), id.agent.map(|agent| self.index(&agent)));
            let expected = self.naive.fire(config, &key);
            assert_eq!(self.config(&next), expected, "timer {id} in {config:?}");
            let label = label(&transition, None);
            edges.push((Edge { label, cause: EdgeCause::Timer(id), to: expected }, next));
        }
        edges
    }

    /// Every agent's `allowed_next` is exactly the set of acts that the naive interpreter takes.
    fn check_allowed_next(&self, state: &ConversationState, taken: &BTreeSet<AllowedKey>) {
        let mut offered = BTreeSet::new();
        for agent in &self.agents {
            for act in self.protocol.allowed_next(state, agent, NOW) {
                let schema = act.schema.map(|schema| schema.to_string());
                offered.insert((
                    *agent,
                    act.performative.to_string(),
                    schema,
                    act.machine.to_string(),
                    act.to,
                ));
            }
        }
        assert_eq!(&offered, taken, "{}", state.text());
    }

    fn fire(&self, state: &ConversationState, id: &InstanceId) -> (Transition, ConversationState) {
        let mut state = state.clone();
        instance_mut(&mut state, id).deadline = Some(NOW);
        let decided = self.protocol.fire(&state, NOW).unwrap();
        self.protocol.apply(&mut state, &decided.transition, None);
        assert_eq!(state, *decided.after, "applied as it was decided");
        (decided.transition, state)
    }

    fn index(&self, agent: &AgentId) -> u8 {
        u8::try_from(self.agents.iter().position(|known| known == agent).unwrap()).unwrap()
    }

    fn config(&self, state: &ConversationState) -> Config {
        let place = |instance: &Instance| Place {
            state: instance.state.to_string(),
            last: instance.last_mover.map(|agent| self.index(&agent)),
            taken: instance.taken.iter().map(|(key, count)| (key.to_string(), *count)).collect(),
            signed: instance.signatures.keys().map(|agent| self.index(agent)).collect(),
            offer: instance.offer.is_some(),
            timer: instance.deadline.is_some(),
        };
        let mut places: BTreeMap<_, _> = state
            .instances
            .iter()
            .map(|slot| ((slot.machine.to_string(), Some(self.index(&slot.agent))), place(&slot.instance)))
            .collect();
        places.insert(("round".to_owned(), None), place(&state.round));
        let bound = state.bound.iter().map(|bound| (self.index(&bound.agent), bound.role.to_string()));
        let bound: BTreeMap<u8, String> = bound.collect();
        Config {
            // Any order will do: no shipped `when` rule depends on it, which the walk itself shows.
            order: bound.keys().copied().collect(),
            bound,
            places,
            ended: state.ended.map(|outcome| outcome.as_str().to_owned()),
        }
    }

    /// Takes every pair of successive transitions on the very state that the first one left.
    fn take_pairs(&self) -> (usize, usize) {
        let mut possible = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for node in self.found.values() {
            for first in &node.edges {
                let mut middle = None;
                for second in &self.found[&first.to].edges {
                    let pair = (first.label.as_str(), second.label.as_str());
                    possible.insert(pair);
                    if !taken.contains(&pair) {
                        let state = middle.get_or_insert_with(|| self.take(&node.state, first));
                        let mut after = self.take(state, second);
                        freeze(&mut after);
                        assert_eq!(self.config(&after), second.to, "{pair:?}");
                        taken.insert(pair);
                    }
                }
            }
        }
        assert_eq!(taken, possible);
        let labels: BTreeSet<&str> =
            self.found.values().flat_map(|node| node.edges.iter().map(|edge| edge.label.as_str())).collect();
        (labels.len(), taken.len())
    }

    fn take(&self, state: &ConversationState, edge: &Edge) -> ConversationState {
        let mut next = match &edge.cause {
            EdgeCause::Timer(id) => self.fire(state, id).1,
            EdgeCause::Act(index) => {
                let prepared = &self.drafts[*index];
                *self.protocol.step(state, &prepared.act(state), NOW).unwrap().after
            }
        };
        freeze(&mut next);
        next
    }

    fn check_all_can_end(&self) {
        let mut before: BTreeMap<&Config, Vec<&Config>> = BTreeMap::new();
        for (config, node) in &self.found {
            for edge in &node.edges {
                before.entry(&edge.to).or_default().push(config);
            }
        }
        let mut open: Vec<&Config> = self.found.keys().filter(|config| config.ended.is_some()).collect();
        let mut ending: BTreeSet<&Config> = BTreeSet::new();
        while let Some(config) = open.pop() {
            if ending.insert(config) {
                open.extend(before.get(config).into_iter().flatten());
            }
        }
        assert_eq!(ending.len(), self.found.len(), "some configuration cannot reach the end");
    }

    fn check_never_without_timer(&self) {
        for node in self.found.values() {
            let waits = self.protocol.next_deadline(&node.state).is_some();
            assert_ne!(waits, node.state.is_ended(), "{}", node.state.text());
        }
    }

    /// Every move (by every role that may), timer and rule of the definition was taken.
    fn check_coverage(&self) {
        let mut labels = BTreeSet::new();
        for node in self.found.values() {
            labels.extend(node.edges.iter().map(|edge| edge.label.clone()));
        }
        let taken = |wanted: &str| labels.iter().any(|label| label.contains(wanted));
        for (name, machine) in &self.protocol.definition().machines {
            for (state, _, one) in
                machine.moves().filter(|(state, _, _)| **name != *"round" || **state != machine.initial)
            {
                for role in &one.from {
                    let wanted = if one.signatures_all {
                        format!("{role} {}:", one.performative)
                    } else {
                        format!("{role} {}: {name} {state}→{} act", one.performative, one.next)
                    };
                    assert!(taken(&wanted), "{wanted}");
                }
            }
            for (state_name, state) in &machine.states {
                if let Some(timer) = &state.timer {
                    assert!(
                        taken(&format!("{name} {state_name}→{} timer", timer.next)),
                        "{name}.{state_name}"
                    );
                }
                for rule in &state.when {
                    assert!(taken(&format!("{name} {state_name}→{} when", rule.next)), "{name}.{state_name}");
                }
            }
        }
    }

    fn count_in(&self, config: &Config, machine: &str, state: &str) -> usize {
        let places = config.places.iter();
        places.filter(|((name, _), place)| name == machine && place.state == state).count()
    }

    fn report(&self, title: &str) {
        let (labels, pairs) = self.take_pairs();
        let edges: usize = self.found.values().map(|node| node.edges.len()).sum();
        println!(
            "{title}: {} configurations, {edges} transitions ({labels} kinds, {pairs} pairs), {} acts refused",
            self.found.len(),
            self.refused
        );
    }

    fn check(&self, title: &str) {
        self.check_all_can_end();
        self.check_never_without_timer();
        self.check_coverage();
        self.report(title);
    }
}

type AllowedKey = (AgentId, String, Option<String>, String, Option<AgentId>);

fn allowed_key(protocol: &Protocol, state: &ConversationState, draft: &Draft) -> AllowedKey {
    let definition = protocol.definition();
    let machines = definition.machines.iter();
    let mut fitting = machines
        .filter(|(_, machine)| machine.moves().any(|(_, _, one)| one.performative == draft.performative));
    let (name, machine) = fitting.next().unwrap();
    let role = state.role_of(&draft.sender).or_else(|| protocol.may_join(state, &draft.sender).next());
    let fixed = machine.per.is_some() && machine.per.as_ref() != role;
    let to = match draft.to {
        ActTarget::Agent(agent) if fixed => Some(agent),
        _ => None,
    };
    // A move without a schema takes any payload; `allowed_next` says so by naming none.
    let typed =
        machine.moves().any(|(_, _, one)| one.performative == draft.performative && one.schema.is_some());
    let schema = draft.schema.as_ref().filter(|_| typed).map(ToString::to_string);
    (draft.sender, draft.performative.to_string(), schema, name.to_string(), to)
}

/// Times do not distinguish configurations: every timer is an hour away.
fn freeze(state: &mut ConversationState) {
    let instances = state.instances.iter_mut().map(|slot| &mut slot.instance);
    for instance in instances.chain([&mut state.round]) {
        instance.deadline = instance.deadline.map(|_| NOW.plus_ms(HOUR_MS));
        instance.entered = NOW;
    }
    state.duties.iter_mut().for_each(|duty| duty.by = NOW.plus_ms(HOUR_MS));
}

fn timers(state: &ConversationState) -> Vec<InstanceId> {
    let round = state.round.deadline.map(|_| InstanceId::main());
    let slots = state.instances.iter().filter(|slot| slot.instance.deadline.is_some());
    let slots = slots.map(|slot| InstanceId::of(&slot.machine, slot.agent));
    round.into_iter().chain(slots).collect()
}

fn instance_mut<'s>(state: &'s mut ConversationState, id: &InstanceId) -> &'s mut Instance {
    let Some(agent) = id.agent else {
        return &mut state.round;
    };
    let mut slots = state.instances.iter_mut();
    &mut slots.find(|slot| slot.machine == id.machine && slot.agent == agent).unwrap().instance
}

fn label(transition: &Transition, actor: Option<(&str, &Draft)>) -> String {
    let who = actor.map(|(role, draft)| format!("{role} {}:", draft.performative));
    let mut moves: Vec<String> = transition
        .moves()
        .map(|(id, from, to, cause)| format!("{} {from}→{to} {}", id.machine, cause.as_str()))
        .collect();
    moves.dedup();
    format!("{} {}", who.unwrap_or_default(), moves.join(", "))
}

fn drafts(protocol: &Protocol, agents: &[AgentId], offered: Offered) -> Vec<Prepared> {
    let machines = protocol.definition().machines.values();
    let own: BTreeSet<String> = machines
        .flat_map(|machine| machine.moves().map(|(_, _, one)| one.performative.to_string()))
        .collect();
    let acts: Vec<String> = match offered {
        Offered::Own => own.into_iter().chain(["request-when".to_owned()]).collect(),
        Offered::All => openmesh_message::Performative::KNOWN.iter().map(ToString::to_string).collect(),
    };
    let mut drafts = Vec::new();
    for sender in 0..u8::try_from(agents.len()).unwrap() {
        for act in &acts {
            for (schema, payload) in payloads(protocol, act, offered) {
                let prepared = targets(agents.len()).into_iter().flat_map(|to| {
                    let naive = NaiveAct {
                        sender,
                        performative: act.clone(),
                        schema: schema.map(|range| pin(range).to_string()),
                        to,
                        names_offer: true,
                    };
                    prepare(agents, naive, schema.map(|range| (range, payload.clone())))
                });
                drafts.extend(prepared);
            }
        }
    }
    drafts
}

/// The draft of an act; for an answer to an offer also one that does not name it.
fn prepare(agents: &[AgentId], naive: NaiveAct, typed: Option<(&str, Value)>) -> Vec<Prepared> {
    let to = match naive.to {
        To::Agent(agent) => ActTarget::Agent(agents[usize::from(agent)]),
        To::Conversation => ActTarget::Conversation,
        To::Topic => ActTarget::Topic,
    };
    let mut draft = Draft::new(agents[usize::from(naive.sender)], &naive.performative, to);
    if let Some((range, payload)) = typed {
        draft = draft.with(range, payload);
    }
    draft.parents = vec![Digest::of(b"no offer")];
    let answers = ["accept-proposal", "reject-proposal"].contains(&naive.performative.as_str());
    let names = if answers { vec![true, false] } else { vec![true] };
    let prepared = names.into_iter().map(|names_offer| Prepared {
        naive: NaiveAct { names_offer, ..naive.clone() },
        digest: draft.digest(),
        draft: draft.clone(),
    });
    prepared.collect()
}

fn targets(count: usize) -> Vec<To> {
    let agents = (0..u8::try_from(count).unwrap()).map(To::Agent);
    agents.chain([To::Conversation, To::Topic]).collect()
}

fn payloads(protocol: &Protocol, act: &str, offered: Offered) -> Vec<(Option<&'static str>, Value)> {
    let all = [
        (Some("market/rfp@^1"), rfp()),
        (Some("market/proposal@^1"), proposal(900.0)),
        (Some("market/contract@^2"), contract(900.0)),
        (None, Value::Null),
    ];
    let machines = protocol.definition().machines.values();
    let mut moves = machines.flat_map(|machine| machine.moves());
    let own = moves.find(|(_, _, one)| one.performative.to_string() == act);
    let own = own.and_then(|(_, _, one)| one.schema.as_ref()).map(|schema| &schema.versioned.name.name);
    let mut chosen: Vec<_> = all.into_iter().collect();
    if matches!(offered, Offered::Own) {
        chosen.retain(|(range, _)| match own {
            Some(name) => range.is_none() || range.is_some_and(|range| range.contains(name.as_str())),
            None => range.is_none(),
        });
    }
    chosen
}

fn negotiation(counters_max: u32) -> Arc<Protocol> {
    let shipped = protocol("market/negotiation@v1.0.0");
    let mut definition: Value = serde_json::from_slice(shipped.stored()).unwrap();
    let bid = &mut definition["machines"]["bid"]["states"];
    assert_eq!(bid["offered"]["moves"][0]["max"], 10);
    bid["offered"]["moves"][0]["max"] = counters_max.into();
    bid["agreed"]["moves"][0]["max"] = 2.into();
    let body = definition.to_string();
    let checked = Catalog::builtin().check_protocol(body.as_bytes(), Authority::OpenMesh);
    checked.unwrap().0
}

fn walk_market(sellers: u8, offered: Offered) -> Walk {
    let protocol = negotiation(2);
    let mut walk = Walk::new(protocol, sellers + 1, offered);
    let opening = Draft::new(walk.agents[0], "cfp", ActTarget::Topic).with("market/rfp@^1", rfp());
    walk.run(&[opening]);
    for config in walk.found.keys() {
        let agreed = walk.count_in(config, "bid", "agreed") + walk.count_in(config, "bid", "done");
        assert!(agreed <= 1, "two agreed bids: {config:?}");
    }
    walk.check(&format!("market/negotiation, {sellers} sellers"));
    walk
}

#[test]
fn the_market_with_three_sellers() {
    walk_market(3, Offered::Own);
}

#[test]
fn the_market_with_two_sellers_and_every_act_there_is() {
    walk_market(1, Offered::All);
    walk_market(2, Offered::All);
}

fn walk_fipa(name: &str, openings: &[&str], (others, offered): (u8, Offered)) {
    let mut walk = Walk::new(protocol(name), others + 1, offered);
    let drafts: Vec<Draft> =
        openings.iter().map(|act| Draft::new(walk.agents[0], act, ActTarget::Topic)).collect();
    walk.run(&drafts);
    walk.check(&format!("{name}, {others} others"));
}

#[test]
fn fipa_request() {
    walk_fipa("fipa/request@v1.0.0", &["request"], (2, Offered::All));
}

#[test]
fn fipa_query() {
    walk_fipa("fipa/query@v1.0.0", &["query-if", "query-ref"], (2, Offered::All));
}

#[test]
fn fipa_contract_net() {
    walk_fipa("fipa/contract-net@v1.0.0", &["cfp"], (2, Offered::All));
    walk_fipa("fipa/contract-net@v1.0.0", &["cfp"], (3, Offered::Own));
}

#[test]
fn fipa_subscribe() {
    walk_fipa("fipa/subscribe@v1.0.0", &["subscribe"], (2, Offered::All));
}
