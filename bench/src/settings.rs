//! How much of everything a run does: full size, and one that is over in a minute.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The sizes of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    /// How long each system is under load in a round of P2.
    pub(crate) publish_ms: u64,
    /// Load before the clock starts.
    pub(crate) warm_up_ms: u64,
    /// Messages put for a waiting agent, a round.
    pub(crate) wakes: usize,
    /// Messages of a backlog.
    pub(crate) backlog: usize,
    /// Backlogs filled and drained.
    pub(crate) backlog_rounds: usize,
    pub(crate) idle_inboxes: u64,
    /// How long making them may take.
    pub(crate) idle_seconds: u64,
    /// Durable consumers of JetStream.
    pub(crate) idle_consumers: usize,
    pub(crate) idle_connections: usize,
    /// Messages of a long log.
    pub(crate) history: u64,
    /// Records after the last snapshot when a node crashes.
    pub(crate) tail: u64,
    /// Starts after a crash, and starts of a peer.
    pub(crate) crashes: u64,
    /// Questions of one kind, a round.
    pub(crate) questions: u64,
}

/// Payload of what is published, in bytes.
pub(crate) const PUBLISH_PAYLOAD_BYTES: usize = 512;
/// Messages that are not yet acknowledged, at a time.
pub(crate) const IN_FLIGHT: [usize; 3] = [1, 64, 1_000];
/// A server that does less than this share of one core is quiet.
pub(crate) const QUIET_SHARE: f64 = 0.06;
/// How long a server is waited for to be quiet.
pub(crate) const QUIET_WAIT: Duration = Duration::from_secs(20);

impl Settings {
    pub(crate) fn new(quick: bool, rounds: Option<usize>) -> Self {
        let full = Self {
            quick,
            rounds: rounds.unwrap_or(3),
            publish_ms: 3_000,
            warm_up_ms: 500,
            wakes: 1_000,
            backlog: 1_000_000,
            backlog_rounds: 2,
            idle_inboxes: 1_000_000,
            idle_seconds: 600,
            idle_consumers: 10_000,
            idle_connections: 10_000,
            history: 10_000_000,
            tail: 1_000_000,
            crashes: 2,
            questions: 500,
        };
        if !quick {
            return full;
        }
        Self {
            rounds: rounds.unwrap_or(2),
            publish_ms: 200,
            warm_up_ms: 50,
            wakes: 100,
            backlog: 20_000,
            backlog_rounds: 1,
            idle_inboxes: 20_000,
            idle_seconds: 2,
            idle_consumers: 500,
            idle_connections: 1_000,
            history: 50_000,
            tail: 20_000,
            crashes: 1,
            questions: 20,
            ..full
        }
    }
}

impl Settings {
    /// Replaces sizes: each is `name=value`, as the report names them.
    pub(crate) fn with(self, sizes: &[String]) -> Result<Self> {
        let mut settings = serde_json::to_value(&self)?;
        for size in sizes {
            let (name, value) =
                size.split_once('=').with_context(|| format!("`{size}` is not name=value"))?;
            let known =
                settings.get_mut(name).with_context(|| format!("there is no size {name}: {self:?}"))?;
            *known = serde_json::from_str(value).with_context(|| format!("`{size}`"))?;
        }
        serde_json::from_value(settings).context("a size is a whole number")
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn sizes_are_replaced_by_name() {
        let settings = || Settings::new(true, None);
        let changed = settings().with(&["history=7".to_owned(), "rounds=9".to_owned()]).unwrap();
        assert_eq!((changed.history, changed.rounds, changed.wakes), (7, 9, settings().wakes));
        assert!(settings().with(&["pace=7".to_owned()]).is_err());
        assert!(settings().with(&["history=-7".to_owned()]).is_err());
    }
}
