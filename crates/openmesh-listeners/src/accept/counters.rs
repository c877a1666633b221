//! What is counted of connections, by door.

use super::Door;
use metrics::{Counter, Gauge, counter, gauge};
use openmesh_adapter::metrics::{
    CONNECTIONS_ACCEPTED, CONNECTIONS_ENDED_EARLY, CONNECTIONS_ESTABLISHED, CONNECTIONS_HALF_OPEN,
};

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
        let ended = |reason| counter!(CONNECTIONS_ENDED_EARLY, "door" => door, "reason" => reason);
        Self {
            accepted: counter!(CONNECTIONS_ACCEPTED, "door" => door),
            established: gauge!(CONNECTIONS_ESTABLISHED, "door" => door),
            half_open: gauge!(CONNECTIONS_HALF_OPEN, "door" => door),
            refused: ended("refused"),
            evicted: ended("evicted"),
            late: ended("late"),
            failed: ended("tls"),
        }
    }
}
