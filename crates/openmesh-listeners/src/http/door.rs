//! The node as HTTP's callers meet it: what every operation has at hand.

mod complete;
mod connection;
mod pool;

pub(crate) use complete::new_id;
pub(crate) use connection::{Line, Sent};

use super::guard::Hosts;
use super::idempotency::Remembered;
use super::problem::Failure;
use openmesh_adapter::MeshHandle;
use openmesh_core::Rejection;
use openmesh_message::frame::{Command, Reply, SendOutcome};
use openmesh_message::{AgentId, Custodian, Digest, Envelope, Problem};
use pool::Pool;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a send or a command may stay unanswered before its caller is told that nobody knows.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Renders the metrics in the text format of Prometheus.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What an HTTP listener is told.
pub struct HttpConfig {
    /// The node's id.
    pub node: AgentId,
    /// SHA-256 of the domain's admin token.
    pub admin_token: Digest,
    /// Makes the keys that the node keeps for agents.
    pub custodian: Custodian,
    /// Names it answers under, besides its own address.
    pub hosts: Vec<String>,
    /// Whether it speaks TLS.
    pub is_tls: bool,
    /// Renders the metrics.
    pub metrics: Metrics,
    /// The native door, for WebSockets that speak its protocol.
    pub native: Arc<crate::native::NodeIdentity>,
}

/// The state behind every operation.
pub(crate) struct Door {
    pub(crate) mesh: MeshHandle,
    pub(crate) node: AgentId,
    pub(crate) admin_token: Digest,
    pub(crate) hosts: Hosts,
    pub(crate) metrics: Metrics,
    pub(crate) native: Arc<crate::native::NodeIdentity>,
    pub(crate) remembered: Remembered,
    pub(super) custodian: Custodian,
    pool: Pool,
}

impl Door {
    pub(crate) fn new(config: HttpConfig, address: std::net::SocketAddr, mesh: MeshHandle) -> Self {
        Self {
            mesh,
            node: config.node,
            admin_token: config.admin_token,
            hosts: Hosts::new(address, &config.hosts, config.is_tls),
            metrics: config.metrics,
            native: config.native,
            remembered: Remembered::default(),
            custodian: config.custodian,
            pool: Pool::default(),
        }
    }

    /// Gives a command for an agent and awaits its reply.
    pub(crate) async fn ask(&self, agent: AgentId, command: Command) -> Result<Reply, Failure> {
        self.ask_within(agent, command, Duration::ZERO).await
    }

    /// Gives a command that may itself wait so long.
    pub(crate) async fn ask_within(
        &self,
        agent: AgentId,
        command: Command,
        wait: Duration,
    ) -> Result<Reply, Failure> {
        let line = self.pool.line(agent, &self.mesh).await?;
        let answer = timeout(ANSWER_WAIT + wait, line.ask(command)).await;
        answer.map_err(|_| unknown())?
    }

    /// Sends messages for an agent and awaits how each ended.
    pub(crate) async fn send(
        &self,
        agent: AgentId,
        messages: Vec<Envelope>,
    ) -> Result<Vec<Result<SendOutcome, Failure>>, Failure> {
        let line = self.pool.line(agent, &self.mesh).await?;
        timeout(ANSWER_WAIT, line.send(messages)).await.map_err(|_| unknown())?
    }

    /// Ends connections that nobody has used for a while, until the listener stops.
    pub(crate) async fn sweep(self: Arc<Self>) {
        self.pool.sweep().await;
    }
}

/// Nobody can say how it ended.
pub(crate) fn unknown() -> Failure {
    Problem::new("outcome.unknown", "the node did not answer in time: ask again, a message with the same id")
        .into()
}

/// The node has more to do than it can take on.
pub(crate) fn busy() -> Failure {
    Rejection::Busy.into()
}
