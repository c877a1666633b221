//! An agent's inbox: held mail with leases, delays, expiry, recalls and dead letters. Holds where messages are, not messages.
//!
//! An inbox without mail is a few counts. What it holds is `held.rs`; a backlog is one run of numbers in it, and who
//! reads it keeps no place: the first ready number is the cursor.

mod all;
mod cells;
mod entry;
mod held;
mod runs;
mod senders;
mod stored;
#[cfg(test)]
mod tests;

pub(crate) use all::Inboxes;
pub use entry::{Entry, EntryState};
pub(crate) use entry::{bytes_in_reply, bytes_in_reply_at_most};
pub(crate) use stored::StoredInbox;

use crate::planted::{self, Planted};
use crate::record::Settlement;
use entry::REPLY_BYTES_MAX;
use held::Held;
use openmesh_message::frame::InboxCounts;
use openmesh_message::{AgentId, Priority, Timestamp};
use std::collections::BTreeSet;

/// Entries that one settlement covers; the rest follow in the next.
const SETTLED_MAX: usize = 1_000;

/// One agent's inbox. Changed only by applying records.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    /// The last number given in it.
    put: u64,
    /// The last number given among its events.
    events: u64,
    last_token: u64,
    acknowledged: u64,
    ends: Option<Box<RareEnds>>,
    held: Option<Box<Held>>,
}

/// How messages end that are not acknowledged.
#[derive(Clone, Copy, Debug, Default)]
struct RareEnds {
    expired: u64,
    dead_lettered: u64,
    recalled: u64,
}

impl PartialEq for Inbox {
    fn eq(&self, other: &Self) -> bool {
        let sums = |inbox: &Self| (inbox.put, inbox.events, inbox.last_token, inbox.counts());
        sums(self) == sums(other) && self.entries().eq(other.entries())
    }
}

impl Inbox {
    /// The conservation sum.
    pub fn counts(&self) -> InboxCounts {
        let RareEnds { expired, dead_lettered, recalled } = self.ends.as_deref().copied().unwrap_or_default();
        let (pending, acknowledged) = (self.pending(), self.acknowledged);
        let ended = [acknowledged, expired, dead_lettered, recalled];
        let accepted = ended.into_iter().fold(pending, u64::saturating_add);
        InboxCounts { accepted, pending, acknowledged, expired, dead_lettered, recalled }
    }

    /// How many messages have not ended.
    pub fn pending(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.count())
    }

    /// Every entry that has not ended, by number.
    pub fn entries(&self) -> impl Iterator<Item = (u64, Entry)> {
        self.held.iter().flat_map(|held| held.entries())
    }

    /// The token of the latest lease.
    pub const fn last_token(&self) -> u64 {
        self.last_token
    }

    /// How many messages of a sender have not ended.
    pub fn pending_of(&self, sender: &AgentId) -> u64 {
        self.held.as_ref().map_or(0, |held| held.count_of(sender))
    }

    /// The last number given in the inbox, and the last among its events.
    pub(crate) const fn last_numbers(&self) -> (u64, u64) {
        (self.put, self.events)
    }

    pub(crate) const fn note_put(&mut self, number: u64) {
        self.put = number;
    }

    pub(crate) const fn note_event(&mut self, number: u64) {
        self.events = number;
    }

    /// When something in the inbox changes by itself.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.held.as_ref()?.next_deadline()
    }

    /// What time alone has settled at `now`: ended leases and delays, expired messages.
    pub(crate) fn due(&self, now: Timestamp, deliveries_max: u32) -> Settlement {
        let mut settlement = Settlement::default();
        let Some(held) = &self.held else { return settlement };
        let mut seen = BTreeSet::new();
        held.due(now, |number| {
            if seen.insert(number) {
                self.settle_by_time(number, now, deliveries_max, &mut settlement);
            }
            seen.len() < SETTLED_MAX
        });
        settlement
    }

    fn settle_by_time(&self, number: u64, now: Timestamp, deliveries_max: u32, into: &mut Settlement) {
        let Some(held) = &self.held else { return };
        if held.expiry(number).is_some_and(|expiry| expiry <= now) {
            into.expired.push(number);
        } else if held.attempts(number) >= deliveries_max {
            into.dead_lettered.push(number);
        } else {
            into.returned.push((number, now));
        }
    }

    /// How urgent the most urgent message is that can be leased.
    pub(crate) fn most_urgent(&self) -> Option<Priority> {
        self.held.as_ref()?.most_urgent()
    }

    /// The numbers of messages that can be leased and are at least so urgent, the most urgent and oldest first: at least
    /// one, if there is one, then up to `messages_max` and what fits a reply.
    pub(crate) fn leasable(&self, messages_max: usize, least: Priority) -> Vec<u64> {
        let Some(held) = &self.held else { return Vec::new() };
        let mut bytes: u32 = 0;
        let fits = |number: &u64| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(held.bytes(*number).max(1));
            is_first || bytes <= REPLY_BYTES_MAX
        };
        held.ready(least).take(messages_max).take_while(fits).collect()
    }

    /// The numbers after `after` of what is of use at `now`, up to `messages_max` and what fits a reply; and whether more
    /// follow.
    pub(crate) fn seen(&self, after: u64, messages_max: usize, now: Timestamp) -> (Vec<u64>, bool) {
        let mut bytes: u32 = 0;
        let mut numbers = Vec::new();
        let Some(held) = &self.held else { return (numbers, false) };
        for (number, entry_bytes) in held.after(after) {
            if held.expiry(number).is_some_and(|expiry| expiry <= now) {
                continue;
            }
            bytes = bytes.saturating_add(entry_bytes);
            if numbers.len() >= messages_max || (bytes > REPLY_BYTES_MAX && !numbers.is_empty()) {
                return (numbers, true);
            }
            numbers.push(number);
        }
        (numbers, false)
    }

    /// Which of `numbers` (all, if empty) are leased under `token`; `None` if any is not.
    pub(crate) fn leased_under(&self, token: u64, numbers: &[u64]) -> Option<Vec<u64>> {
        let held = self.held.as_ref()?;
        if numbers.is_empty() && !planted::has(Planted::IgnoreToken) {
            return held.leased_under(token);
        }
        if numbers.is_empty() {
            let leased = held.entries().filter(|(number, _)| held.token(*number) != 0);
            let leased: Vec<_> = leased.map(|(number, _)| number).collect();
            return Some(leased).filter(|leased| !leased.is_empty());
        }
        let under = |number: u64| match held.token(number) {
            0 => false,
            named => named == token || planted::has(Planted::IgnoreToken),
        };
        let numbers: BTreeSet<_> = numbers.iter().copied().collect();
        let all = numbers.iter().all(|number| under(*number));
        all.then(|| numbers.into_iter().collect())
    }

    /// Splits entries given back into those that may be tried again and those tried too often.
    pub(crate) fn give_back(&self, numbers: &[u64], until: Timestamp, deliveries_max: u32) -> Settlement {
        let mut settlement = Settlement::default();
        let Some(held) = &self.held else { return settlement };
        for number in numbers.iter().filter(|number| held.has(**number)) {
            if held.attempts(*number) >= deliveries_max {
                settlement.dead_lettered.push(*number);
            } else {
                settlement.returned.push((*number, until));
            }
        }
        settlement
    }

    pub(crate) fn get(&self, number: u64) -> Option<Entry> {
        self.held.as_ref()?.get(number)
    }

    /// Takes an entry in. A number is given once: a record that gives one again, which none of ours does, changes nothing.
    pub(crate) fn put(&mut self, number: u64, entry: &Entry) {
        self.held.get_or_insert_default().put(number, entry);
    }

    pub(crate) fn lease(&mut self, token: u64, until: Timestamp, numbers: &[u64]) {
        self.last_token = self.last_token.max(token);
        if let Some(held) = &mut self.held {
            held.lease(token, until, numbers);
        }
    }

    pub(crate) fn extend(&mut self, token: u64, until: Timestamp) {
        if let Some(held) = &mut self.held {
            held.extend(token, until);
        }
    }

    /// Applies a settlement made at `at`.
    pub(crate) fn settle(&mut self, settlement: &Settlement, at: Timestamp) {
        self.acknowledged = self.acknowledged.saturating_add(self.end(&settlement.acknowledged));
        let ends = RareEnds {
            expired: self.end(&settlement.expired),
            dead_lettered: self.end(&settlement.dead_lettered),
            recalled: 0,
        };
        self.count(ends);
        for (number, until) in &settlement.returned {
            let state = if *until > at { EntryState::Delayed(*until) } else { EntryState::Ready };
            if let Some(held) = &mut self.held {
                held.change(*number, state);
            }
        }
    }

    /// Ends a message as called back.
    pub(crate) fn recall(&mut self, number: u64) {
        let recalled = self.end(&[number]);
        self.count(RareEnds { recalled, ..RareEnds::default() });
    }

    /// Ends messages; how many were there.
    fn end(&mut self, numbers: &[u64]) -> u64 {
        let Some(held) = &mut self.held else { return 0 };
        let ended = numbers.iter().map(|number| u64::from(held.end(*number))).sum();
        if held.count() == 0 {
            self.held = None;
        }
        ended
    }

    fn count(&mut self, more: RareEnds) {
        if more.expired | more.dead_lettered | more.recalled > 0 {
            let ends = self.ends.get_or_insert_default();
            ends.expired = ends.expired.saturating_add(more.expired);
            ends.dead_lettered = ends.dead_lettered.saturating_add(more.dead_lettered);
            ends.recalled = ends.recalled.saturating_add(more.recalled);
        }
    }
}
