//! How much a node may take up, and hand out: memory, connections, subscriptions, the time of agents.

use crate::metering::resident_under;
use openmesh_adapter::{Load, Rates};
use openmesh_core::{AGENT_SUBSCRIPTIONS_MAX, AGENTS_MAX, NODE_SUBSCRIPTIONS_MAX, SUBSCRIPTIONS_MAX};
use openmesh_listeners::accept;
use openmesh_store::planted::{self, Planted};

/// The node may have this part of the machine's memory, unless told otherwise.
const MEMORY_PART: u64 = 2;
/// So much where the machine does not say how much it has.
const MEMORY_UNKNOWN: u64 = 1024 * 1024 * 1024;
/// What an agent that is not registered may take of the node's time, unless told otherwise: about a tenth of a core.
pub(crate) const STRANGER_RATE: u32 = 1_000_000;
/// Where the machine and its control groups say how much memory there is.
const CGROUP_LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// A node's limits.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Bytes of memory.
    pub(crate) memory_max: u64,
    /// What an agent may take of the node's time.
    pub(crate) rates: Rates,
    /// Connections.
    pub(crate) connections: accept::Limits,
    /// Subscriptions of one connection.
    pub(crate) subscriptions_max: usize,
    /// Subscriptions of one agent.
    pub(crate) agent_subscriptions_max: usize,
    /// Subscriptions in all.
    pub(crate) node_subscriptions_max: usize,
    /// Registered agents.
    pub(crate) agents_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_max: memory_max_default(),
            rates: Rates { stranger: Some(STRANGER_RATE), registered: None },
            connections: accept::Limits::default(),
            subscriptions_max: SUBSCRIPTIONS_MAX,
            agent_subscriptions_max: AGENT_SUBSCRIPTIONS_MAX,
            node_subscriptions_max: NODE_SUBSCRIPTIONS_MAX,
            agents_max: AGENTS_MAX,
        }
    }
}

impl Limits {
    /// The load of a node under these limits.
    pub(crate) fn load(&self) -> Load {
        let memory_max = if planted::has(Planted::ForgetCeiling) { u64::MAX } else { self.memory_max };
        let load = Load::under(memory_max, resident_under);
        if planted::has(Planted::ShedKeptFirst) { load.shedding_kept_first() } else { load }
    }
}

/// A part of what the machine, or the control group that the node runs in, has.
fn memory_max_default() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of(&text));
    let groups =
        CGROUP_LIMITS.iter().filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok());
    groups.chain(machine).min().unwrap_or(MEMORY_UNKNOWN) / MEMORY_PART
}

/// `MemTotal` of proc_meminfo(5), which is in KiB.
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::total_of;

    #[test]
    fn the_machine_says_how_much_memory_it_has() {
        assert_eq!(total_of("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 * 1024 * 1024));
        assert_eq!(total_of("MemFree: 1 kB\n"), None);
    }
}
