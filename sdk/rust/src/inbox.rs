//! The agent's inbox: leasing what is held for it, and a worker that does so message by message.

use crate::proofs::ProofMemory;
use crate::{Mesh, SdkError};
use openmesh_message::Priority;
use openmesh_message::frame::{Command, InboxCounts, Leased, PeekPage, Reply};
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;
use tokio::time::sleep;

const EXTENSIONS_PER_VISIBILITY: u32 = 3;

/// The agent's inbox.
#[derive(Clone)]
pub struct Inbox {
    mesh: Mesh,
}

/// How a worker treats the messages of an inbox.
#[derive(Clone, Debug)]
pub struct WorkOptions {
    /// For how long a message is leased at a time; prolonged while the handler runs.
    pub visibility: Duration,
    /// How long one lease waits for a message.
    pub wait: Duration,
    /// After how long a failed message may be leased again.
    pub retry_delay: Duration,
}

impl Default for WorkOptions {
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(30),
            wait: Duration::from_secs(20),
            retry_delay: Duration::from_secs(1),
        }
    }
}

impl Mesh {
    /// The agent's inbox.
    pub fn inbox(&self) -> Inbox {
        Inbox { mesh: self.clone() }
    }
}

impl Inbox {
    /// Takes messages out for `visibility`, waiting up to `wait` if there are none.
    /// Those that are not their sender's are given back, and so end as dead letters.
    pub async fn lease(
        &self,
        messages_max: u32,
        visibility: Duration,
        wait: Duration,
    ) -> Result<Vec<Leased>, SdkError> {
        self.lease_from(Priority::Bulk, messages_max, visibility, wait).await
    }

    /// As [`Inbox::lease`], but only messages at least so urgent: they come at once, whatever else is there.
    pub async fn lease_from(
        &self,
        least: Priority,
        messages_max: u32,
        visibility: Duration,
        wait: Duration,
    ) -> Result<Vec<Leased>, SdkError> {
        let least = Some(least).filter(|least| *least != Priority::Bulk);
        let (visibility_ms, wait_ms) = (millis(visibility), millis(wait));
        let command = Command::Lease { messages_max, visibility_ms, wait_ms, least };
        let leased = match self.ask("a lease", command, wait).await? {
            Reply::Leased(leased) => leased,
            _ => return Err(SdkError::UnexpectedReply("a lease")),
        };
        let mut proofs = ProofMemory::default();
        let mut valid = Vec::with_capacity(leased.len());
        for message in leased {
            match proofs.check(&message.envelope, &self.mesh).await {
                Ok(()) => valid.push(message),
                Err(why) => {
                    tracing::error!(number = message.number, %why, "a held message is not its sender's");
                    self.nack(message.token, &[message.number], Duration::ZERO).await?;
                }
            }
        }
        Ok(valid)
    }

    /// Ends leased messages as done; all of the lease if `numbers` is empty.
    pub async fn ack(&self, token: u64, numbers: &[u64]) -> Result<(), SdkError> {
        let numbers = numbers.to_vec();
        self.tell("an ack", Command::Ack { token, numbers }).await
    }

    /// Gives leased messages back, to be leased again after `delay`; all of the lease if `numbers` is empty.
    pub async fn nack(&self, token: u64, numbers: &[u64], delay: Duration) -> Result<(), SdkError> {
        let command = Command::Nack { token, numbers: numbers.to_vec(), delay_ms: millis(delay) };
        self.tell("a nack", command).await
    }

    /// Keeps a lease for `visibility` from when the node reads this.
    pub async fn extend(&self, token: u64, visibility: Duration) -> Result<(), SdkError> {
        let visibility_ms = millis(visibility);
        let command = Command::Extend { token, visibility_ms };
        self.tell("an extension", command).await
    }

    /// What became of everything ever put in.
    pub async fn counts(&self) -> Result<InboxCounts, SdkError> {
        let asked = self.ask("counts", Command::CountInbox, Duration::ZERO);
        match asked.await? {
            Reply::Inbox(counts) => Ok(counts),
            _ => Err(SdkError::UnexpectedReply("counts")),
        }
    }

    /// A page of what is in the inbox, by number, without taking anything. Messages that are not their sender's are left out.
    pub async fn peek(&self, after_number: u64, messages_max: u32) -> Result<PeekPage, SdkError> {
        let command = Command::Peek { after_number, messages_max };
        let Reply::Peeked(page) = self.ask("a look into the inbox", command, Duration::ZERO).await? else {
            return Err(SdkError::UnexpectedReply("a look into the inbox"));
        };
        let mut proofs = ProofMemory::default();
        let mut valid = Vec::with_capacity(page.entries.len());
        for held in page.entries {
            match proofs.check(&held.envelope, &self.mesh).await {
                Ok(()) => valid.push(held),
                Err(why) => {
                    tracing::error!(number = held.number, %why, "a held message is not its sender's");
                }
            }
        }
        Ok(PeekPage { entries: valid, ..page })
    }

    /// Hands message after message to `handler`, acknowledges it on `Ok` and gives it back on `Err`; prolongs the
    /// lease meanwhile. Returns only when leasing fails, as on a lost connection; drop it to stop.
    pub async fn work<H, F, E>(&self, options: &WorkOptions, mut handler: H) -> SdkError
    where
        H: FnMut(Leased) -> F,
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        loop {
            let leased = match self.lease(1, options.visibility, options.wait).await {
                Ok(leased) => leased,
                Err(why) => return why,
            };
            for message in leased {
                let (token, number) = (message.token, message.number);
                let done = tokio::select! {
                    biased;
                    done = handler(message) => done,
                    () = self.keep_extending(token, options.visibility) => continue,
                };
                self.end_one(token, number, done, options).await;
            }
        }
    }

    async fn end_one<E: Display>(&self, token: u64, number: u64, done: Result<(), E>, options: &WorkOptions) {
        let told = match done {
            Ok(()) => self.ack(token, &[number]).await,
            Err(why) => {
                tracing::warn!(number, %why, "a message of the inbox was given back");
                self.nack(token, &[number], options.retry_delay).await
            }
        };
        if let Err(why) = told {
            tracing::warn!(number, %why, "a lease was lost: the message will be leased again");
        }
    }

    /// Returns when the node says that the lease is lost, so that nobody works on without it.
    async fn keep_extending(&self, token: u64, visibility: Duration) {
        loop {
            sleep(visibility / EXTENSIONS_PER_VISIBILITY).await;
            match self.extend(token, visibility).await {
                Ok(()) => {}
                Err(SdkError::TimedOut { .. }) => {}
                Err(why) => {
                    tracing::warn!(token, %why, "a lease was lost while its message was worked on");
                    return;
                }
            }
        }
    }

    async fn tell(&self, step: &'static str, command: Command) -> Result<(), SdkError> {
        match self.ask(step, command, Duration::ZERO).await? {
            Reply::Done => Ok(()),
            _ => Err(SdkError::UnexpectedReply(step)),
        }
    }

    async fn ask(&self, step: &'static str, command: Command, wait: Duration) -> Result<Reply, SdkError> {
        self.mesh.connection().command(step, command, wait).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
