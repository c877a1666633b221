//! How much of everything a run does: full size, and one that is over in a minute.

use serde::Serialize;
use std::time::Duration;

/// The sizes of one run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Settings {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    /// How long each system is under load in a round of P2.
    pub(crate) publish_ms: u64,
    /// Load before the clock starts.
    pub(crate) warm_up_ms: u64,
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
        if quick {
            return Self { quick, rounds: rounds.unwrap_or(2), publish_ms: 300, warm_up_ms: 100 };
        }
        Self { quick, rounds: rounds.unwrap_or(3), publish_ms: 3_000, warm_up_ms: 500 }
    }
}
