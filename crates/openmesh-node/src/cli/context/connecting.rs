//! Which node to talk to, which domain it must prove it belongs to, and whose certificates are believed.

use super::known_domains::Known;
use super::{AgentKey, Context, NodeAddress, Trust, known_domains};
use crate::cli::exit_code::Exit;
use crate::cli::failure::Failure;
use crate::start::read_endpoint;
use anyhow::Result;
use openmesh_sdk::{ConnectOptions, DomainId, Mesh, SdkError, Tls, fetch_domain};
use std::net::SocketAddr;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a node is, whom it must belong to, and how it is spoken to.
struct Target {
    address: SocketAddr,
    domain: DomainId,
    tls: Option<Tls>,
    /// What is to be remembered of it once it has proved itself.
    learned: Known,
}

/// Connects as an agent.
pub(super) async fn connect(context: &Context, agent: AgentKey) -> Result<Mesh> {
    let target = target_of(context).await?;
    let mut options = ConnectOptions::new(target.address, target.domain, agent.key);
    options.tls = target.tls;
    options.connect_timeout = CONNECT_TIMEOUT;
    let mesh = Mesh::connect(&options).await.map_err(|error| explain(context, target.address, error))?;
    if let Some(node) = context.node() {
        known_domains::remember(&context.home()?, node, target.learned)?;
    }
    Ok(mesh)
}

async fn target_of(context: &Context) -> Result<Target> {
    match context.node() {
        Some(node) => target_elsewhere(context, node).await,
        None => target_at_home(context),
    }
}

/// The node that runs from the home folder says how it is reached.
fn target_at_home(context: &Context) -> Result<Target> {
    let home = context.home()?;
    let endpoint = read_endpoint(&home.node()).map_err(|error| {
        let next = "start one with `openmesh up`, or name one with --node ADDRESS";
        tracing::debug!("{error:#}");
        let what = format!("no node runs from {}", home.path().display());
        Failure::new(Exit::Unreachable, what).next(next)
    })?;
    let own = endpoint.tls.map(|tls| tls.ca.map_or(Trust::System, Trust::File));
    let trust = context.trust().cloned().or(own);
    let tls = trust.map(|trust| trust.tls()).transpose()?;
    let domain = context.domain().unwrap_or(endpoint.domain);
    Ok(Target { address: endpoint.address, domain, tls, learned: Known::default() })
}

/// A node that is named: what is given with it is remembered, and what is remembered need not be given.
async fn target_elsewhere(context: &Context, node: &NodeAddress) -> Result<Target> {
    let home = context.home()?;
    let known = known_domains::look_up(&home, node)?;
    let trust = context.trust().map(Trust::absolute).or_else(|| known.trust.clone());
    let mut tls = trust.as_ref().map(Trust::tls).transpose()?;
    if let Some(name) = node.name() {
        tls = tls.map(|tls| tls.named(name)).transpose()?;
    }
    let address = node.resolve().await?;
    let domain = match context.domain().or(known.domain) {
        Some(domain) => domain,
        None => {
            let domain = fetch_domain(address, tls.as_ref(), CONNECT_TIMEOUT).await?;
            known_domains::ask(node, domain)?;
            domain
        }
    };
    Ok(Target { address, domain, tls, learned: Known { domain: Some(domain), trust } })
}

/// A node that was killed leaves word of where it was.
fn explain(context: &Context, address: SocketAddr, error: SdkError) -> anyhow::Error {
    if matches!(error, SdkError::Connect { .. }) && context.node().is_none() {
        let what = format!("the node that ran at {address} does not answer");
        return Failure::new(Exit::Unreachable, what).next("start it again with `openmesh up`").into();
    }
    error.into()
}
