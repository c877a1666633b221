//! Requests to many: to a topic, or to several agents, with the replies gathered until a deadline.

use crate::compose::source_of;
use crate::connection::{ArrivalQueue, Arrived, Connection};
use crate::proofs::ProofMemory;
use crate::request::{addressee_of, is_final};
use crate::{Mesh, SdkError, Sent, now};
use openmesh_message::{AgentId, Draft, Envelope, Problem};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// What came of a request to many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    /// The final replies that came in time, as they came: at most one of each responder to each request.
    pub answers: Vec<Answer>,
    /// The requests that the node refused, by their place among those sent: nobody got them.
    pub refused: Vec<(usize, Problem)>,
}

/// A final reply and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Who answered.
    pub from: AgentId,
    /// The place among those sent of the request that it answers.
    pub request: usize,
    /// The reply: inform, failure, refuse or not-understood.
    pub reply: Arc<Envelope>,
}

/// Requests under way.
struct Gathering {
    requests: Vec<Asked>,
    queue: Arc<ArrivalQueue>,
    connection: Arc<Connection>,
    proofs: ProofMemory,
    answered: BTreeSet<(usize, AgentId)>,
    mesh: Mesh,
}

struct Asked {
    id: String,
    /// Whom it went to, where that is one agent.
    is_to_one: bool,
    addressee: Option<AgentId>,
}

impl Mesh {
    /// Sends requests (sets their `replyby`), one to a topic or one to each of several agents, and gathers the final
    /// replies until the deadline, until there are `replies_max`, or until every agent that was asked has answered.
    /// Later replies are refused by the node. An error means that no request was taken in.
    pub async fn request_many(
        &self,
        drafts: Vec<Draft>,
        deadline: Duration,
        replies_max: usize,
    ) -> Result<Gathered, SdkError> {
        let until = Instant::now() + deadline;
        let reply_by = now().plus_ms(i64::try_from(deadline.as_millis()).unwrap_or(i64::MAX));
        let signed = drafts.into_iter().map(|draft| self.sign(draft.reply_by(reply_by)));
        let envelopes = signed.collect::<Result<Vec<_>, _>>()?;
        let mut gathering = self.begin_gathering(&envelopes)?;
        let mut gathered =
            Gathered { refused: gathering.send(envelopes, until).await?, ..Gathered::default() };
        let asked = gathering.requests.len();
        if let Some((_, problem)) = gathered.refused.first().filter(|_| gathered.refused.len() == asked) {
            return Err(SdkError::Rejected(Box::new(problem.clone())));
        }
        let expected = gathering.expected(gathered.refused.len()).min(replies_max);
        while gathered.answers.len() < expected
            && let Some(reply) = gathering.next(until).await
        {
            gathered.answers.extend(gathering.judge(reply).await);
        }
        Ok(gathered)
    }

    fn begin_gathering(&self, envelopes: &[Envelope]) -> Result<Gathering, SdkError> {
        let connection = self.connection();
        let requests: Vec<_> = envelopes.iter().map(Asked::of).collect();
        let queue = connection.await_replies(requests.iter().map(|asked| asked.id.as_str()));
        Ok(Gathering {
            queue: queue.ok_or_else(|| connection.closed())?,
            requests,
            connection,
            proofs: ProofMemory::default(),
            answered: BTreeSet::new(),
            mesh: self.clone(),
        })
    }
}

impl Asked {
    fn of(envelope: &Envelope) -> Self {
        let attribute = |name: &str| envelope.attributes.get(name).unwrap_or_default();
        let is_to_topic = attribute("to").split('/').nth(3) == Some("topic");
        let id = attribute("id").to_owned();
        Self { id, is_to_one: !is_to_topic, addressee: addressee_of(envelope) }
    }
}

impl Gathering {
    /// Sends all, then awaits their outcomes; those refused.
    async fn send(
        &self,
        envelopes: Vec<Envelope>,
        until: Instant,
    ) -> Result<Vec<(usize, Problem)>, SdkError> {
        let mut pending = Vec::with_capacity(envelopes.len());
        for envelope in envelopes {
            pending.push(self.connection.submit(envelope).await?);
        }
        let mut refused = Vec::new();
        for (request, outcome) in pending.into_iter().enumerate() {
            // Whoever got it will answer, whether or not the node could say so in time.
            if let Ok(Sent::Rejected(problem)) = timeout_at(until, outcome).await {
                refused.push((request, problem));
            }
        }
        Ok(refused)
    }

    /// How many can answer; nobody knows how many listen to a topic.
    fn expected(&self, refused: usize) -> usize {
        let to_agents = self.requests.iter().all(|asked| asked.is_to_one);
        if to_agents { self.requests.len() - refused } else { usize::MAX }
    }

    /// The next message that names one of the requests; `None` at the deadline or when the connection is lost.
    async fn next(&self, until: Instant) -> Option<Arc<Envelope>> {
        loop {
            let arrived = if Instant::now() < until {
                timeout_at(until, self.queue.next()).await.ok()?
            } else {
                // What had come before the deadline counts, though the outcomes kept this from reading it.
                self.queue.try_next()?
            };
            if let Arrived::Message { envelope, .. } = arrived? {
                return Some(envelope);
            }
        }
    }

    /// The answer that a reply is; a part, a second final reply and a reply of somebody who was not asked are none.
    async fn judge(&mut self, reply: Arc<Envelope>) -> Option<Answer> {
        let in_reply_to = reply.attributes.get("inreplyto")?;
        let request = self.requests.iter().position(|asked| asked.id == in_reply_to)?;
        let from = source_of(&reply)?;
        let asked = self.requests.get(request)?;
        let was_asked = asked.addressee.is_none_or(|addressee| addressee == from);
        if let Err(why) = self.proofs.check(&reply, &self.mesh).await {
            tracing::error!(request = %in_reply_to, %why, "a reply was dropped");
            return None;
        }
        let counts = was_asked && is_final(&reply) && self.answered.insert((request, from));
        counts.then_some(Answer { from, request, reply })
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        for asked in &self.requests {
            self.connection.forget_replies(&asked.id);
        }
    }
}
