//! G5: everything put into an inbox is there, or has ended in exactly one way; what was acknowledged stays away.

use super::event::{Ending, Event, Handed, MessageName, Outcome, Put};
use crate::violation::Violation;
use std::collections::{BTreeMap, BTreeSet};

const CONSERVED: &str = "G5 accepted = acknowledged + pending + expired + dead-lettered + recalled";
const ONE_END: &str = "G5 mail ends in exactly one way";
const STAYS_ENDED: &str = "G5 mail that ended does not come back";
const COMES_BACK: &str = "G5 mail that did not end is still there";
const TOLD: &str = "G5 what an agent was told of its mail is in the log";
const TOKENS: &str = "G5 fencing tokens grow";
const SAME: &str = "G5 what is leased is what was put there";

const ENDINGS: [Ending; 4] = [Ending::Acknowledged, Ending::Expired, Ending::DeadLettered, Ending::Recalled];

/// One inbox.
#[derive(Debug, Default)]
struct Inbox {
    /// Read in the log and not ended.
    pending: BTreeMap<u64, Option<(String, String)>>,
    ended: BTreeMap<u64, Ending>,
    ends: [u64; ENDINGS.len()],
    put: u64,
    token: u64,
    /// What agents were told, to be found in the log when it is read next.
    promised: BTreeMap<u64, Ending>,
    /// Acknowledged or called back, as agents were told.
    away: BTreeSet<u64>,
    leased: BTreeMap<u64, (String, String)>,
    counts: Option<Counts>,
    held: Option<BTreeSet<u64>>,
    /// Put in before the log was last read.
    settled_through: u64,
}

/// What a node says of an inbox.
#[derive(Clone, Copy, Debug)]
struct Counts {
    accepted: u64,
    /// By [`ENDINGS`].
    ends: [u64; ENDINGS.len()],
}

/// Every inbox.
#[derive(Debug, Default)]
pub(super) struct Inboxes {
    /// The log reported lost records, so that not every entry is known.
    has_losses: bool,
    by_agent: BTreeMap<String, Inbox>,
    pub(super) leased: u64,
}

impl Inboxes {
    pub(super) fn lease(&mut self, agent: &str, token: u64, messages: &[Handed], found: &mut Vec<Violation>) {
        let inbox = self.by_agent.entry(agent.to_owned()).or_default();
        if token <= inbox.token {
            found.push(Violation::new(TOKENS, format!("{agent}: {token} after {}", inbox.token)));
        }
        inbox.token = inbox.token.max(token);
        for message in messages {
            self.leased += 1;
            if inbox.away.contains(&message.number) {
                let what = format!("{agent}: {} is leased again after it ended", message.number);
                found.push(Violation::new(STAYS_ENDED, what));
            }
            inbox.leased.insert(message.number, (message.sender.clone(), message.id.clone()));
        }
    }

    pub(super) fn end(&mut self, agent: &str, numbers: &[u64], ending: Ending, outcome: Outcome) {
        if outcome != Outcome::Done {
            return;
        }
        let inbox = self.by_agent.entry(agent.to_owned()).or_default();
        for number in numbers {
            inbox.away.insert(*number);
            inbox.promised.insert(*number, ending);
        }
    }

    /// Reads what a record put into inboxes.
    pub(super) fn put(&mut self, put: &Put, message: Option<&MessageName>) {
        let inbox = self.by_agent.entry(put.agent.clone()).or_default();
        inbox.put += 1;
        let message = message.filter(|_| !put.is_notice);
        let content = message.map(|message| (message.sender.clone(), message.id.clone()));
        inbox.pending.insert(put.number, content);
    }

    /// Reads an ending.
    pub(super) fn ended(&mut self, agent: &str, number: u64, ending: Ending, found: &mut Vec<Violation>) {
        let inbox = self.by_agent.entry(agent.to_owned()).or_default();
        let Some(content) = inbox.pending.remove(&number) else {
            if self.has_losses {
                inbox.ended.insert(number, ending);
                return;
            }
            let before = inbox.ended.get(&number);
            let what = format!("{agent}: {number} ends as {ending:?}; before: {before:?}");
            return found.push(Violation::new(ONE_END, what));
        };
        compare(agent, number, content, inbox.leased.remove(&number), found);
        inbox.ended.insert(number, ending);
        for (counted, count) in ENDINGS.iter().zip(&mut inbox.ends) {
            *count += u64::from(*counted == ending);
        }
    }

    pub(super) fn counts(&mut self, event: &Event, found: &mut Vec<Violation>) {
        let Event::Counts { agent, accepted, pending, acknowledged, expired, dead_lettered, recalled } =
            event
        else {
            return;
        };
        let ends = [*acknowledged, *expired, *dead_lettered, *recalled];
        let ended: u64 = ends.iter().sum();
        if *accepted != pending + ended {
            let what = format!("{agent}: {accepted} accepted, {pending} pending, {ends:?}");
            found.push(Violation::new(CONSERVED, what));
        }
        let inbox = self.by_agent.entry(agent.clone()).or_default();
        let said = Counts { accepted: *accepted, ends };
        // It may have gone on since the log was read; it cannot have gone back.
        let read = inbox.read();
        if !self.has_losses && !read.is_within(&said) {
            found.push(Violation::new(
                CONSERVED,
                format!("{agent}: the log has {read:?}, the node says {said:?}"),
            ));
        }
        inbox.counts = Some(said);
    }

    pub(super) fn held(&mut self, agent: &str, numbers: &[u64]) {
        let inbox = self.by_agent.entry(agent.to_owned()).or_default();
        inbox.held = Some(numbers.iter().copied().collect());
    }

    /// Records were lost: what they put or ended cannot be told.
    pub(super) fn forgive(&mut self) {
        self.has_losses = true;
    }

    /// The whole log was read.
    pub(super) fn head(&mut self, found: &mut Vec<Violation>) {
        for (agent, inbox) in &mut self.by_agent {
            if self.has_losses {
                inbox.promised.clear();
                (inbox.counts, inbox.held) = (None, None);
                inbox.leased.clear();
            }
            inbox.check(agent, found);
        }
    }
}

impl Inbox {
    fn check(&mut self, agent: &str, found: &mut Vec<Violation>) {
        for (number, ending) in std::mem::take(&mut self.promised) {
            let ended = self.ended.get(&number);
            if ended != Some(&ending) {
                let what = format!("{agent}: {number} was {ending:?}, the log says {ended:?}");
                found.push(Violation::new(TOLD, what));
            }
        }
        if let Some(said) = self.counts.take() {
            let read = self.read();
            if !said.is_within(&read) {
                let what = format!("{agent}: the node said {said:?}, the log has {read:?}");
                found.push(Violation::new(CONSERVED, what));
            }
        }
        if let Some(held) = self.held.take() {
            let through = self.settled_through;
            let gone = self.pending.range(..=through).map(|(number, _)| *number);
            let gone: Vec<_> = gone.filter(|number| !held.contains(number)).collect();
            if !gone.is_empty() {
                found.push(Violation::new(COMES_BACK, format!("{agent}: {gone:?} did not end and are gone")));
            }
            // What ended after the look was there when it was looked at: only what agents were told is sure.
            let back: Vec<_> = held.iter().filter(|number| self.away.contains(*number)).collect();
            if !back.is_empty() {
                found.push(Violation::new(STAYS_ENDED, format!("{agent}: {back:?} ended and are there")));
            }
        }
        for (number, leased) in std::mem::take(&mut self.leased) {
            match self.pending.get(&number) {
                Some(content) => compare(agent, number, content.clone(), Some(leased), found),
                None if self.ended.contains_key(&number) => {}
                None => {
                    found.push(Violation::new(
                        SAME,
                        format!("{agent}: {number} was leased and never put there"),
                    ));
                }
            }
        }
        let (pending, ended) = (self.pending.last_key_value(), self.ended.last_key_value());
        let last = |number: Option<&u64>| number.copied().unwrap_or(0);
        self.settled_through =
            last(pending.map(|(number, _)| number)).max(last(ended.map(|(number, _)| number)));
    }

    fn read(&self) -> Counts {
        Counts { accepted: self.put, ends: self.ends }
    }
}

impl Counts {
    /// Whether every number is at most the other's.
    fn is_within(&self, other: &Self) -> bool {
        self.accepted <= other.accepted && self.ends.iter().zip(&other.ends).all(|(one, other)| one <= other)
    }
}

fn compare(
    agent: &str,
    number: u64,
    put: Option<(String, String)>,
    leased: Option<(String, String)>,
    found: &mut Vec<Violation>,
) {
    if let (Some(put), Some(leased)) = (put, leased)
        && put != leased
    {
        found.push(Violation::new(SAME, format!("{agent}: {number} is {put:?}, leased was {leased:?}")));
    }
}
