//! An agent's inbox: held mail with leases, delays, expiry, recalls and dead letters. Holds where messages are, not messages.

use crate::planted::{self, Planted};
use crate::record::Settlement;
use openmesh_message::frame::InboxCounts;
use openmesh_message::limits::{ATTRIBUTES_BYTES_MAX, FRAME_BYTES_MAX};
use openmesh_message::{AgentId, Priority, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Entries that one settlement covers; the rest follow in the next.
const SETTLED_MAX: usize = 1_000;

/// Bytes of the messages of one lease, so that its reply fits a frame.
const LEASE_BYTES_MAX: u32 = (FRAME_BYTES_MAX / 2) as u32;

/// One agent's inbox. Changed only by applying records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredInbox")]
pub struct Inbox {
    counts: InboxCounts,
    last_token: u64,
    entries: BTreeMap<u64, Entry>,
    ready: BTreeSet<(Priority, u64)>,
    timers: BTreeSet<(Timestamp, u64)>,
    /// How many of each sender's messages have not ended.
    #[serde(skip_serializing)]
    by_sender: BTreeMap<AgentId, u64>,
    /// What is leased under each token.
    #[serde(skip_serializing)]
    leases: BTreeMap<u64, BTreeSet<u64>>,
}

/// An inbox as snapshots have it.
#[derive(Deserialize)]
struct StoredInbox {
    counts: InboxCounts,
    last_token: u64,
    entries: BTreeMap<u64, Entry>,
    ready: BTreeSet<(Priority, u64)>,
    timers: BTreeSet<(Timestamp, u64)>,
}

impl From<StoredInbox> for Inbox {
    fn from(stored: StoredInbox) -> Self {
        let StoredInbox { counts, last_token, entries, ready, timers } = stored;
        let (mut by_sender, mut leases) = (BTreeMap::new(), BTreeMap::<u64, BTreeSet<u64>>::new());
        for (number, entry) in &entries {
            if let Some(sender) = entry.sender {
                *by_sender.entry(sender).or_default() += 1;
            }
            if let EntryState::Leased(token, _) = entry.state {
                leases.entry(token).or_default().insert(*number);
            }
        }
        Self { counts, last_token, entries, ready, timers, by_sender, leases }
    }
}

/// One message in an inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The record that holds it.
    pub seq: u64,
    /// Which notice of the record's step; `None` is the message itself.
    pub notice: Option<u16>,
    /// Bytes of its payload.
    pub bytes: u32,
    /// How urgent it is.
    pub priority: Priority,
    /// After this time it is of no use.
    pub expiry: Option<Timestamp>,
    /// How often it was leased.
    pub attempts: u32,
    /// Whether it can be leased.
    pub state: EntryState,
    /// Who sent it; `None` for notices, and for what a snapshot of version 1 holds.
    #[serde(default)]
    pub sender: Option<AgentId>,
    /// Whether it is an act of a conversation.
    #[serde(default)]
    pub is_act: bool,
}

/// Whether an entry can be leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryState {
    /// Can be leased.
    Ready,
    /// Can be leased from this time on.
    Delayed(Timestamp),
    /// Leased under this token until this time.
    Leased(u64, Timestamp),
}

impl Inbox {
    /// The conservation sum.
    pub const fn counts(&self) -> InboxCounts {
        self.counts
    }

    /// Every entry that has not ended, by number.
    pub fn entries(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.entries.iter().map(|(number, entry)| (*number, entry))
    }

    /// The token of the latest lease.
    pub const fn last_token(&self) -> u64 {
        self.last_token
    }

    /// How many messages of a sender have not ended.
    pub fn pending_of(&self, sender: &AgentId) -> u64 {
        self.by_sender.get(sender).copied().unwrap_or_default()
    }

    /// When something in the inbox changes by itself.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|(time, _)| *time)
    }

    /// What time alone has settled at `now`: ended leases and delays, expired messages.
    pub(crate) fn due(&self, now: Timestamp, deliveries_max: u32) -> Settlement {
        let mut settlement = Settlement::default();
        let mut seen = BTreeSet::new();
        for (_, number) in self.timers.iter().take_while(|(time, _)| *time <= now).take(SETTLED_MAX) {
            let Some(entry) = self.entries.get(number).filter(|_| seen.insert(*number)) else {
                continue;
            };
            if entry.expiry.is_some_and(|expiry| expiry <= now) {
                settlement.expired.push(*number);
            } else if entry.attempts >= deliveries_max {
                settlement.dead_lettered.push(*number);
            } else {
                settlement.returned.push((*number, now));
            }
        }
        settlement
    }

    /// How urgent the most urgent message is that can be leased.
    pub(crate) fn most_urgent(&self) -> Option<Priority> {
        self.ready.first().map(|(priority, _)| *priority)
    }

    /// The numbers of messages that can be leased and are at least so urgent, the most urgent and oldest first: at least
    /// one, if there is one, then up to `messages_max` and [`LEASE_BYTES_MAX`].
    pub(crate) fn leasable(&self, messages_max: usize, least: Priority) -> Vec<u64> {
        let mut bytes = 0;
        let fits = |number: &u64| {
            let entry_bytes = self.entries.get(number).map_or(0, |entry| entry.bytes);
            let is_first = bytes == 0;
            bytes += entry_bytes + ATTRIBUTES_BYTES_MAX as u32;
            is_first || bytes <= LEASE_BYTES_MAX
        };
        let ready = self.ready.iter().take_while(|(priority, _)| *priority <= least);
        ready.take(messages_max).map(|(_, number)| *number).take_while(fits).collect()
    }

    /// The numbers after `after` of what is of use at `now`, up to `messages_max` and [`LEASE_BYTES_MAX`]; and whether more
    /// follow.
    pub(crate) fn seen(&self, after: u64, messages_max: usize, now: Timestamp) -> (Vec<u64>, bool) {
        let mut bytes = 0;
        let mut numbers = Vec::new();
        let after = (Bound::Excluded(after), Bound::Unbounded);
        for (number, entry) in self.entries.range(after) {
            if entry.expiry.is_some_and(|expiry| expiry <= now) {
                continue;
            }
            bytes += entry.bytes + ATTRIBUTES_BYTES_MAX as u32;
            if numbers.len() >= messages_max || (bytes > LEASE_BYTES_MAX && !numbers.is_empty()) {
                return (numbers, true);
            }
            numbers.push(*number);
        }
        (numbers, false)
    }

    /// Which of `numbers` (all, if empty) are leased under `token`; `None` if any is not.
    pub(crate) fn leased_under(&self, token: u64, numbers: &[u64]) -> Option<Vec<u64>> {
        if numbers.is_empty() && !planted::has(Planted::IgnoreToken) {
            return self.leases.get(&token).map(|leased| leased.iter().copied().collect());
        }
        let under = |entry: &Entry| matches!(entry.state, EntryState::Leased(held, _) if held == token || planted::has(Planted::IgnoreToken));
        if numbers.is_empty() {
            let leased = self.entries.iter().filter(|(_, entry)| under(entry));
            let leased: Vec<_> = leased.map(|(number, _)| *number).collect();
            return Some(leased).filter(|leased| !leased.is_empty());
        }
        let numbers: BTreeSet<_> = numbers.iter().copied().collect();
        let all = numbers.iter().all(|number| self.entries.get(number).is_some_and(under));
        all.then(|| numbers.into_iter().collect())
    }

    /// Splits entries given back into those that may be tried again and those tried too often.
    pub(crate) fn give_back(&self, numbers: &[u64], until: Timestamp, deliveries_max: u32) -> Settlement {
        let mut settlement = Settlement::default();
        for number in numbers {
            match self.entries.get(number) {
                Some(entry) if entry.attempts >= deliveries_max => settlement.dead_lettered.push(*number),
                Some(_) => settlement.returned.push((*number, until)),
                None => {}
            }
        }
        settlement
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(&number)
    }

    /// Takes an entry in. A number is given once: a record that gives one again, which none of ours does, changes nothing.
    pub(crate) fn put(&mut self, number: u64, entry: Entry) {
        if self.entries.contains_key(&number) {
            return;
        }
        self.counts.accepted += 1;
        self.counts.pending += 1;
        if let Some(expiry) = entry.expiry {
            self.timers.insert((expiry, number));
        }
        match entry.state {
            EntryState::Ready => self.ready.insert((entry.priority, number)),
            EntryState::Delayed(time) | EntryState::Leased(_, time) => self.timers.insert((time, number)),
        };
        if let Some(sender) = entry.sender {
            *self.by_sender.entry(sender).or_default() += 1;
        }
        self.entries.insert(number, entry);
    }

    pub(crate) fn lease(&mut self, token: u64, until: Timestamp, numbers: &[u64]) {
        self.last_token = self.last_token.max(token);
        for number in numbers {
            if let Some(entry) = self.entries.get_mut(number) {
                entry.attempts += 1;
            }
            self.change(*number, EntryState::Leased(token, until));
        }
    }

    pub(crate) fn extend(&mut self, token: u64, until: Timestamp) {
        for number in self.leased_under(token, &[]).unwrap_or_default() {
            self.change(number, EntryState::Leased(token, until));
        }
    }

    /// Applies a settlement made at `at`.
    pub(crate) fn settle(&mut self, settlement: &Settlement, at: Timestamp) {
        for number in &settlement.acknowledged {
            self.counts.acknowledged += self.end(*number);
        }
        for number in &settlement.expired {
            self.counts.expired += self.end(*number);
        }
        for number in &settlement.dead_lettered {
            self.counts.dead_lettered += self.end(*number);
        }
        for (number, until) in &settlement.returned {
            let state = if *until > at { EntryState::Delayed(*until) } else { EntryState::Ready };
            self.change(*number, state);
        }
    }

    /// Ends a message as called back.
    pub(crate) fn recall(&mut self, number: u64) {
        self.counts.recalled += self.end(number);
    }

    fn end(&mut self, number: u64) -> u64 {
        self.change(number, EntryState::Ready);
        let Some(entry) = self.entries.remove(&number) else {
            return 0;
        };
        self.ready.remove(&(entry.priority, number));
        if let Some(expiry) = entry.expiry {
            self.timers.remove(&(expiry, number));
        }
        self.counts.pending -= 1;
        if let Some(sender) = entry.sender {
            self.forget_one_of(sender);
        }
        1
    }

    fn forget_one_of(&mut self, sender: AgentId) {
        match self.by_sender.get_mut(&sender) {
            Some(count) if *count > 1 => *count -= 1,
            _ => _ = self.by_sender.remove(&sender),
        }
    }

    fn change(&mut self, number: u64, state: EntryState) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        if let EntryState::Leased(token, _) = entry.state
            && let Some(leased) = self.leases.get_mut(&token)
        {
            leased.remove(&number);
            if leased.is_empty() {
                self.leases.remove(&token);
            }
        }
        if let EntryState::Leased(token, _) = state {
            self.leases.entry(token).or_default().insert(number);
        }
        match entry.state {
            EntryState::Ready => self.ready.remove(&(entry.priority, number)),
            EntryState::Delayed(time) | EntryState::Leased(_, time) if entry.expiry != Some(time) => {
                self.timers.remove(&(time, number))
            }
            EntryState::Delayed(_) | EntryState::Leased(..) => true,
        };
        match state {
            EntryState::Ready => self.ready.insert((entry.priority, number)),
            EntryState::Delayed(time) | EntryState::Leased(_, time) => self.timers.insert((time, number)),
        };
        entry.state = state;
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, EntryState, Inbox};
    use crate::record::Settlement;
    use openmesh_message::{KeyPair, Priority, Timestamp};

    const DELIVERIES_MAX: u32 = 2;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn entry(priority: Priority, expiry: Option<Timestamp>) -> Entry {
        let sender = Some(KeyPair::from_seed(&[1; 32]).unwrap().id());
        let (state, attempts) = (EntryState::Ready, 0);
        Entry { seq: 1, notice: None, bytes: 0, priority, expiry, attempts, state, sender, is_act: false }
    }

    #[test]
    fn delayed_mail_becomes_ready_and_what_was_called_back_counts_as_such() {
        let mut inbox = Inbox::default();
        let delayed = Entry { state: EntryState::Delayed(at(50)), ..entry(Priority::Critical, None) };
        let sender = delayed.sender.unwrap();
        inbox.put(1, delayed);
        inbox.put(2, entry(Priority::Normal, Some(at(30))));
        assert_eq!((inbox.leasable(9, Priority::Bulk), inbox.pending_of(&sender)), (vec![2], 2));
        assert_eq!(inbox.seen(0, 9, at(20)), (vec![1, 2], false));
        assert_eq!(inbox.seen(0, 1, at(20)), (vec![1], true));
        assert_eq!(inbox.seen(1, 9, at(30)), (vec![], false));
        inbox.recall(2);
        assert_eq!((inbox.counts().recalled, inbox.pending_of(&sender)), (1, 1));
        let due = inbox.due(at(50), DELIVERIES_MAX);
        inbox.settle(&due, at(50));
        assert_eq!(inbox.leasable(9, Priority::Bulk), [1]);
        inbox.recall(1);
        assert!(inbox.counts().is_conserved());
        assert_eq!((inbox.counts().pending, inbox.next_deadline()), (0, None));
        assert_eq!(inbox, Inbox { counts: inbox.counts, ..Inbox::default() });
    }

    #[test]
    fn urgent_mail_is_leased_first_and_a_lease_ends_by_time() {
        let mut inbox = Inbox::default();
        inbox.put(1, entry(Priority::Bulk, None));
        inbox.put(2, entry(Priority::Critical, None));
        assert_eq!(inbox.leasable(1, Priority::Bulk), [2]);
        assert_eq!(inbox.leasable(9, Priority::Urgent), [2]);
        inbox.lease(1, at(100), &[2]);
        assert_eq!(inbox.leasable(9, Priority::Bulk), [1]);
        assert_eq!(inbox.next_deadline(), Some(at(100)));
        let due = inbox.due(at(100), DELIVERIES_MAX);
        assert_eq!(due.returned, [(2, at(100))]);
        inbox.settle(&due, at(100));
        assert_eq!(inbox.leasable(9, Priority::Bulk), [2, 1]);
        assert!(inbox.leased_under(1, &[2]).is_none());
    }

    #[test]
    fn every_message_ends_in_one_way_and_the_sum_holds() {
        let mut inbox = Inbox::default();
        inbox.put(1, entry(Priority::Normal, Some(at(50))));
        inbox.put(2, entry(Priority::Normal, None));
        inbox.put(3, entry(Priority::Normal, None));
        inbox.lease(1, at(50), &[1, 2, 3]);
        let done = Settlement { acknowledged: vec![3], ..Settlement::default() };
        inbox.settle(&done, at(10));
        let due = inbox.due(at(50), DELIVERIES_MAX);
        assert_eq!((due.expired.clone(), due.returned.clone()), (vec![1], vec![(2, at(50))]));
        inbox.settle(&due, at(50));
        inbox.lease(2, at(90), &[2]);
        let back = inbox.give_back(&[2], at(80), DELIVERIES_MAX);
        assert_eq!(back.dead_lettered, [2]);
        inbox.settle(&back, at(60));
        let counts = inbox.counts();
        assert!(counts.is_conserved());
        assert_eq!((counts.acknowledged, counts.expired, counts.dead_lettered, counts.pending), (1, 1, 1, 0));
        assert_eq!(inbox.next_deadline(), None);
    }
}
