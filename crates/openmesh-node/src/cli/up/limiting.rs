//! The flags of `openmesh up` that limit what a node takes up and hands out.

use crate::cli::amount;
use crate::limits::{Limits, STRANGER_RATE};
use openmesh_adapter::Rates;
use openmesh_core::{AGENT_SUBSCRIPTIONS_MAX, AGENTS_MAX, NODE_SUBSCRIPTIONS_MAX, SUBSCRIPTIONS_MAX};
use openmesh_listeners::accept;

/// Less memory than this is not enough for a node at rest.
const MEMORY_MIN: u64 = 64 * 1024 * 1024;

/// Limits; what is beyond them is refused with a code that says when to try again.
#[derive(Debug, clap::Args)]
pub(super) struct Limiting {
    /// Memory that the node may take up, as 2GiB; near it, messages are refused as node.busy [default: half of the machine's].
    #[arg(long, env = "OPENMESH_MEMORY_MAX", value_name = "SIZE", value_parser = memory, hide_env_values = true)]
    memory_max: Option<u64>,
    /// What one agent may take of the node's time, in units a second; ten units are about a microsecond of a core. Beyond it,
    /// agent.quota [default: as much as there is].
    #[arg(long, value_name = "UNITS", value_parser = clap::value_parser!(u32).range(1_000..))]
    agent_rate: Option<u32>,
    /// The same for an agent that is not registered; 0: as much as there is.
    #[arg(long, value_name = "UNITS", default_value_t = STRANGER_RATE)]
    stranger_rate: u32,
    /// Connections in all; beyond it, connection.too_many.
    #[arg(long, value_name = "COUNT", default_value_t = default_connections().established_max)]
    connections_max: usize,
    /// Connections from one address of another machine.
    #[arg(long, value_name = "COUNT", default_value_t = default_connections().established_per_source_max)]
    source_connections_max: usize,
    /// Connections from the node's own machine.
    #[arg(long, value_name = "COUNT", default_value_t = default_connections().established_local_max)]
    local_connections_max: usize,
    /// Connections of one agent.
    #[arg(long, value_name = "COUNT", default_value_t = default_connections().established_per_agent_max)]
    agent_connections_max: usize,
    /// Subscriptions of one connection; beyond it, subscription.too_many.
    #[arg(long, value_name = "COUNT", default_value_t = SUBSCRIPTIONS_MAX)]
    subscriptions_max: usize,
    /// Subscriptions of one agent, on all its connections.
    #[arg(long, value_name = "COUNT", default_value_t = AGENT_SUBSCRIPTIONS_MAX)]
    agent_subscriptions_max: usize,
    /// Subscriptions in all.
    #[arg(long, value_name = "COUNT", default_value_t = NODE_SUBSCRIPTIONS_MAX)]
    node_subscriptions_max: usize,
    /// Registered agents, each with an inbox; beyond it, agent.too_many.
    #[arg(long, value_name = "COUNT", default_value_t = AGENTS_MAX)]
    agents_max: usize,
}

impl Limiting {
    pub(super) fn limits(&self) -> Limits {
        let default = Limits::default();
        let connections = accept::Limits {
            established_max: self.connections_max,
            established_per_source_max: self.source_connections_max,
            established_local_max: self.local_connections_max,
            established_per_agent_max: self.agent_connections_max,
            ..default.connections
        };
        let stranger = Some(self.stranger_rate).filter(|rate| *rate > 0);
        Limits {
            memory_max: self.memory_max.unwrap_or(default.memory_max),
            rates: Rates { stranger, registered: self.agent_rate },
            connections,
            subscriptions_max: self.subscriptions_max,
            agent_subscriptions_max: self.agent_subscriptions_max,
            node_subscriptions_max: self.node_subscriptions_max,
            agents_max: self.agents_max,
        }
    }
}

fn default_connections() -> accept::Limits {
    accept::Limits::default()
}

fn memory(text: &str) -> Result<u64, String> {
    match amount::size(text)? {
        bytes if bytes < MEMORY_MIN => Err("a node needs 64MiB at least".to_owned()),
        bytes => Ok(bytes),
    }
}
