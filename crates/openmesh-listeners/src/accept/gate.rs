//! How many connections there may be, in total and from one source, established and half-open.
//!
//! Whoever has not said who it is holds its place only while nobody else needs it: the oldest half-open
//! connection of the source with the most of them goes first, so a flood displaces itself.

use super::HANDSHAKE_DEADLINE;
use super::counters::Counters;
use openmesh_message::{AgentId, Problem};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::watch;
use tokio::time::timeout;

/// When another try makes sense for a connection that found no room.
const RETRY_AFTER_MS: u64 = 5_000;

/// How many connections there may be at a time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Established connections.
    pub established_max: usize,
    /// Established connections from one source elsewhere.
    pub established_per_source_max: usize,
    /// Established connections from this machine, whose agents all come from one address.
    pub established_local_max: usize,
    /// Established connections of one agent, of those that speak natively over TCP.
    pub established_per_agent_max: usize,
    /// Half-open connections.
    pub half_open_max: usize,
    /// Half-open connections from one source.
    pub half_open_per_source_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            established_max: 12_000,
            established_per_source_max: 1_000,
            established_local_max: 11_000,
            established_per_agent_max: 11_000,
            half_open_max: 4_096,
            half_open_per_source_max: 1_024,
        }
    }
}

/// Counts the connections of all doors.
#[derive(Debug, Default)]
pub struct Gate {
    limits: Limits,
    places: Mutex<Places>,
}

/// A connection's place; it is given up when the last clone is dropped.
#[derive(Clone)]
pub struct Opening {
    slot: Arc<Slot>,
}

/// Sees to it that a connection gets somewhere.
pub(super) struct Watched {
    phase: watch::Receiver<Phase>,
    counters: Counters,
}

/// Where a connection comes from: an address, or the 64 bits of an IPv6 network that one customer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Source(IpAddr);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    HalfOpen,
    Established,
    Evicted,
}

struct Slot {
    gate: Arc<Gate>,
    counters: Counters,
    source: Source,
    number: u64,
    phase: watch::Sender<Phase>,
    /// Whose it is, once that is known and counted.
    agent: OnceLock<AgentId>,
}

#[derive(Debug, Default)]
struct Places {
    next_number: u64,
    /// By source, then by number: the oldest first.
    half_open: BTreeMap<Source, BTreeMap<u64, watch::Sender<Phase>>>,
    half_open_count: usize,
    established: BTreeMap<Source, usize>,
    established_count: usize,
    by_agent: BTreeMap<AgentId, usize>,
}

/// Why a connection may not stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowded {
    /// The node has as many as it may.
    Node(usize),
    /// Its source has.
    Source(usize),
    /// This machine has.
    Local(usize),
    /// Its agent has.
    Agent(usize),
    /// It took too long, and its place went to another.
    Evicted,
}

impl Gate {
    /// A gate with limits of one's own.
    pub fn new(limits: Limits) -> Self {
        Self { limits, places: Mutex::default() }
    }

    /// Takes a place for a connection that has said nothing yet, from another such connection if need be.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, counters: &Counters) -> Opening {
        let source = Source::of(address);
        let (phase, _) = watch::channel(Phase::HalfOpen);
        let mut places = self.places();
        places.make_room(source, &self.limits);
        let number = places.next_number;
        places.next_number += 1;
        places.half_open.entry(source).or_default().insert(number, phase.clone());
        places.half_open_count += 1;
        drop(places);
        counters.accepted.increment(1);
        counters.half_open.increment(1.0);
        let slot = Slot {
            gate: Arc::clone(self),
            counters: counters.clone(),
            source,
            number,
            phase,
            agent: OnceLock::new(),
        };
        Opening { slot: Arc::new(slot) }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opening {
    /// The other side has said who it is, an agent where that is known: the connection may stay. Where there is no room for
    /// it, it is to be told and ended.
    pub fn done(&self, agent: Option<AgentId>) -> Result<(), Crowded> {
        let slot = &self.slot;
        let mut places = slot.gate.places();
        if *slot.phase.borrow() == Phase::Established {
            return Ok(());
        }
        if let Err(crowded) = places.has_room(slot.source, agent, &slot.gate.limits) {
            slot.counters.refused.increment(1);
            return Err(crowded);
        }
        if !places.leave_half_open(slot.source, slot.number) {
            return Err(Crowded::Evicted);
        }
        places.established_count += 1;
        *places.established.entry(slot.source).or_default() += 1;
        if let Some(agent) = agent
            && slot.agent.set(agent).is_ok()
        {
            *places.by_agent.entry(agent).or_default() += 1;
        }
        slot.phase.send_replace(Phase::Established);
        slot.counters.half_open.decrement(1.0);
        slot.counters.established.increment(1.0);
        Ok(())
    }

    pub(super) fn watch(&self) -> Watched {
        Watched { phase: self.slot.phase.subscribe(), counters: self.slot.counters.clone() }
    }
}

impl Watched {
    /// Returns when the connection is to be ended: it took too long, or its place went to another.
    pub(super) async fn given_up(mut self) {
        let settled = self.phase.wait_for(|phase| *phase != Phase::HalfOpen);
        let settled = timeout(HANDSHAKE_DEADLINE, settled).await.map(|phase| phase.map(|phase| *phase));
        match settled {
            Err(_) => self.counters.late.increment(1),
            Ok(Ok(Phase::Evicted)) => self.counters.evicted.increment(1),
            Ok(_) => std::future::pending().await,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut places = self.gate.places();
        if *self.phase.borrow() == Phase::Established {
            places.leave_established(self.source, self.agent.get());
            self.counters.established.decrement(1.0);
        } else {
            places.leave_half_open(self.source, self.number);
            self.counters.half_open.decrement(1.0);
        }
    }
}

impl Places {
    fn make_room(&mut self, source: Source, limits: &Limits) {
        let of_source = self.half_open.get(&source).map_or(0, BTreeMap::len);
        if of_source >= limits.half_open_per_source_max.max(1) {
            self.evict_oldest(source);
        } else if self.half_open_count >= limits.half_open_max.max(1)
            && let Some(fullest) = self.fullest()
        {
            self.evict_oldest(fullest);
        }
    }

    /// The source with the most half-open connections; of several, the one that has held one longest.
    fn fullest(&self) -> Option<Source> {
        let oldest = |numbers: &BTreeMap<u64, _>| Reverse(numbers.keys().next().copied());
        let fullest = self.half_open.iter().max_by_key(|(_, numbers)| (numbers.len(), oldest(numbers)));
        fullest.map(|(source, _)| *source)
    }

    fn evict_oldest(&mut self, source: Source) {
        let oldest = self.half_open.get(&source).and_then(|numbers| numbers.iter().next());
        if let Some((number, phase)) = oldest.map(|(number, phase)| (*number, phase.clone())) {
            self.leave_half_open(source, number);
            phase.send_replace(Phase::Evicted);
        }
    }

    /// Whether it was there.
    fn leave_half_open(&mut self, source: Source, number: u64) -> bool {
        let Some(numbers) = self.half_open.get_mut(&source) else { return false };
        let was_there = numbers.remove(&number).is_some();
        if numbers.is_empty() {
            self.half_open.remove(&source);
        }
        self.half_open_count -= usize::from(was_there);
        was_there
    }

    fn has_room(&self, source: Source, agent: Option<AgentId>, limits: &Limits) -> Result<(), Crowded> {
        let is_local = source.0.is_loopback();
        let of_source = self.established.get(&source).copied().unwrap_or_default();
        let of_agent = agent.and_then(|agent| self.by_agent.get(&agent)).copied().unwrap_or_default();
        match limits {
            limits if self.established_count >= limits.established_max => {
                Err(Crowded::Node(limits.established_max))
            }
            limits if is_local && of_source >= limits.established_local_max => {
                Err(Crowded::Local(limits.established_local_max))
            }
            limits if !is_local && of_source >= limits.established_per_source_max => {
                Err(Crowded::Source(limits.established_per_source_max))
            }
            limits if of_agent >= limits.established_per_agent_max => {
                Err(Crowded::Agent(limits.established_per_agent_max))
            }
            _ => Ok(()),
        }
    }

    fn leave_established(&mut self, source: Source, agent: Option<&AgentId>) {
        self.established_count = self.established_count.saturating_sub(1);
        leave(&mut self.established, &source);
        if let Some(agent) = agent {
            leave(&mut self.by_agent, agent);
        }
    }
}

/// One less is counted.
fn leave<K: Ord>(counted: &mut BTreeMap<K, usize>, key: &K) {
    let Some(count) = counted.get_mut(key) else { return };
    *count = count.saturating_sub(1);
    if *count == 0 {
        counted.remove(key);
    }
}

impl Crowded {
    /// What whoever connected is told.
    pub fn to_problem(self) -> Problem {
        let detail = match self {
            Self::Node(max) => {
                format!("the node has {max} connections, as many as it may (--connections-max)")
            }
            Self::Source(max) => {
                format!("your address has {max} connections, as many as it may (--source-connections-max)")
            }
            Self::Local(max) => {
                format!(
                    "the node's machine has {max} connections, as many as it may (--local-connections-max)"
                )
            }
            Self::Agent(max) => {
                format!("the agent has {max} connections, as many as it may (--agent-connections-max)")
            }
            Self::Evicted => "the handshake took too long, and others needed the room".to_owned(),
        };
        let mut problem = Problem::new("connection.too_many", detail);
        problem.retry_after_ms = Some(RETRY_AFTER_MS);
        problem
    }
}

impl Source {
    fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let IpAddr::V6(v6) = address else { return Self(address) };
        if v6.is_loopback() {
            return Self(address);
        }
        Self(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Crowded, Gate, Limits, Opening, Phase};
    use crate::accept::{Counters, Door};
    use openmesh_message::KeyPair;
    use std::sync::Arc;

    const LIMITS: Limits = Limits {
        established_max: 3,
        established_per_source_max: 2,
        established_local_max: 3,
        established_per_agent_max: 2,
        half_open_max: 6,
        half_open_per_source_max: 4,
    };

    fn gate() -> Arc<Gate> {
        Arc::new(Gate::new(LIMITS))
    }

    fn enter(gate: &Arc<Gate>, address: &str) -> Opening {
        gate.enter(address.parse().unwrap(), &Counters::new(Door::Native))
    }

    fn phase(opening: &Opening) -> Phase {
        *opening.slot.phase.borrow()
    }

    #[test]
    fn a_flood_from_one_source_displaces_its_own_oldest() {
        let gate = gate();
        let honest = enter(&gate, "192.0.2.1");
        let flood: Vec<_> = (0..100).map(|_| enter(&gate, "192.0.2.66")).collect();
        assert_eq!(phase(&honest), Phase::HalfOpen);
        let alive: Vec<_> = (0..100).filter(|&n| phase(&flood[n]) == Phase::HalfOpen).collect();
        assert_eq!(alive, [96, 97, 98, 99]);
        assert_eq!(honest.done(None), Ok(()));
        assert_eq!(flood[0].done(None), Err(Crowded::Evicted), "who was evicted stays so");
        assert_eq!(flood[99].done(None), Ok(()));
    }

    #[test]
    fn a_flood_from_several_sources_displaces_the_fullest() {
        let gate = gate();
        let honest = enter(&gate, "192.0.2.1");
        let flood: Vec<_> = (0..100).map(|n| enter(&gate, &format!("192.0.2.{}", 100 + n % 3))).collect();
        assert_eq!(phase(&honest), Phase::HalfOpen);
        assert_eq!(gate.places().half_open_count, LIMITS.half_open_max);
        drop(flood);
        assert_eq!(gate.places().half_open_count, 1);
        drop(honest);
        assert!(gate.places().half_open.is_empty());
    }

    #[test]
    fn established_connections_are_never_displaced_and_are_counted_by_source() {
        let gate = gate();
        let first: Vec<_> = (0..3).map(|_| enter(&gate, "2001:db8::1")).collect();
        let done = |opening: &Opening| opening.done(None).is_ok();
        assert!(done(&first[0]) && done(&first[0]) && done(&first[1]), "telling twice counts once");
        assert_eq!(first[2].done(None), Err(Crowded::Source(2)));
        let other = enter(&gate, "2001:db8:0:1::1");
        assert!(done(&other));
        let local = enter(&gate, "::1");
        assert_eq!(local.done(None), Err(Crowded::Node(3)));
        assert!(Crowded::Node(3).to_problem().detail.contains("--connections-max"));
        let flood: Vec<_> = (0..100).map(|_| enter(&gate, "2001:db8::ffff")).collect();
        assert_eq!(phase(&first[1]), Phase::Established);
        drop((flood, first, other));
        assert!(done(&local));
        drop(local);
        assert_eq!(gate.places().established_count, 0);
        assert!(gate.places().established.is_empty());
    }

    #[test]
    fn an_agent_has_as_many_connections_as_it_may_wherever_they_come_from() {
        let gate = gate();
        let agent = |number| Some(KeyPair::from_seed(&[number; 32]).unwrap().id());
        let (one, two, three) =
            (enter(&gate, "192.0.2.1"), enter(&gate, "192.0.2.2"), enter(&gate, "192.0.2.3"));
        assert!(one.done(agent(1)).is_ok() && two.done(agent(1)).is_ok());
        assert_eq!(three.done(agent(1)), Err(Crowded::Agent(2)));
        assert!(three.done(agent(2)).is_ok());
        drop((one, two, three));
        assert!(gate.places().by_agent.is_empty());
    }
}
