//! Which node to talk to, and which domain it must prove it belongs to.

use super::{AgentKey, Context, known_domains};
use crate::cli::exit_code::Exit;
use crate::cli::failure::Failure;
use crate::start::read_endpoint;
use anyhow::Result;
use openmesh_sdk::{ConnectOptions, DomainId, Mesh, SdkError, fetch_domain};
use std::net::SocketAddr;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects as an agent.
pub(super) async fn connect(context: &Context, agent: AgentKey) -> Result<Mesh> {
    let (address, domain) = node_of(context).await?;
    let mut options = ConnectOptions::new(address, domain, agent.key);
    options.connect_timeout = CONNECT_TIMEOUT;
    Mesh::connect(&options).await.map_err(|error| explain(context, address, error))
}

async fn node_of(context: &Context) -> Result<(SocketAddr, DomainId)> {
    let home = context.home()?;
    let Some(address) = context.node() else {
        let endpoint = read_endpoint(&home.node()).map_err(|error| {
            let next = "start one with `openmesh up`, or name one with --node ADDRESS";
            tracing::debug!("{error:#}");
            let what = format!("no node runs from {}", home.path().display());
            Failure::new(Exit::Unreachable, what).next(next)
        })?;
        return Ok((endpoint.address, context.domain().unwrap_or(endpoint.domain)));
    };
    let pinned = known_domains::look_up(&home, address)?;
    match (context.domain(), pinned) {
        (Some(domain), None) => {
            known_domains::pin(&home, address, domain)?;
            Ok((address, domain))
        }
        (Some(domain), Some(_)) => Ok((address, domain)),
        (None, Some(pinned)) => Ok((address, pinned)),
        (None, None) => {
            let domain = fetch_domain(address, None, CONNECT_TIMEOUT).await?;
            known_domains::ask_and_pin(&home, address, domain)?;
            Ok((address, domain))
        }
    }
}

/// A node that was killed leaves word of where it was.
fn explain(context: &Context, address: SocketAddr, error: SdkError) -> anyhow::Error {
    if matches!(error, SdkError::Connect { .. }) && context.node().is_none() {
        let what = format!("the node that ran at {address} does not answer");
        return Failure::new(Exit::Unreachable, what).next("start it again with `openmesh up`").into();
    }
    error.into()
}
