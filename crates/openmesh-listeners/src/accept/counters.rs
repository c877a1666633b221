//! What is counted of connections, by door.

use super::Door;
use metrics::{Counter, Gauge, counter, gauge};

/// The counts of one door.
#[derive(Clone)]
pub(super) struct Counters {
    pub(super) accepted: Counter,
    pub(super) established: Gauge,
    pub(super) half_open: Gauge,
    pub(super) refused: Counter,
    pub(super) evicted: Counter,
    pub(super) late: Counter,
    pub(super) failed: Counter,
}

impl Counters {
    pub(super) fn new(door: Door) -> Self {
        let door = door.name();
        let ended = |reason| counter!("openmesh.connections.ended_early", "door" => door, "reason" => reason);
        Self {
            accepted: counter!("openmesh.connections.accepted", "door" => door),
            established: gauge!("openmesh.connections.established", "door" => door),
            half_open: gauge!("openmesh.connections.half_open", "door" => door),
            refused: ended("refused"),
            evicted: ended("evicted"),
            late: ended("late"),
            failed: ended("tls"),
        }
    }
}
