//! What happened how often: refusals by code, faults by kind, states of protocols.

use openmesh_core::Rejection;
use openmesh_schema::Catalog;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Fault,
    Refusal,
    State,
    Traffic,
}

/// Faults that every long run must contain.
const FAULTS: &[&str] = &[
    "input lost",
    "input repeated",
    "input reordered",
    "outcome lost",
    "outcome repeated",
    "outcome reordered",
    "connection lost",
    "crash before store",
    "crash amid store",
    "crash before effects",
    "crash amid effects",
    "records lost in a crash",
    "unsynced records kept by a crash",
    "clean restart",
    "recovered from the log alone",
    "recovered from the newest snapshot",
    "recovered from an older snapshot",
    "clock forward",
    "clock back at restart",
    "long silence",
    "policy changed",
    "policy changed while down",
    "disk full",
    "resent after Unknown",
    "answered as a duplicate",
    "passed by a shortcut",
    "missed by a slow reader",
    "came while effects waited",
];

/// What no run of the simulator can show, and why.
const IMPOSSIBLE: &[(Kind, &str, &str)] = &[
    (
        Kind::Refusal,
        "protocol.timer_due",
        "the partition fires every timer that is due before it takes an act",
    ),
    (Kind::Refusal, "token.scope", "scopes are held to where tokens are shown, at the HTTP listener"),
    (Kind::Refusal, "custody.unavailable", "the custodian's secret is the one that made every key"),
];

/// Counts of one run or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    counts: BTreeMap<(Kind, String), u64>,
}

impl Census {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        for ((kind, name), count) in &other.counts {
            *self.counts.entry((*kind, name.clone())).or_default() += count;
        }
    }

    /// Names of what must occur and occurred less than `least` times, with their counts.
    pub fn missing(&self, least: u64) -> Vec<(String, u64)> {
        let wanted = required().into_iter();
        let counted = wanted.map(|(kind, name)| (format!("{kind:?} {name}"), self.of(kind, &name)));
        counted.filter(|(_, count)| *count < least).collect()
    }

    /// Every count as a line of a table; what must occur stands there even if it did not.
    pub fn table(&self) -> String {
        let mut rows: BTreeMap<(Kind, String), u64> = required().into_iter().map(|row| (row, 0)).collect();
        rows.extend(self.counts.iter().map(|(row, count)| (row.clone(), *count)));
        let mut text = String::new();
        for ((kind, name), count) in rows {
            // Writing to memory cannot fail.
            let _ = writeln!(text, "{:8} {name:52} {count:>9}", format!("{kind:?}").to_lowercase());
        }
        for (_, name, why) in IMPOSSIBLE {
            let _ = writeln!(text, "{name} cannot occur: {why}");
        }
        let _ = writeln!(
            text,
            "{OF_STREAMS}* is not drawn: streams have a model of their own in the core's tests"
        );
        text
    }

    /// How many messages were offered.
    pub fn messages(&self) -> u64 {
        self.of(Kind::Traffic, "messages sent")
    }

    /// How many crashes there were.
    pub fn crashes(&self) -> u64 {
        let crash =
            |((kind, name), _): &(&(Kind, String), &u64)| *kind == Kind::Fault && name.starts_with("crash ");
        self.counts.iter().filter(crash).map(|(_, count)| count).sum()
    }

    pub(crate) fn count(&mut self, kind: Kind, name: &str) {
        *self.counts.entry((kind, name.to_owned())).or_default() += 1;
    }

    fn of(&self, kind: Kind, name: &str) -> u64 {
        let found = self.counts.get(&(kind, name.to_owned()));
        found.copied().unwrap_or(0)
    }
}

/// How the codes of refusals of streams begin.
const OF_STREAMS: &str = "stream.";

/// A state of a machine of a protocol, as it is counted.
pub(crate) fn state_name(protocol: &str, machine: &str, state: &str) -> String {
    format!("{protocol} {machine}={state}")
}

fn required() -> Vec<(Kind, String)> {
    let faults = FAULTS.iter().map(|name| (Kind::Fault, (*name).to_owned()));
    let refusals = Rejection::codes().filter(|code| !code.starts_with(OF_STREAMS));
    let refusals = refusals.map(|code| (Kind::Refusal, code.to_owned()));
    let mut all: Vec<_> = faults.chain(refusals).collect();
    for protocol in Catalog::builtin().protocols() {
        let name = protocol.pinned().versioned.name.short();
        for (machine, definition) in &protocol.definition().machines {
            let states = definition.states.keys().chain(definition.finals.keys());
            all.extend(states.map(|state| (Kind::State, state_name(&name, machine, state))));
        }
    }
    let excepted: Vec<_> = IMPOSSIBLE.iter().map(|(kind, name, _)| (*kind, (*name).to_owned())).collect();
    all.retain(|row| !excepted.contains(row));
    all
}
