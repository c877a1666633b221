//! Whose turn it is: connections take turns by the cost of what they sent, so that one that sends much makes none wait that
//! sends little.
//!
//! A round gives each connection that waits the same; what it takes beyond that, since a batch is taken whole, is held
//! against it in later rounds (surplus round robin: Adiseshu, Parulkar, Varghese, 1996).

use crate::mesh_handle::Event;
use std::collections::{BTreeMap, VecDeque};

/// What a connection may take in a round: about a batch of messages that are kept.
const QUANTUM: i64 = 1_024;
/// What the owner is told besides what agents send: cheap, and waited for by many.
const NEWS_COST: i64 = 16;
/// News that belong to no connection's order.
const NEWS: u64 = 0;

/// What waits, by connection.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    lines: BTreeMap<u64, Line>,
    /// Connections with something that waits, in the order of their turns.
    ring: VecDeque<u64>,
    waiting: usize,
    in_order: bool,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Event>,
    /// What is left of its turn; below 0 what it took too much.
    left: i64,
}

impl Turns {
    /// Turns in the order things came, whoever sent them: a bug to plant.
    pub(crate) const fn take_in_order(&mut self) {
        self.in_order = true;
    }

    /// How much waits.
    pub(crate) const fn len(&self) -> usize {
        self.waiting
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Adds what came, behind what its connection sent before.
    pub(crate) fn add(&mut self, event: Event) {
        let number = if self.in_order { NEWS } else { number_of(&event) };
        self.waiting += 1;
        let line = self.lines.entry(number).or_default();
        if line.waiting.is_empty() {
            line.left = QUANTUM;
            self.ring.push_back(number);
        }
        line.waiting.push_back(event);
    }

    /// What goes next.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            let number = *self.ring.front()?;
            let Some(line) = self.lines.get_mut(&number) else {
                self.ring.pop_front();
                continue;
            };
            if line.left <= 0 && self.ring.len() > 1 {
                line.left += QUANTUM;
                self.ring.rotate_left(1);
                continue;
            }
            let Some(event) = line.waiting.pop_front() else {
                self.ring.pop_front();
                self.lines.remove(&number);
                continue;
            };
            line.left -= cost_of(&event);
            self.waiting -= 1;
            if line.waiting.is_empty() {
                self.ring.pop_front();
                self.lines.remove(&number);
            }
            return Some(event);
        }
    }
}

/// The connection whose order it keeps.
const fn number_of(event: &Event) -> u64 {
    match event {
        Event::Inputs(inputs) => inputs.number(),
        Event::Opened { connection, .. } | Event::Closed(connection) => connection.0,
        Event::Drained(_) | Event::ReadOn { .. } | Event::Stop => NEWS,
    }
}

const fn cost_of(event: &Event) -> i64 {
    match event {
        Event::Inputs(inputs) => inputs.cost(),
        _ => NEWS_COST,
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;
    use crate::mesh_handle::{Event, Inputs};
    use openmesh_core::{ConnectionId, Input};

    fn batch(number: u64, cost: i64) -> Event {
        Event::Inputs(Inputs::for_turns(number, cost, vec![Input::Tick]))
    }

    fn order(turns: &mut Turns) -> Vec<u64> {
        std::iter::from_fn(|| turns.next()).map(|event| super::number_of(&event)).collect()
    }

    #[test]
    fn one_that_sends_much_makes_none_wait_that_sends_little() {
        let mut turns = Turns::default();
        (0..100).for_each(|_| turns.add(batch(1, 1_024)));
        (2..=50).for_each(|number| turns.add(batch(number, 30)));
        let order = order(&mut turns);
        assert_eq!(order[..50], (1..=50).collect::<Vec<_>>());
        assert_eq!(order.len(), 149);
        assert!(turns.is_empty() && turns.lines.is_empty() && turns.ring.is_empty());
    }

    #[test]
    fn turns_are_by_cost_and_what_was_too_much_is_held_against_one() {
        let mut turns = Turns::default();
        (0..50).for_each(|_| turns.add(batch(1, 4_096)));
        (0..400).for_each(|_| turns.add(batch(2, 512)));
        let order = order(&mut turns);
        let cheap = order[..270].iter().filter(|number| **number == 2).count();
        assert!((230..=250).contains(&cheap), "eight cheap ones for one that costs as much: {cheap}");
    }

    #[test]
    fn a_connection_keeps_its_order_and_its_end_comes_last() {
        let mut turns = Turns::default();
        turns.add(batch(1, 2_000));
        turns.add(batch(1, 1));
        turns.add(Event::Closed(ConnectionId(1)));
        turns.add(Event::Drained(ConnectionId(1)));
        let order: Vec<_> = std::iter::from_fn(|| turns.next()).collect();
        let place = |is: fn(&Event) -> bool| order.iter().position(is).unwrap();
        let closed = place(|event| matches!(event, Event::Closed(_)));
        let last_batch = order.iter().rposition(|event| matches!(event, Event::Inputs(_))).unwrap();
        assert!(last_batch < closed && order.len() == 4);
    }

    #[test]
    fn who_was_silent_owes_nothing() {
        let mut turns = Turns::default();
        turns.add(batch(1, 1_000_000));
        assert_eq!(order(&mut turns), [1]);
        turns.add(batch(1, 1));
        turns.add(batch(2, 1));
        assert_eq!(order(&mut turns), [1, 2]);
    }
}
