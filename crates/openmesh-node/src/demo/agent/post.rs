//! What reaches an agent, as one queue: cues on its standard input, mail leased from its inbox, a topic.

use crate::demo::cue::{Cue, News};
use anyhow::Result;
use openmesh_sdk::{Envelope, Leased, Mesh, Start};
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const WAITING_MAX: usize = 64;
const LEASE_MESSAGES_MAX: u32 = 16;
/// Longer than a run lasts: no message is handled twice because the machine is slow.
const VISIBILITY: Duration = Duration::from_secs(120);
const LEASE_WAIT: Duration = Duration::from_secs(20);

/// Something that reached the agent.
pub(super) enum Arrival {
    /// The demo says something.
    Cue(Cue),
    /// Messages leased from the inbox.
    Mail(Vec<Leased>),
    /// A message of the topic.
    Published(Arc<Envelope>),
    /// The connection is gone.
    Lost(String),
}

/// All that reaches the agent, in one queue.
pub(super) struct Arrivals {
    sender: mpsc::Sender<Option<Arrival>>,
    receiver: mpsc::Receiver<Option<Arrival>>,
}

impl Arrivals {
    /// A queue that takes cues from standard input; its end is the end of the queue.
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let cues = sender.clone();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let cue = line.ok().and_then(|line| serde_json::from_str(&line).ok());
                let Some(cue) = cue else { break };
                if cues.blocking_send(Some(Arrival::Cue(cue))).is_err() {
                    return;
                }
            }
            let _ = cues.blocking_send(None);
        });
        Self { sender, receiver }
    }

    /// What comes next; `None` when the demo is gone.
    pub(super) async fn next(&mut self) -> Option<Arrival> {
        self.receiver.recv().await.flatten()
    }

    /// Takes the messages of a topic in as well, from the next one on.
    pub(super) async fn subscribe(&self, mesh: &Mesh, topic: &str) -> Result<()> {
        let mut subscription = mesh.subscribe(topic, Start::Next).await?;
        let sender = self.sender.clone();
        tokio::spawn(async move {
            while let Some(message) = subscription.next_message().await {
                if sender.send(Some(Arrival::Published(message))).await.is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    /// Leases whatever comes into the inbox.
    pub(super) fn open_inbox(&self, mesh: &Mesh) {
        let (inbox, sender) = (mesh.inbox(), self.sender.clone());
        tokio::spawn(async move {
            loop {
                let arrival = match inbox.lease(LEASE_MESSAGES_MAX, VISIBILITY, LEASE_WAIT).await {
                    Ok(leased) if leased.is_empty() => continue,
                    Ok(leased) => Arrival::Mail(leased),
                    Err(why) => Arrival::Lost(why.to_string()),
                };
                let lost = matches!(arrival, Arrival::Lost(_));
                if sender.send(Some(arrival)).await.is_err() || lost {
                    return;
                }
            }
        });
    }
}

/// Tells the demo something.
pub(super) fn tell(news: &News) -> Result<()> {
    let mut line = serde_json::to_vec(news)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}
