//! A second, naive interpreter of definitions, reading their stored JSON: slow, obvious, and sharing no code with the engine.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Where a conversation is, with agents as small numbers and no times: also the key of the walk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Config {
    pub(crate) bound: BTreeMap<u8, String>,
    /// Binding order, by agent.
    pub(crate) order: Vec<u8>,
    pub(crate) places: BTreeMap<(String, Option<u8>), Place>,
    pub(crate) ended: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) state: String,
    pub(crate) last: Option<u8>,
    pub(crate) taken: BTreeMap<String, u32>,
    pub(crate) signed: BTreeSet<u8>,
    pub(crate) offer: bool,
    pub(crate) timer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum To {
    Agent(u8),
    Conversation,
    Topic,
}

#[derive(Clone, Debug)]
pub(crate) struct NaiveAct {
    pub(crate) sender: u8,
    pub(crate) performative: String,
    pub(crate) schema: Option<String>,
    pub(crate) to: To,
    pub(crate) names_offer: bool,
}

pub(crate) struct Naive {
    pub(crate) definition: Value,
}

type Key = (String, Option<u8>);

impl Naive {
    pub(crate) fn new(stored: &[u8]) -> Self {
        let definition = serde_json::from_slice(stored).unwrap();
        Self { definition }
    }

    fn performatives(&self) -> BTreeSet<&str> {
        let machines = self.definition["machines"].as_object().unwrap().values();
        let states = machines.flat_map(|machine| machine["states"].as_object().unwrap().values());
        let moves = states.flat_map(|state| list(&state["moves"]));
        moves.filter_map(|one| one["performative"].as_str()).collect()
    }

    pub(crate) fn machines(&self) -> Vec<String> {
        let machines = self.definition["machines"].as_object().unwrap();
        let others = machines.keys().filter(|name| *name != "round").cloned();
        std::iter::once("round".to_owned()).chain(others).collect()
    }

    pub(crate) fn state(&self, machine: &str, state: &str) -> &Value {
        &self.definition["machines"][machine]["states"][state]
    }

    fn per(&self, machine: &str) -> Option<&str> {
        self.definition["machines"][machine]["per"].as_str()
    }

    fn initial(&self, machine: &str) -> &str {
        self.definition["machines"][machine]["initial"].as_str().unwrap()
    }

    pub(crate) fn is_final(&self, machine: &str, state: &str) -> bool {
        self.definition["machines"][machine]["finals"].get(state).is_some()
    }

    fn is_single(&self, role: &str) -> bool {
        let count = &self.definition["roles"][role]["count"];
        count.as_u64() == Some(1) || count.as_str() == Some("0..1")
    }

    fn movers(&self, machine: &str) -> BTreeSet<String> {
        let states = self.definition["machines"][machine]["states"].as_object().unwrap();
        let moves = states.values().flat_map(|state| list(&state["moves"]));
        moves.flat_map(|one| list(&one["from"])).map(text).collect()
    }

    fn counterparts(&self, machine: &str, role: &str) -> BTreeSet<String> {
        let mut movers = self.movers(machine);
        if self.per(machine).is_some() || self.is_single(role) {
            movers.remove(role);
        }
        movers
    }

    /// The roles an unbound agent could take.
    fn joinable(&self, config: &Config) -> Vec<String> {
        let roles = self.definition["roles"].as_object().unwrap();
        let open = roles.iter().filter(|(name, role)| {
            let bound = config.bound.values().filter(|found| found == name).count();
            role["binds"] == "first-move" && (!self.is_single(name) || bound == 0)
        });
        open.map(|(name, _)| name.clone()).collect()
    }

    fn roles_of(&self, config: &Config, agent: u8) -> Vec<String> {
        match config.bound.get(&agent) {
            Some(role) => vec![role.clone()],
            None => self.joinable(config),
        }
    }

    /// The configuration after an act; `None` if it is illegal.
    pub(crate) fn step(&self, config: &Config, act: &NaiveAct) -> Option<Config> {
        if config.ended.is_some() {
            return None;
        }
        let performatives = self.performatives();
        if !performatives.contains(act.performative.as_str()) {
            return None;
        }
        for role in self.roles_of(config, act.sender) {
            let mut config = config.clone();
            if config.bound.insert(act.sender, role.clone()).is_none() {
                config.order.push(act.sender);
                config.order.sort_unstable();
            }
            for machine in self.machines() {
                let Some(key) = self.key(&config, &machine, &role, act) else { continue };
                let place = config.places.get(&key).cloned().unwrap_or_else(|| self.fresh(&machine));
                for (index, one) in list(&self.state(&machine, &place.state)["moves"]).iter().enumerate() {
                    if self.fits(&config, (&role, act), (&key, &place), (one, index)) {
                        return Some(self.take(config, act, (key, place), (one, index)));
                    }
                }
            }
        }
        None
    }

    fn key(&self, config: &Config, machine: &str, role: &str, act: &NaiveAct) -> Option<Key> {
        match (self.per(machine), act.to) {
            (None, _) => Some((machine.to_owned(), None)),
            (Some(per), _) if per == role => Some((machine.to_owned(), Some(act.sender))),
            (Some(per), To::Agent(to)) if config.bound.get(&to).is_some_and(|found| found == per) => {
                Some((machine.to_owned(), Some(to)))
            }
            _ => None,
        }
    }

    fn fresh(&self, machine: &str) -> Place {
        Place {
            state: self.initial(machine).to_owned(),
            last: None,
            taken: BTreeMap::new(),
            signed: BTreeSet::new(),
            offer: false,
            timer: false,
        }
    }

    fn fits(
        &self,
        config: &Config,
        (role, act): (&str, &NaiveAct),
        (key, place): (&Key, &Place),
        (one, index): (&Value, usize),
    ) -> bool {
        let taken = place.taken.get(&format!("{}/{index}", place.state)).copied().unwrap_or(0);
        let answers = ["accept-proposal", "reject-proposal"].contains(&act.performative.as_str());
        let counterparts = self.counterparts(&key.0, role);
        let heard = counterparts.is_empty()
            || match act.to {
                To::Conversation => true,
                To::Topic => false,
                To::Agent(to) => {
                    to != act.sender
                        && self.roles_of(config, to).iter().any(|role| counterparts.contains(role))
                }
            };
        one["performative"] == act.performative.as_str()
            && list(&one["from"]).iter().any(|from| from == role)
            && one["schema"].as_str().is_none_or(|schema| Some(schema) == act.schema.as_deref())
            && (one["turn"] != "other" || place.last != Some(act.sender))
            && one["max"].as_u64().is_none_or(|max| u64::from(taken) < max)
            && (!answers || (place.offer && act.names_offer))
            && heard
            && one["guard"].as_str().is_none_or(|guard| holds(config, guard))
    }

    fn take(
        &self,
        mut config: Config,
        act: &NaiveAct,
        (key, mut place): (Key, Place),
        (one, index): (&Value, usize),
    ) -> Config {
        place.last = Some(act.sender);
        if one["max"].is_u64() {
            *place.taken.entry(format!("{}/{index}", place.state)).or_insert(0) += 1;
        }
        if ["propose", "counter-propose"].contains(&act.performative.as_str()) {
            place.offer = true;
        }
        let mut complete = true;
        if one["signatures"] == "all" {
            place.signed.insert(act.sender);
            let named = list(&one["from"]);
            let per = self.per(&key.0);
            complete = config.bound.iter().all(|(agent, role)| {
                let here = per != Some(role.as_str()) || key.1 == Some(*agent);
                !(named.iter().any(|name| name == role) && here) || place.signed.contains(agent)
            });
        }
        config.places.insert(key.clone(), place);
        if complete {
            self.enter(&mut config, &key, one["next"].as_str().unwrap());
        }
        self.settle(config)
    }

    fn enter(&self, config: &mut Config, key: &Key, next: &str) {
        let place = config.places.get_mut(key).unwrap();
        place.state = next.to_owned();
        place.signed.clear();
        place.timer = self.state(&key.0, next).get("timer").is_some();
    }

    /// The configuration after a place's timer.
    pub(crate) fn fire(&self, config: &Config, key: &Key) -> Config {
        let mut config = config.clone();
        let place = &config.places[key];
        let next = text(&self.state(&key.0, &place.state)["timer"]["next"]);
        self.enter(&mut config, key, &next);
        self.settle(config)
    }

    fn settle(&self, mut config: Config) -> Config {
        loop {
            let before = config.clone();
            let mut keys: Vec<Key> = vec![("round".to_owned(), None)];
            for agent in &config.order {
                let of_agent = config.places.keys().filter(|(_, owner)| *owner == Some(*agent));
                keys.extend(of_agent.cloned());
            }
            for key in keys {
                while let Some(next) = self.when(&config, &key) {
                    self.enter(&mut config, &key, &next);
                }
            }
            if config == before {
                break;
            }
        }
        let over = config.places.iter().all(|((machine, _), place)| self.is_final(machine, &place.state));
        if over {
            let round = &config.places[&("round".to_owned(), None)].state;
            config.ended = Some(text(&self.definition["machines"]["round"]["finals"][round]));
        }
        config
    }

    fn when(&self, config: &Config, key: &Key) -> Option<String> {
        let place = &config.places[key];
        let rules = list(&self.state(&key.0, &place.state)["when"]);
        let rule = rules.iter().find(|rule| holds(config, rule["if"].as_str().unwrap()))?;
        Some(text(&rule["next"]))
    }
}

/// Just the forms that the built-in definitions use.
fn holds(config: &Config, expression: &str) -> bool {
    expression.split(" && ").all(|clause| {
        if let Some(state) = clause.strip_prefix("round.state == ") {
            return config.places[&("round".to_owned(), None)].state == quoted(state)[0];
        }
        if let Some(states) = clause.strip_prefix("round.state in ") {
            return quoted(states).contains(&config.places[&("round".to_owned(), None)].state);
        }
        let Some((call, comparison)) = clause.strip_prefix("count(").and_then(|rest| rest.split_once(") "))
        else {
            panic!("the naive interpreter does not know `{clause}`");
        };
        let names = quoted(call);
        let places = config.places.iter();
        let counted =
            places.filter(|((machine, _), place)| *machine == names[0] && place.state == names[1]).count();
        match comparison.split_once(' ') {
            Some(("==", number)) => counted == number.parse::<usize>().unwrap(),
            Some((">", number)) => counted > number.parse::<usize>().unwrap(),
            _ => panic!("the naive interpreter does not know `{comparison}`"),
        }
    })
}

fn quoted(text: &str) -> Vec<String> {
    text.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
