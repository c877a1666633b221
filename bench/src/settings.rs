//! How much of everything a run does: as much as the aims say, what is over in a quarter of an hour, and in a minute.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The sizes of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) size: Size,
    pub(crate) rounds: usize,
    /// How long each system is under load in a round of P1.
    pub(crate) pubsub_ms: u64,
    /// How long each system is under load in a round of P2.
    pub(crate) publish_ms: u64,
    /// Load before the clock starts.
    pub(crate) warm_up_ms: u64,
    /// Requests of P4, a round.
    pub(crate) requests: usize,
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
    /// Subscriptions that messages are matched against, in memory.
    pub(crate) matched_subscriptions: usize,
    /// Messages that are matched.
    pub(crate) matched_messages: usize,
    /// Connections that hold subscriptions.
    pub(crate) churn_connections: usize,
    /// Subscriptions that they hold.
    pub(crate) churn_subscriptions: usize,
    /// Subscriptions ended or begun in a second.
    pub(crate) churn_per_second: u64,
    /// How long messages are timed meanwhile.
    pub(crate) churn_ms: u64,
    /// Messages of a long log.
    pub(crate) history: u64,
    /// Records after the last snapshot when a node crashes.
    pub(crate) tail: u64,
    /// Starts after a crash, and starts of a peer.
    pub(crate) crashes: u64,
    /// Questions of one kind, a round.
    pub(crate) questions: u64,
}

/// How large a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Size {
    /// Over in a minute, to see that everything runs.
    Quick,
    /// Over in a quarter of an hour.
    Usual,
    /// As large as the aims say.
    Full,
}

/// Payload of what is published, in bytes.
pub(crate) const PUBLISH_PAYLOAD_BYTES: usize = 512;
/// Payloads of P1, in bytes, with what they are called.
pub(crate) const PUBSUB_PAYLOADS: [(usize, &str); 2] = [(128, "128 B"), (1_024, "1 KiB")];
/// How many receive each message of P1.
pub(crate) const PUBSUB_SUBSCRIBERS: [usize; 2] = [1, 8];
/// Of the subscriptions that messages are matched against in memory, one in so many has wildcards.
pub(crate) const WILD_IN: usize = 100;
/// Payload bytes that are published and not yet seen by every subscriber, at a time.
pub(crate) const PUBSUB_WINDOW_BYTES: u64 = 2 * 1024 * 1024;
/// Messages that are not yet acknowledged, at a time.
pub(crate) const IN_FLIGHT: [usize; 3] = [1, 64, 1_000];
/// A server that does less than this share of one core is quiet.
pub(crate) const QUIET_SHARE: f64 = 0.06;
/// How long a server is waited for to be quiet.
pub(crate) const QUIET_WAIT: Duration = Duration::from_secs(20);

impl Settings {
    pub(crate) fn new(size: Size, rounds: Option<usize>) -> Self {
        let mut settings = match size {
            Size::Quick => Self::quick(),
            Size::Usual => Self::usual(),
            Size::Full => Self::full(),
        };
        settings.rounds = rounds.unwrap_or(settings.rounds);
        settings
    }

    fn full() -> Self {
        Self {
            size: Size::Full,
            rounds: 3,
            pubsub_ms: 3_000,
            publish_ms: 3_000,
            warm_up_ms: 500,
            requests: 20_000,
            wakes: 1_000,
            backlog: 1_000_000,
            backlog_rounds: 2,
            idle_inboxes: 1_000_000,
            idle_seconds: 600,
            idle_consumers: 10_000,
            idle_connections: 10_000,
            matched_subscriptions: 1_000_000,
            matched_messages: 100_000,
            churn_connections: 10_000,
            churn_subscriptions: 100_000,
            churn_per_second: 10_000,
            churn_ms: 5_000,
            history: 10_000_000,
            tail: 1_000_000,
            crashes: 2,
            questions: 500,
        }
    }

    fn usual() -> Self {
        Self {
            size: Size::Usual,
            pubsub_ms: 1_200,
            publish_ms: 1_500,
            warm_up_ms: 300,
            requests: 10_000,
            wakes: 500,
            backlog: 200_000,
            backlog_rounds: 1,
            idle_inboxes: 100_000,
            idle_seconds: 60,
            idle_consumers: 2_000,
            matched_messages: 50_000,
            churn_ms: 3_000,
            history: 1_000_000,
            tail: 200_000,
            crashes: 1,
            questions: 200,
            ..Self::full()
        }
    }

    fn quick() -> Self {
        Self {
            size: Size::Quick,
            rounds: 1,
            pubsub_ms: 200,
            publish_ms: 200,
            warm_up_ms: 50,
            requests: 1_000,
            wakes: 100,
            backlog: 10_000,
            backlog_rounds: 1,
            idle_inboxes: 10_000,
            idle_seconds: 1,
            idle_consumers: 200,
            idle_connections: 1_000,
            matched_subscriptions: 20_000,
            matched_messages: 5_000,
            churn_connections: 500,
            churn_subscriptions: 5_000,
            churn_ms: 200,
            history: 50_000,
            tail: 20_000,
            crashes: 1,
            questions: 20,
            ..Self::full()
        }
    }
}

impl Size {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Usual => "usual",
            Self::Full => "full",
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
    use super::{Settings, Size};

    #[test]
    fn sizes_are_replaced_by_name() {
        let settings = || Settings::new(Size::Quick, None);
        let changed = settings().with(&["history=7".to_owned(), "rounds=9".to_owned()]).unwrap();
        assert_eq!((changed.history, changed.rounds, changed.wakes), (7, 9, settings().wakes));
        assert!(settings().with(&["pace=7".to_owned()]).is_err());
        assert!(settings().with(&["history=-7".to_owned()]).is_err());
    }
}
