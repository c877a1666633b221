//! G1: what is not kept is heard at most once, in its sender's order, and whoever misses something is told.

use crate::violation::Violation;
use std::collections::{BTreeMap, BTreeSet};

const SENT: &str = "G1 only what was sent is heard";
const IN_ORDER: &str = "G1 what one sender sends is heard in order, and once";
const NUMBERED: &str = "G1 numbers go on, and each gap is told";
const TOLD: &str = "G1 what is passed over was missed, and that is told";

/// A connection, and the place of a message among all that was sent on it and is not kept.
type Said = (u64, u64);

/// All that is not kept.
#[derive(Debug, Default)]
pub(super) struct Air {
    /// By sender and id.
    said: BTreeMap<(String, String), Said>,
    /// How many were sent on a connection.
    counts: BTreeMap<u64, u64>,
    refused: BTreeSet<Said>,
    sessions: BTreeMap<u64, Session>,
    pub(super) heard: u64,
    pub(super) missed: u64,
}

/// One subscription on one connection.
#[derive(Debug, Default)]
struct Session {
    last_number: u64,
    missed: u64,
    /// The place of the last that was heard of each connection.
    last: BTreeMap<u64, u64>,
    /// Places that were passed over, the first and the last.
    passed_over: Vec<(u64, u64, u64)>,
}

impl Air {
    pub(super) fn say(&mut self, connection: u64, sender: &str, id: &str) {
        let place = self.counts.entry(connection).or_default();
        *place += 1;
        self.said.insert((sender.to_owned(), id.to_owned()), (connection, *place));
    }

    pub(super) fn refuse(&mut self, sender: &str, id: &str) {
        let said = self.said.get(&(sender.to_owned(), id.to_owned()));
        self.refused.extend(said);
    }

    pub(super) fn tune(&mut self, session: u64) {
        self.sessions.insert(session, Session::default());
    }

    pub(super) fn hear(
        &mut self,
        (session, number): (u64, u64),
        (sender, id): (&str, &str),
        found: &mut Vec<Violation>,
    ) {
        self.heard += 1;
        let heard = self.sessions.entry(session).or_default();
        heard.count(session, number, number, found);
        let Some((connection, place)) = self.said.get(&(sender.to_owned(), id.to_owned())) else {
            found.push(Violation::new(SENT, format!("{id} of {sender} in session {session}")));
            return;
        };
        match heard.last.insert(*connection, *place) {
            Some(before) if *place <= before => {
                let what = format!(
                    "session {session} heard {id}, the {place}th of its connection, after the {before}th"
                );
                found.push(Violation::new(IN_ORDER, what));
            }
            Some(before) if *place > before + 1 => {
                heard.passed_over.push((*connection, before + 1, place - 1));
            }
            _ => {}
        }
    }

    pub(super) fn miss(&mut self, session: u64, first: u64, last: u64, found: &mut Vec<Violation>) {
        let missed = (last + 1).saturating_sub(first);
        self.missed += missed;
        let heard = self.sessions.entry(session).or_default();
        heard.missed += missed;
        heard.count(session, first, last, found);
    }

    /// The node has ended, and with it every session.
    pub(super) fn head(&mut self, found: &mut Vec<Violation>) {
        for (session, heard) in std::mem::take(&mut self.sessions) {
            let passed_over = heard.passed_over.iter().flat_map(|(connection, first, last)| {
                (*first..=*last).map(|place| (*connection, place)).filter(|said| !self.refused.contains(said))
            });
            let passed_over = passed_over.count() as u64;
            if passed_over > heard.missed {
                let what = format!("session {session}: {passed_over} passed over, {} told of", heard.missed);
                found.push(Violation::new(TOLD, what));
            }
        }
        self.said.clear();
        self.counts.clear();
        self.refused.clear();
    }
}

impl Session {
    fn count(&mut self, session: u64, first: u64, last: u64, found: &mut Vec<Violation>) {
        if first != self.last_number + 1 || last < first {
            let what = format!("session {session}: {first} to {last} after {}", self.last_number);
            found.push(Violation::new(NUMBERED, what));
        }
        self.last_number = last;
    }
}
