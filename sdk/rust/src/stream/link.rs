//! One end of a stream on one connection, and how often another connection is tried.

use super::PATIENCE;
use crate::connection::{Connection, StreamEvents};
use crate::{Mesh, SdkError};
use openmesh_message::Problem;
use openmesh_message::frame::{StreamAct, StreamEvent};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Refusals that another try may not get.
const PASSING: [&str; 5] = ["agent.away", "node.busy", "store.full", "stream.unknown", "stream.too_many"];

/// One end of a stream on one connection.
pub(super) struct Link {
    connection: Arc<Connection>,
    events: Arc<StreamEvents>,
    pub(super) number: u64,
}

/// How a link ended.
pub(super) enum Over {
    /// The connection is gone, or the node knows nothing of the stream: it may go on with another.
    Lost,
    /// The stream has ended.
    Ended(Result<(), SdkError>),
}

/// How long an end has tried to go on.
pub(super) struct Patience {
    /// Since when it has tried; `None` while the stream goes on.
    since: Option<Instant>,
    backoff: Duration,
}

impl Link {
    pub(super) fn open(connection: Arc<Connection>) -> Result<Self, SdkError> {
        let number = connection.next_tag();
        let events = connection.open_stream(number).ok_or_else(|| connection.closed())?;
        Ok(Self { connection, events, number })
    }

    /// What the node says next; `None` when the connection is gone.
    pub(super) async fn next(&self) -> Option<StreamEvent> {
        self.events.next().await
    }

    pub(super) async fn say(&self, act: StreamAct) -> Result<(), Over> {
        self.connection.say(act).await.map_err(|_| Over::Lost)
    }

    /// Breaks the stream off.
    pub(super) async fn reset(&self, reason: &str) {
        let _ = self.say(StreamAct::Reset { stream: self.number, reason: reason.to_owned() }).await;
    }

    /// Breaks a stream off that ended here only, because of what the node said.
    pub(super) async fn over(&self, over: Over) -> Over {
        if matches!(over, Over::Ended(Err(SdkError::UnexpectedReply(_)))) {
            self.reset("the node said what does not fit").await;
        }
        over
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.connection.close_stream(self.number);
    }
}

impl Over {
    /// The node says what does not fit what it said before.
    pub(super) const fn unfitting() -> Self {
        Self::Ended(Err(SdkError::UnexpectedReply("what was said of a stream")))
    }

    /// The node does not take a connection for an end.
    pub(super) fn refused(problem: Box<Problem>) -> Self {
        if is_passing(&problem) { Self::Lost } else { Self::Ended(Err(SdkError::Refused(problem))) }
    }

    pub(super) const fn reset(problem: Box<Problem>) -> Self {
        Self::Ended(Err(SdkError::StreamReset(problem)))
    }
}

/// Whether a refusal may be another one soon.
pub(super) fn is_passing(problem: &Problem) -> bool {
    PASSING.contains(&problem.code.as_str())
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { since: None, backoff: BACKOFF_MIN }
    }

    /// The stream goes on.
    pub(super) fn renew(&mut self) {
        *self = Self::new();
    }

    /// Whether it has tried for so long.
    pub(super) fn is_tried_for(&self, span: Duration) -> bool {
        self.since.is_some_and(|since| since.elapsed() > span)
    }

    /// Waits for a while, then sees that there is a connection; an error when it was tried for long enough.
    pub(super) async fn reconnect(&mut self, mesh: &Mesh) -> Result<(), SdkError> {
        loop {
            if self.since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                let after_ms = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
                return Err(SdkError::TimedOut { step: "going on with a stream", after_ms });
            }
            sleep(self.backoff).await;
            self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
            match mesh.reconnect().await {
                Ok(()) => return Ok(()),
                Err(why) => tracing::debug!(%why, "no connection for a stream yet"),
            }
        }
    }
}
