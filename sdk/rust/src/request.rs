//! Requests: a message and the replies to it, until the final one or a deadline.

use crate::compose::source_of;
use crate::connection::{ArrivalQueue, Arrived, Connection};
use crate::proofs::ProofMemory;
use crate::{Mesh, SdkError, Sent, now};
use openmesh_message::{Address, AgentId, AgentRef, Draft, Envelope, Performative, Target};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The final reply: inform, failure, refuse or not-understood.
    Final(Arc<Envelope>),
    /// None came in time, or the connection was lost: whether the request was worked on is not known.
    Unknown,
}

/// A request under way: hands over each reply.
pub struct Exchange {
    id: String,
    addressee: Option<AgentId>,
    queue: Arc<ArrivalQueue>,
    connection: Arc<Connection>,
    proofs: ProofMemory,
    until: Instant,
    done: bool,
    /// A reply that is being checked; stays when whoever waits for it gives up.
    checking: Option<Arc<Envelope>>,
    /// Keeps the connection open.
    mesh: Mesh,
}

impl Mesh {
    /// Sends a request (sets `replyby`) and awaits its final reply; earlier ones, such as agree, are passed over.
    pub async fn request(&self, draft: Draft, deadline: Duration) -> Result<Reply, SdkError> {
        let mut exchange = self.exchange(draft, deadline).await?;
        let mut last = None;
        while let Some(reply) = exchange.next().await {
            last = Some(reply);
        }
        let last = last.filter(|reply| is_final(reply));
        Ok(last.map_or(Reply::Unknown, Reply::Final))
    }

    /// Sends a request (sets `replyby`) whose replies are read one by one. An error means that it was refused or not sent.
    pub async fn exchange(&self, draft: Draft, deadline: Duration) -> Result<Exchange, SdkError> {
        let until = Instant::now() + deadline;
        let deadline_ms = i64::try_from(deadline.as_millis()).unwrap_or(i64::MAX);
        let envelope = self.sign(draft.reply_by(now().plus_ms(deadline_ms)))?;
        let exchange = self.await_replies(&envelope, until)?;
        let connection = Arc::clone(&exchange.connection);
        let sent = timeout_at(until, async { Ok(connection.submit(envelope).await?.await) });
        match sent.await {
            Ok(Ok(Sent::Rejected(problem))) => Err(SdkError::Rejected(Box::new(problem))),
            Ok(Err(not_sent)) => Err(not_sent),
            // Whoever got it will answer, whether or not the node could say so.
            Ok(Ok(_)) | Err(_) => Ok(exchange),
        }
    }

    fn await_replies(&self, envelope: &Envelope, until: Instant) -> Result<Exchange, SdkError> {
        let id = envelope.attributes.get("id").unwrap_or_default().to_owned();
        let connection = self.connection();
        let queue = connection.await_replies([id.as_str()]);
        Ok(Exchange {
            id,
            addressee: addressee_of(envelope),
            queue: queue.ok_or_else(|| connection.closed())?,
            connection,
            proofs: ProofMemory::default(),
            until,
            done: false,
            checking: None,
            mesh: self.clone(),
        })
    }
}

impl Exchange {
    /// The id of the request.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The next reply; `None` after the final one, at the deadline, or when the connection is lost.
    pub async fn next(&mut self) -> Option<Arc<Envelope>> {
        while !self.done {
            if self.checking.is_none() {
                match timeout_at(self.until, self.queue.next()).await {
                    Ok(Some(Arrived::Message { envelope, .. })) => self.checking = Some(envelope),
                    Ok(Some(Arrived::Gap { .. })) => continue,
                    Ok(None) | Err(_) => break,
                }
            }
            let checked = self.check().await;
            let envelope = self.checking.take()?;
            if let Err(why) = checked {
                tracing::error!(request = %self.id, %why, "a reply was dropped");
                continue;
            }
            self.done = is_final(&envelope);
            return Some(envelope);
        }
        self.done = true;
        None
    }

    /// A reply comes from the agent that was asked, where the request named one by its id, or from the node.
    async fn check(&mut self) -> Result<(), String> {
        let Some(reply) = &self.checking else {
            return Ok(());
        };
        self.proofs.check(reply, &self.mesh).await?;
        let source = source_of(reply);
        let expected =
            self.addressee.is_none() || source == self.addressee || source == Some(self.connection.node());
        expected.then_some(()).ok_or_else(|| {
            let source = source.map(|source| source.to_string());
            format!("{} was not asked", source.unwrap_or_default())
        })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.connection.forget_replies(&self.id);
    }
}

pub(crate) fn addressee_of(envelope: &Envelope) -> Option<AgentId> {
    let to: Address = envelope.attributes.get("to")?.parse().ok()?;
    match to.target {
        Target::Agent(AgentRef::Id(id)) | Target::Inbox(AgentRef::Id(id)) => Some(id),
        _ => None,
    }
}

pub(crate) fn is_final(reply: &Envelope) -> bool {
    let performative = reply.attributes.get("performative");
    let performative = performative.and_then(|text| text.parse::<Performative>().ok());
    performative.is_some_and(|act| act.is_final_reply()) && reply.attributes.get("more") != Some("true")
}
