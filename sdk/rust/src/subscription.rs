//! Subscriptions: what matches a pattern, in order, with gaps told and proofs checked.

use crate::connection::{ArrivalQueue, Arrived, Connection};
use crate::proofs::ProofMemory;
use crate::{Mesh, SdkError};
use openmesh_message::frame::{Command, Reply, Start};
use openmesh_message::{Envelope, TopicPattern};
use std::sync::Arc;
use std::time::Duration;

const OWN_SUBSCRIPTION: u64 = 0;

/// One item of a subscription. Messages, gaps and invalid ones together are all that matched.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A message; if it is signed, by the sender it names, or for it by the node (`Mesh::signed_by` tells which).
    Message {
        /// Counts what matched, from 1.
        number: u64,
        /// The message.
        envelope: Arc<Envelope>,
    },
    /// Messages that matched but were missed: this reader, or the connection, was too slow.
    Gap {
        /// The first number missed.
        first: u64,
        /// The last number missed.
        last: u64,
    },
    /// A message that is not its sender's; it is dropped.
    Invalid {
        /// Its number.
        number: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// A subscription; ends with its connection, and when dropped.
pub struct Subscription {
    number: u64,
    queue: Arc<ArrivalQueue>,
    connection: Arc<Connection>,
    proofs: ProofMemory,
    /// What arrived and is being checked; stays when whoever waits for it gives up.
    checking: Option<Arrived>,
    /// Keeps the connection open.
    mesh: Mesh,
}

impl Mesh {
    /// Subscribes to a pattern: `topic:market/*`, or absolute.
    pub async fn subscribe(&self, pattern: &str, start: Start) -> Result<Subscription, SdkError> {
        let pattern = self.absolute_pattern(pattern)?;
        let connection = self.connection();
        let number = connection.next_tag();
        let queue = connection.open_route(number);
        let subscription = Subscription {
            number,
            queue: queue.ok_or_else(|| connection.closed())?,
            connection,
            proofs: ProofMemory::default(),
            checking: None,
            mesh: self.clone(),
        };
        let command = Command::Subscribe { subscription: number, pattern, start };
        let asked = subscription.connection.command("subscribe", command, Duration::ZERO);
        match asked.await? {
            Reply::Done => Ok(subscription),
            _ => Err(SdkError::UnexpectedReply("subscribe")),
        }
    }

    /// The messages to the agent itself, from the moment of connecting on; once a connection.
    /// Replies that a request or exchange awaits do not appear here, though they are counted.
    pub fn incoming(&self) -> Result<Subscription, SdkError> {
        let connection = self.connection();
        let queue = connection.open_route(OWN_SUBSCRIPTION);
        let queue = queue.ok_or_else(|| connection.closed())?;
        if !connection.take_incoming() {
            return Err(SdkError::IncomingTaken);
        }
        Ok(Subscription {
            number: OWN_SUBSCRIPTION,
            queue,
            connection,
            proofs: ProofMemory::default(),
            checking: None,
            mesh: self.clone(),
        })
    }

    /// The absolute form of a pattern that people write.
    pub(crate) fn absolute_pattern(&self, pattern: &str) -> Result<String, SdkError> {
        if pattern.starts_with("mesh://") {
            return Ok(pattern.to_owned());
        }
        let path = pattern.strip_prefix("topic:").unwrap_or(pattern);
        let path: TopicPattern = path.parse()?;
        Ok(format!("mesh://{}/topic/{path}", self.domain()))
    }
}

impl Subscription {
    /// The next item; `None` when the subscription has ended and all is read. Nothing is lost if the wait is given up.
    pub async fn next(&mut self) -> Option<Item> {
        if self.checking.is_none() {
            self.checking = Some(self.queue.next().await?);
        }
        let checked = match &self.checking {
            Some(Arrived::Message { envelope, .. }) => self.proofs.check(envelope, &self.mesh).await,
            _ => Ok(()),
        };
        Some(match (self.checking.take()?, checked) {
            (Arrived::Gap { first, last }, _) => Item::Gap { first, last },
            (Arrived::Message { number, envelope }, Ok(())) => Item::Message { number, envelope },
            (Arrived::Message { number, .. }, Err(why)) => {
                tracing::error!(subscription = self.number, number, %why, "a message was dropped");
                Item::Invalid { number, why }
            }
        })
    }

    /// The next valid message, skipping all else.
    pub async fn next_message(&mut self) -> Option<Arc<Envelope>> {
        loop {
            if let Item::Message { envelope, .. } = self.next().await? {
                return Some(envelope);
            }
        }
    }

    /// Its number on the connection; 0 for the agent's own messages.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Why the connection ended; `None` while it stands.
    pub fn ended_by(&self) -> Option<SdkError> {
        self.connection.ended_by()
    }

    /// Ends the subscription and waits for the node to say so.
    pub async fn end(self) -> Result<(), SdkError> {
        if self.number == OWN_SUBSCRIPTION {
            return Ok(());
        }
        let command = Command::Unsubscribe { subscription: self.number };
        let connection = Arc::clone(&self.connection);
        connection.close_route(self.number);
        let asked = connection.command("unsubscribe", command, Duration::ZERO);
        match asked.await? {
            Reply::Done => Ok(()),
            _ => Err(SdkError::UnexpectedReply("unsubscribe")),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.number != OWN_SUBSCRIPTION && self.connection.close_route(self.number) {
            self.connection.tell(Command::Unsubscribe { subscription: self.number });
        }
    }
}
