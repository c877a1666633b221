//! G1, kept apart from the core: what is not kept reaches who listens at most once, in its sender's order, and what is missed is
//! told; nothing that the rules in force, or the ways topics are kept, forbid is passed on.

use super::listening::{Subject, matches};
use crate::policies::{self, Taken};
use crate::violation::{Violation, ensure};
use openmesh_core::{ConnectionId, Effect, Plan, Ticket};
use openmesh_message::frame::{Delivery, Reply};
use openmesh_message::{ControlAttributes, Envelope, Priority, Target, TopicPath, json};
use std::collections::{BTreeMap, BTreeSet};

const ONCE: &str = "what is not kept is handed over once";
const IN_ORDER: &str = "what is handed over was sent to it, once, in its sender's order";
const TOLD: &str = "whoever misses something is told how much";

type Key = (ConnectionId, u64);

/// Who listens, and what they have heard.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    by_key: BTreeMap<Key, Listener>,
    /// Names of the agents that are connected.
    names: BTreeMap<ConnectionId, String>,
    /// The place of the policy in force among all.
    policy: usize,
    /// Patterns whose topics are kept.
    kept: BTreeSet<String>,
}

#[derive(Debug)]
struct Listener {
    pattern: String,
    /// The command that began it; its answer says that from then on nothing is passed over.
    begun_by: Ticket,
    is_confirmed: bool,
    has_ended: bool,
    /// Its number stood for another subscription whose end was not performed yet.
    is_blurred: bool,
    offered: Vec<Offered>,
    /// Where among what was offered the next message of each sender and lane is looked for.
    next: BTreeMap<(ConnectionId, Priority), usize>,
    numbers: BTreeSet<u64>,
    missed: u64,
}

/// A message that a listener may be handed.
#[derive(Debug)]
struct Offered {
    from: ConnectionId,
    lane: Priority,
    id: String,
    /// It is handed it, or told that it missed it.
    is_due: bool,
}

impl Hearing {
    pub(crate) fn clear(&mut self) {
        self.by_key.clear();
        self.names.clear();
    }

    /// A node begins: what it had said of topics may be lost with what was not synced.
    pub(crate) fn begin(&mut self, policy: Option<usize>, is_kept: impl Fn(&TopicPath) -> bool) {
        self.policy = policy.unwrap_or(self.policy);
        self.kept
            .retain(|pattern| pattern.parse().is_ok_and(|topic| is_kept(&topic)) || pattern.contains('*'));
    }

    pub(crate) fn join(&mut self, connection: ConnectionId, name: String) {
        self.names.insert(connection, name);
    }

    pub(crate) fn leave(&mut self, connection: ConnectionId) {
        self.by_key.retain(|key, _| key.0 != connection);
        self.names.remove(&connection);
    }

    /// The policy in force is that of this place.
    pub(crate) fn rule(&mut self, place: usize) {
        self.policy = place;
    }

    /// Topics of a pattern are kept from now on, or not any more.
    pub(crate) fn keep(&mut self, pattern: &str, is_kept: bool) {
        if is_kept {
            self.kept.insert(pattern.to_owned());
        } else {
            self.kept.remove(pattern);
        }
    }

    /// Notes what was decided of subscriptions.
    pub(crate) fn plan(&mut self, subject: &Subject, plan: &Plan) {
        let done = |ticket: Ticket| {
            plan.effects.iter().any(|effect| *effect == Effect::Reply(ticket, Ok(Reply::Done)))
        };
        match subject {
            Subject::Begins(ticket, number, pattern, _) if done(*ticket) => {
                let key = (ticket.connection, *number);
                let listener = Listener {
                    pattern: pattern.rsplit("topic:").next().unwrap_or_default().to_owned(),
                    begun_by: *ticket,
                    is_confirmed: false,
                    has_ended: false,
                    is_blurred: self.by_key.contains_key(&key),
                    offered: Vec::new(),
                    next: BTreeMap::new(),
                    numbers: BTreeSet::new(),
                    missed: 0,
                };
                self.by_key.insert(key, listener);
            }
            Subject::Ends(ticket, number) if done(*ticket) => {
                if let Some(listener) = self.by_key.get_mut(&(ticket.connection, *number)) {
                    listener.has_ended = true;
                }
            }
            _ => {}
        }
    }

    /// A command was answered.
    pub(crate) fn answer(&mut self, ticket: Ticket) {
        let begun = self.by_key.values_mut().filter(|listener| listener.begun_by == ticket);
        begun.for_each(|listener| listener.is_confirmed = true);
    }

    /// The end of a subscription was performed.
    pub(crate) fn end(&mut self, key: Key) {
        if self.by_key.get(&key).is_some_and(|listener| listener.has_ended) {
            self.by_key.remove(&key);
        }
    }

    /// A message was passed on: by the partition, or by a shortcut.
    pub(crate) fn take(&mut self, from: ConnectionId, envelope: &Envelope) -> Result<(), Violation> {
        let control = ControlAttributes::parse(&envelope.attributes)
            .map_err(|error| Violation::new("what is passed on can be read", error.to_string()))?;
        let Target::Topic(topic) = &control.to.target else { return Ok(()) };
        let topic = topic.as_str();
        let taken = Taken {
            topic: Some(topic),
            performative: control.performative.as_str(),
            role: None,
            sender: self.names.get(&from).map(String::as_str),
        };
        let is_forbidden = policies::forbids(self.policy, &taken);
        let shown = || format!("{} to {topic} under policy {}", control.id, self.policy);
        ensure(!is_forbidden, "nothing is passed on that the policy in force forbids", shown)?;
        let is_kept = self.kept.iter().any(|pattern| matches(pattern, topic));
        ensure(!is_kept, "nothing unsigned passes to a topic that is kept", shown)?;
        let is_json = control.content_type.as_deref() == Some("application/json");
        let is_sound = !is_json || json::parse_strict(&envelope.payload).is_ok();
        ensure(is_sound, "what is said to be JSON is JSON", shown)?;
        for (key, listener) in &mut self.by_key {
            let name = self.names.get(&key.0).map(String::as_str);
            if matches(&listener.pattern, topic) && policies::may_hear(self.policy, name, topic) {
                let is_due = listener.is_confirmed && !listener.has_ended;
                let (lane, id) = (control.priority, control.id.to_string());
                listener.offered.push(Offered { from, lane, id, is_due });
            }
        }
        Ok(())
    }

    /// A connection reads a delivery; how many messages it says were missed.
    pub(crate) fn hear(&mut self, connection: ConnectionId, delivery: &Delivery) -> Result<u64, Violation> {
        let (Delivery::Message { subscription, .. } | Delivery::Gap { subscription, .. }) = delivery;
        if *subscription == 0 {
            return Ok(0);
        }
        let key = (connection, *subscription);
        let ended = || Violation::new("nothing comes after a subscription's end", format!("{key:?}"));
        let listener = self.by_key.get_mut(&key).ok_or_else(ended)?;
        if listener.is_blurred {
            return Ok(0);
        }
        match delivery {
            Delivery::Message { number, envelope, .. } => listener.hear(*number, envelope).map(|()| 0),
            Delivery::Gap { first, last, .. } => listener.miss(*first, *last),
        }
    }

    /// A connection has read all that waited: each message that was due was handed over, or said to be missed.
    pub(crate) fn check(&self, connection: ConnectionId) -> Result<(), Violation> {
        let range = (connection, 0)..=(connection, u64::MAX);
        for (key, listener) in self.by_key.range(range).filter(|(_, listener)| !listener.is_blurred) {
            let told = listener.numbers.len() as u64;
            let due = listener.offered.iter().filter(|offered| offered.is_due).count() as u64;
            let offered = listener.offered.len() as u64;
            let is_whole = listener.numbers.last().is_none_or(|last| *last == told);
            ensure(is_whole && due <= told && told <= offered, TOLD, || {
                format!(
                    "{key:?} `{}`: {due} were due of {offered}, {told} told of, {} of them missed",
                    listener.pattern, listener.missed
                )
            })?;
        }
        Ok(())
    }
}

impl Listener {
    fn hear(&mut self, number: u64, envelope: &Envelope) -> Result<(), Violation> {
        ensure(self.numbers.insert(number), ONCE, || format!("number {number} of `{}`", self.pattern))?;
        let id = envelope.attributes.get("id").unwrap_or_default();
        let found = self.offered.iter().enumerate().find(|(place, offered)| {
            let next = self.next.get(&(offered.from, offered.lane)).copied().unwrap_or(0);
            *place >= next && offered.id == id
        });
        let Some((place, offered)) = found else {
            return Err(Violation::new(IN_ORDER, format!("{id} to `{}` as number {number}", self.pattern)));
        };
        self.next.insert((offered.from, offered.lane), place + 1);
        Ok(())
    }

    fn miss(&mut self, first: u64, last: u64) -> Result<u64, Violation> {
        for number in first..=last {
            ensure(self.numbers.insert(number), ONCE, || format!("number {number} of `{}`", self.pattern))?;
        }
        let missed = (last + 1).saturating_sub(first);
        self.missed += missed;
        Ok(missed)
    }
}
