//! Random lives of an inbox beside a naive one: a list of entries that is searched for everything.

use super::{DELIVERIES_MAX, restored};
use crate::inbox::{Entry, EntryState, Inbox};
use crate::record::Settlement;
use openmesh_message::{AgentId, KeyPair, Priority, Timestamp};
use std::collections::BTreeMap;

const SEEDS: u64 = 3_000;
const STEPS: usize = 120;

#[derive(Default)]
struct Naive {
    entries: BTreeMap<u64, Entry>,
    ended: [u64; 4],
}

impl Naive {
    fn end(&mut self, numbers: &[u64], how: usize) {
        for number in numbers {
            self.ended[how] += u64::from(self.entries.remove(number).is_some());
        }
    }

    fn settle(&mut self, settlement: &Settlement, at: Timestamp) {
        self.end(&settlement.acknowledged, 0);
        self.end(&settlement.expired, 1);
        self.end(&settlement.dead_lettered, 2);
        for (number, until) in &settlement.returned {
            if let Some(entry) = self.entries.get_mut(number) {
                entry.state = if *until > at { EntryState::Delayed(*until) } else { EntryState::Ready };
            }
        }
    }

    fn leasable(&self, least: Priority) -> Vec<u64> {
        let ready = self.entries.iter().filter(|(_, entry)| entry.state == EntryState::Ready);
        let mut ready: Vec<_> = ready
            .map(|(number, entry)| (entry.priority, *number))
            .filter(|(urgency, _)| *urgency <= least)
            .collect();
        ready.sort();
        ready.into_iter().map(|(_, number)| number).collect()
    }

    fn times(entry: &Entry) -> impl Iterator<Item = Timestamp> {
        let of_state = match entry.state {
            EntryState::Ready => None,
            EntryState::Delayed(until) | EntryState::Leased(_, until) => Some(until),
        };
        entry.expiry.into_iter().chain(of_state)
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.entries.values().flat_map(Self::times).min()
    }

    /// What is due, whatever the order.
    fn due(&self, now: Timestamp) -> Settlement {
        let mut settlement = Settlement::default();
        for (number, entry) in &self.entries {
            if Self::times(entry).all(|time| time > now) {
                continue;
            }
            if entry.expiry.is_some_and(|expiry| expiry <= now) {
                settlement.expired.push(*number);
            } else if entry.attempts >= DELIVERIES_MAX {
                settlement.dead_lettered.push(*number);
            } else {
                settlement.returned.push((*number, now));
            }
        }
        settlement
    }

    fn leased_under(&self, token: u64) -> Vec<u64> {
        let under = |entry: &Entry| matches!(entry.state, EntryState::Leased(held, _) if held == token);
        self.entries.iter().filter(|(_, entry)| under(entry)).map(|(number, _)| *number).collect()
    }
}

struct Life {
    random: u64,
    now: Timestamp,
    last_number: u64,
    last_token: u64,
    senders: Vec<AgentId>,
    inbox: Inbox,
    naive: Naive,
}

impl Life {
    fn below(&mut self, end: u64) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % end
    }

    fn later(&mut self) -> Timestamp {
        let ms = self.below(200).cast_signed();
        self.now.plus_ms(ms)
    }

    fn step(&mut self) {
        match self.below(10) {
            0..=2 => (0..=self.below(8)).for_each(|_| self.put()),
            3..=4 => self.lease(),
            5 => self.extend(),
            6 => self.acknowledge(),
            7 => self.give_back(),
            8 => self.pass_time(),
            _ => self.recall(),
        }
    }

    fn put(&mut self) {
        self.last_number += 1 + u64::from(self.below(20) == 0) * self.below(200);
        let state = if self.below(6) == 0 { EntryState::Delayed(self.later()) } else { EntryState::Ready };
        let notice = Some(3).filter(|_| self.below(8) == 0);
        let who = self.below(self.senders.len() as u64 + 1) as usize;
        let entry = Entry {
            seq: self.last_number * 3,
            notice,
            bytes: self.below(3_000) as u32,
            priority: Priority::ALL[self.below(4) as usize],
            expiry: Some(self.later()).filter(|_| self.below(4) == 0),
            attempts: 0,
            state,
            sender: self.senders.get(who).copied().filter(|_| notice.is_none()),
            is_act: self.below(2) == 0,
        };
        self.inbox.put(self.last_number, &entry);
        self.naive.entries.insert(self.last_number, entry);
    }

    fn lease(&mut self) {
        let (most, least) = (1 + self.below(40) as usize, Priority::ALL[self.below(4) as usize]);
        let mut expected = self.naive.leasable(least);
        expected.truncate(most);
        let numbers = self.inbox.leasable(most, least);
        assert_eq!(numbers, expected);
        if numbers.is_empty() {
            return;
        }
        self.last_token += 1;
        let until = self.later();
        self.inbox.lease(self.last_token, until, &numbers);
        for number in &numbers {
            let entry = self.naive.entries.get_mut(number).unwrap();
            entry.attempts += 1;
            entry.state = EntryState::Leased(self.last_token, until);
        }
    }

    /// Some of a lease, or all of it; and a number that is not in it is refused.
    fn held(&mut self) -> Vec<u64> {
        let token = 1 + self.below(self.last_token + 1);
        let all = self.naive.leased_under(token);
        assert_eq!(self.inbox.leased_under(token, &[]), Some(all.clone()).filter(|all| !all.is_empty()));
        let other = self.naive.entries.keys().find(|number| !all.contains(number)).copied();
        if let Some(other) = other {
            assert_eq!(self.inbox.leased_under(token, &[other]), None);
        }
        let some: Vec<_> = all.into_iter().filter(|_| self.below(3) > 0).collect();
        if !some.is_empty() {
            assert_eq!(self.inbox.leased_under(token, &some), Some(some.clone()));
        }
        some
    }

    fn extend(&mut self) {
        let (token, until) = (1 + self.below(self.last_token + 1), self.later());
        self.inbox.extend(token, until);
        for number in self.naive.leased_under(token) {
            self.naive.entries.get_mut(&number).unwrap().state = EntryState::Leased(token, until);
        }
    }

    fn settle(&mut self, settlement: &Settlement) {
        self.inbox.settle(settlement, self.now);
        self.naive.settle(settlement, self.now);
    }

    fn acknowledge(&mut self) {
        let acknowledged = self.held();
        self.settle(&Settlement { acknowledged, ..Settlement::default() });
    }

    fn give_back(&mut self) {
        let (numbers, until) = (self.held(), self.later());
        let settlement = self.inbox.give_back(&numbers, until, DELIVERIES_MAX);
        for number in &numbers {
            let dead = self.naive.entries[number].attempts >= DELIVERIES_MAX;
            assert_eq!(settlement.dead_lettered.contains(number), dead);
            assert_eq!(settlement.returned.contains(&(*number, until)), !dead);
        }
        self.settle(&settlement);
    }

    fn pass_time(&mut self) {
        self.now = if self.below(10) == 0 { self.now.plus_ms(-150) } else { self.later() };
        let settlement = self.inbox.due(self.now, DELIVERIES_MAX);
        let mut sorted = settlement.clone();
        sorted.expired.sort_unstable();
        sorted.dead_lettered.sort_unstable();
        sorted.returned.sort_unstable();
        assert_eq!(sorted, self.naive.due(self.now));
        self.settle(&settlement);
        assert_eq!(self.naive.due(self.now), Settlement::default(), "nothing due is left");
        assert_eq!(self.inbox.due(self.now, DELIVERIES_MAX), Settlement::default());
    }

    fn recall(&mut self) {
        let number = 1 + self.below(self.last_number + 2);
        self.inbox.recall(number);
        self.naive.end(&[number], 3);
    }

    fn compare(&self) {
        assert!(
            self.inbox.entries().eq(self
                .naive
                .entries
                .iter()
                .map(|(number, entry)| (*number, entry.clone())))
        );
        let counts = self.inbox.counts();
        let ended = [counts.acknowledged, counts.expired, counts.dead_lettered, counts.recalled];
        assert_eq!((counts.pending, ended), (self.naive.entries.len() as u64, self.naive.ended));
        assert_eq!(self.inbox.next_deadline(), self.naive.deadline());
        assert_eq!(self.inbox.most_urgent().is_some(), !self.naive.leasable(Priority::Bulk).is_empty());
        for sender in &self.senders {
            let of = self.naive.entries.values().filter(|entry| entry.sender == Some(*sender)).count();
            assert_eq!(self.inbox.pending_of(sender), of as u64);
        }
    }
}

#[test]
fn thousands_of_lives_go_as_in_a_naive_inbox() {
    let senders: Vec<_> = (1..4).map(|seed| KeyPair::from_seed(&[seed; 32]).unwrap().id()).collect();
    for seed in 0..SEEDS {
        let (now, naive) = (Timestamp::from_millis(1_000), Naive::default());
        let (inbox, senders) = (Inbox::default(), senders.clone());
        let mut life = Life { random: seed, now, last_number: 0, last_token: 0, senders, inbox, naive };
        for step in 0..STEPS {
            life.step();
            life.compare();
            if step % 40 == 39 {
                let again = restored(&life.inbox);
                assert!(again == life.inbox, "seed {seed}");
                life.inbox = again;
                life.compare();
            }
        }
    }
}
