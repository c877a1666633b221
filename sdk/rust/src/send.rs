//! Sending: one message, many, or one until its outcome is known.

use crate::{Mesh, SdkError, canonical_json};
use openmesh_message::{Envelope, Performative, Problem, SignedReceipt};
use serde::Serialize;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Says nothing of an earlier copy: the receipt is to be asked for by digest.
const OUTSIDE_WINDOW: &str = "time.outside_window";

/// How a send ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a message that was rejected, or whose outcome is unknown, was perhaps not sent"]
pub enum Sent {
    /// Taken in, and kept as the receipt says; the receipt is for this message and signed by the certified node.
    Accepted(SignedReceipt),
    /// Handed on through an ephemeral topic, which gives no receipts.
    Passed,
    /// Refused; the problem says what would be accepted.
    Rejected(Problem),
    /// Nobody can say: send the same envelope again.
    Unknown,
}

/// The outcome of a message on its way; dropping it does not call the message back.
#[must_use = "await it to learn the outcome"]
pub struct Pending {
    answer: oneshot::Receiver<Sent>,
}

impl Mesh {
    /// Hands a message over once fewer than the node's limit are in flight. An error means that it was not sent.
    pub async fn submit(&self, envelope: Envelope) -> Result<Pending, SdkError> {
        self.connection().submit(envelope).await
    }

    /// Sends a message and awaits its outcome. An error means that it was not sent.
    pub async fn send(&self, envelope: Envelope) -> Result<Sent, SdkError> {
        Ok(self.submit(envelope).await?.await)
    }

    /// Sends messages in order and awaits their outcomes. An error means that none was sent.
    pub async fn send_batch(&self, mut envelopes: Vec<Envelope>) -> Result<Vec<Sent>, SdkError> {
        let connection = self.connection();
        if let Some(ended) = connection.ended_by() {
            return Err(ended);
        }
        for envelope in &mut envelopes {
            connection.check_size(envelope)?;
        }
        let mut pending = Vec::with_capacity(envelopes.len());
        for envelope in envelopes {
            pending.push(connection.submit(envelope).await);
        }
        let mut sent = Vec::with_capacity(pending.len());
        for outcome in pending {
            sent.push(match outcome {
                Ok(outcome) => outcome.await,
                Err(_) => Sent::Unknown,
            });
        }
        Ok(sent)
    }

    /// Sends the same bytes again, over a fresh connection where need be, until the outcome is known;
    /// `Unknown` only after `deadline`.
    pub async fn send_until_known(
        &self,
        mut envelope: Envelope,
        deadline: Duration,
    ) -> Result<Sent, SdkError> {
        self.connection().check_size(&mut envelope)?;
        let known = timeout(deadline, self.resend_until_known(&envelope)).await;
        Ok(known.unwrap_or(Sent::Unknown))
    }

    /// Answers a message with a JSON payload.
    pub async fn reply<T: Serialize + ?Sized>(
        &self,
        to: &Envelope,
        performative: &Performative,
        payload: &T,
    ) -> Result<Sent, SdkError> {
        let draft = self.reply_draft(to, performative)?;
        let envelope = self.sign(draft.json(canonical_json(payload)?))?;
        self.send(envelope).await
    }

    async fn resend_until_known(&self, envelope: &Envelope) -> Sent {
        let mut backoff = BACKOFF_MIN;
        loop {
            match self.send(envelope.clone()).await {
                Ok(Sent::Unknown) | Err(_) => {}
                Ok(Sent::Rejected(problem)) if problem.code == OUTSIDE_WINDOW => {
                    if let Some(known) = self.ask_for_receipt(envelope, problem).await {
                        return known;
                    }
                }
                Ok(known) => return known,
            }
            sleep(backoff + jitter(backoff)).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
            if let Err(why) = self.reconnect().await {
                tracing::debug!(%why, "no connection yet");
            }
        }
    }

    /// `None` when the node cannot be asked just then.
    async fn ask_for_receipt(&self, envelope: &Envelope, problem: Problem) -> Option<Sent> {
        let id = envelope.attributes.get("id").unwrap_or_default();
        match self.receipt(&envelope.digest(), id).await {
            Ok(Some(receipt)) => Some(Sent::Accepted(receipt)),
            Ok(None) => Some(Sent::Rejected(problem)),
            Err(_) => None,
        }
    }
}

impl Sent {
    /// The receipt of an accepted message.
    pub const fn receipt(&self) -> Option<&SignedReceipt> {
        match self {
            Self::Accepted(receipt) => Some(receipt),
            _ => None,
        }
    }

    /// The problem of a rejected message.
    pub const fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Rejected(problem) => Some(problem),
            _ => None,
        }
    }

    /// When another try makes sense for a message that was rejected: the node is overloaded, or a quota is used up. `None`: the same
    /// thing will be refused again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.problem()?.retry_after_ms.map(Duration::from_millis)
    }

    /// Whether the message was taken in and is kept.
    pub const fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }

    /// The receipt, or why there is none.
    pub fn accepted(self) -> Result<SignedReceipt, SdkError> {
        match self {
            Self::Accepted(receipt) => Ok(receipt),
            Self::Rejected(problem) => Err(SdkError::Rejected(Box::new(problem))),
            Self::Passed => Err(SdkError::NoReceipt),
            Self::Unknown => Err(SdkError::OutcomeUnknown),
        }
    }
}

impl Pending {
    pub(crate) const fn new(answer: oneshot::Receiver<Sent>) -> Self {
        Self { answer }
    }
}

impl Future for Pending {
    type Output = Sent;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Sent> {
        let answer = Pin::new(&mut self.answer).poll(context);
        answer.map(|sent| sent.unwrap_or(Sent::Unknown))
    }
}

/// Up to half of `backoff`, so that agents who lost one node do not all return at once.
fn jitter(backoff: Duration) -> Duration {
    let mut random = [0];
    // Without randomness they do.
    let _ = getrandom::fill(&mut random);
    backoff * u32::from(random[0]) / 512
}
