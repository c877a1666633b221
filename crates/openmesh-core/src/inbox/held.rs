//! The mail of an inbox that has any: cells by number, what is ready by urgency, leases, times.

use super::cells::{ATTEMPTS_MAX, Cell, Cells, From, Standing, Traits};
use super::entry::{Entry, EntryState};
use super::runs::Runs;
use super::senders::Senders;
use crate::deadlines::wheel::{Timer, Wheel};
use openmesh_message::{AgentId, Priority, Timestamp};
use std::collections::BTreeMap;

/// Messages that have not ended. What is common is compact, what is rare stands beside it.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    cells: Cells,
    /// What can be leased, by urgency.
    ready: [Runs; Priority::ALL.len()],
    /// What is leased under each token.
    leases: BTreeMap<u64, Lease>,
    expiries: BTreeMap<u64, Timestamp>,
    delays: BTreeMap<u64, Timestamp>,
    /// Attempts of what was leased more often than its cell can say.
    attempts: BTreeMap<u64, u32>,
    senders: Senders,
    timers: Wheel,
}

#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) until: Timestamp,
    numbers: Runs,
}

/// What a timer ends.
#[derive(Clone, Copy)]
enum Ends {
    Expiry(u64),
    Delay(u64),
    Lease(u64),
}

impl Ends {
    /// In the order of numbers, and messages before leases.
    const fn at(self, time: Timestamp) -> Timer {
        let what = match self {
            Self::Expiry(number) => number << 1,
            Self::Delay(number) => (number << 1) | 1,
            Self::Lease(token) => (1 << 63) | token,
        };
        Timer { time, what }
    }

    const fn of(timer: Timer) -> Self {
        match timer.what {
            lease if lease >> 63 != 0 => Self::Lease(lease & !(1 << 63)),
            expiry if expiry & 1 == 0 => Self::Expiry(expiry >> 1),
            delay => Self::Delay(delay >> 1),
        }
    }
}

impl Held {
    pub(super) const fn count(&self) -> u64 {
        self.cells.held()
    }

    pub(super) fn count_of(&self, sender: &AgentId) -> u64 {
        self.senders.messages_of(sender)
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.cells.get(number).is_some()
    }

    pub(super) fn bytes(&self, number: u64) -> u32 {
        self.cells.get(number).map_or(0, |cell| cell.bytes())
    }

    pub(super) fn expiry(&self, number: u64) -> Option<Timestamp> {
        self.cells.get(number).filter(|cell| cell.expires())?;
        self.expiries.get(&number).copied()
    }

    pub(super) fn attempts(&self, number: u64) -> u32 {
        match self.cells.get(number).map_or(0, |cell| cell.attempts()) {
            ATTEMPTS_MAX => self.attempts.get(&number).copied().unwrap_or(ATTEMPTS_MAX),
            attempts => attempts,
        }
    }

    /// The token that a message is leased under; 0 if it is not.
    pub(super) fn token(&self, number: u64) -> u64 {
        self.cells.token(number)
    }

    pub(super) fn leased_under(&self, token: u64) -> Option<Vec<u64>> {
        self.leases.get(&token).map(|lease| lease.numbers.iter().collect())
    }

    pub(super) fn most_urgent(&self) -> Option<Priority> {
        let mut lanes = Priority::ALL.into_iter().zip(&self.ready);
        lanes.find(|(_, ready)| !ready.is_empty()).map(|(priority, _)| priority)
    }

    /// What can be leased and is at least so urgent, the most urgent and oldest first.
    pub(super) fn ready(&self, least: Priority) -> impl Iterator<Item = u64> {
        let lanes = Priority::ALL.into_iter().zip(&self.ready);
        lanes.take_while(move |(priority, _)| *priority <= least).flat_map(|(_, ready)| ready.iter())
    }

    /// Numbers above one and the bytes of their messages.
    pub(super) fn after(&self, after: u64) -> impl Iterator<Item = (u64, u32)> {
        self.cells.after(after).map(|(number, cell)| (number, cell.bytes()))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, Entry)> {
        self.cells.iter().map(|(number, cell)| (number, self.entry(number, cell)))
    }

    pub(super) fn leases(&self) -> impl Iterator<Item = (u64, &Lease)> {
        self.leases.iter().map(|(token, lease)| (*token, lease))
    }

    pub(super) fn get(&self, number: u64) -> Option<Entry> {
        self.cells.get(number).map(|cell| self.entry(number, cell))
    }

    fn entry(&self, number: u64, cell: Cell) -> Entry {
        let (notice, sender) = match cell.from() {
            From::Notice(notice) => (Some(notice), None),
            From::Sender(sender) => (None, self.senders.id(sender)),
            From::Nobody => (None, None),
        };
        Entry {
            seq: cell.seq,
            notice,
            bytes: cell.bytes(),
            priority: cell.priority(),
            expiry: self.expiry(number),
            attempts: self.attempts(number),
            state: self.state(number, cell),
            sender,
            is_act: cell.is_act(),
        }
    }

    fn state(&self, number: u64, cell: Cell) -> EntryState {
        match cell.standing() {
            Standing::Ready => EntryState::Ready,
            Standing::Delayed => EntryState::Delayed(self.delays.get(&number).copied().unwrap_or_default()),
            Standing::Leased => {
                let token = self.cells.token(number);
                EntryState::Leased(
                    token,
                    self.leases.get(&token).map_or_else(Timestamp::default, |lease| lease.until),
                )
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|timer| timer.time)
    }

    /// Shows the numbers of what is due at `now`, the earliest first, until `visit` has seen enough.
    pub(super) fn due(&self, now: Timestamp, mut visit: impl FnMut(u64) -> bool) {
        self.timers.due(now, |timer| match Ends::of(timer) {
            Ends::Expiry(number) | Ends::Delay(number) => visit(number),
            Ends::Lease(token) => {
                let lease = self.leases.get(&token);
                lease.is_none_or(|lease| lease.numbers.iter().all(&mut visit))
            }
        });
    }

    pub(super) fn put(&mut self, number: u64, entry: &Entry) {
        if self.has(number) {
            return;
        }
        let from = match (entry.notice, entry.sender) {
            (Some(notice), _) => From::Notice(notice),
            (None, Some(sender)) => From::Sender(self.senders.add(sender)),
            (None, None) => From::Nobody,
        };
        let Entry { seq, bytes, priority, is_act, .. } = *entry;
        let expires = entry.expiry.is_some();
        self.cells.insert(number, Cell::new(Traits { seq, from, bytes, priority, is_act, expires }));
        if let Some(expiry) = entry.expiry {
            self.expiries.insert(number, expiry);
            self.timers.insert(Ends::Expiry(number).at(expiry));
        }
        if entry.attempts > 0 {
            self.set_attempts(number, entry.attempts);
        }
        self.enter(number, priority, entry.state);
    }

    pub(super) fn lease(&mut self, token: u64, until: Timestamp, numbers: &[u64]) {
        for number in numbers.iter().filter(|_| token != 0) {
            if self.has(*number) {
                self.set_attempts(*number, self.attempts(*number).saturating_add(1));
                self.change(*number, EntryState::Leased(token, until));
            }
        }
    }

    pub(super) fn extend(&mut self, token: u64, until: Timestamp) {
        if let Some(lease) = self.leases.get_mut(&token) {
            self.timers.remove(Ends::Lease(token).at(lease.until));
            lease.until = until;
            self.timers.insert(Ends::Lease(token).at(until));
        }
    }

    pub(super) fn change(&mut self, number: u64, state: EntryState) {
        if let Some(cell) = self.cells.get(number) {
            self.leave(number, cell);
            self.enter(number, cell.priority(), state);
        }
    }

    /// Ends a message; whether it was there.
    pub(super) fn end(&mut self, number: u64) -> bool {
        let Some(cell) = self.cells.get(number) else { return false };
        self.leave(number, cell);
        if let Some(expiry) = self.expiry(number) {
            self.expiries.remove(&number);
            self.timers.remove(Ends::Expiry(number).at(expiry));
        }
        if cell.attempts() == ATTEMPTS_MAX {
            self.attempts.remove(&number);
        }
        if let From::Sender(sender) = cell.from() {
            self.senders.remove(sender);
        }
        self.cells.remove(number);
        true
    }

    fn set_attempts(&mut self, number: u64, attempts: u32) {
        if let Some(mut cell) = self.cells.get(number) {
            cell.set_attempts(attempts);
            self.cells.replace(number, cell);
            if attempts > ATTEMPTS_MAX {
                self.attempts.insert(number, attempts);
            }
        }
    }

    /// Takes a message out of where its state has put it.
    fn leave(&mut self, number: u64, cell: Cell) {
        match cell.standing() {
            Standing::Ready => {
                if let Some(ready) = self.ready.get_mut(cell.priority() as usize) {
                    ready.remove(number);
                }
            }
            Standing::Delayed => {
                if let Some(time) = self.delays.remove(&number) {
                    self.timers.remove(Ends::Delay(number).at(time));
                }
            }
            Standing::Leased => self.leave_lease(number),
        }
    }

    fn leave_lease(&mut self, number: u64) {
        let token = self.cells.token(number);
        self.cells.set_token(number, 0);
        let Some(lease) = self.leases.get_mut(&token) else { return };
        lease.numbers.remove(number);
        if lease.numbers.is_empty() {
            self.timers.remove(Ends::Lease(token).at(lease.until));
            self.leases.remove(&token);
        }
    }

    fn enter(&mut self, number: u64, priority: Priority, state: EntryState) {
        let standing = match state {
            EntryState::Ready => {
                if let Some(ready) = self.ready.get_mut(priority as usize) {
                    ready.insert(number);
                }
                Standing::Ready
            }
            EntryState::Delayed(time) => {
                self.delays.insert(number, time);
                self.timers.insert(Ends::Delay(number).at(time));
                Standing::Delayed
            }
            EntryState::Leased(token, until) => {
                self.enter_lease(number, token, until);
                Standing::Leased
            }
        };
        if let Some(mut cell) = self.cells.get(number) {
            cell.set_standing(standing);
            self.cells.replace(number, cell);
        }
    }

    /// All of a lease ends at one time: the latest that is named.
    fn enter_lease(&mut self, number: u64, token: u64, until: Timestamp) {
        self.cells.set_token(number, token);
        if self.leases.get(&token).is_some_and(|lease| lease.until != until) {
            self.extend(token, until);
        }
        let lease = self.leases.entry(token).or_insert_with(|| {
            self.timers.insert(Ends::Lease(token).at(until));
            Lease { until, numbers: Runs::default() }
        });
        lease.numbers.insert(number);
    }
}
