//! What a node is told: where it keeps things, where it listens, which rules it follows.

use crate::limits::Limits;
use crate::tls::TlsChoice;
use crate::upkeep::Keeping;
use anyhow::{Context, Result};
use openmesh_adapter::trace::Tracing;
use openmesh_message::{Authority, TopicPattern};
use openmesh_policy::{DEFAULT_CLOSED, DEFAULT_OPEN, Policy};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// How a node is run.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The node's folder.
    pub(crate) folder: PathBuf,
    /// Where agents connect; loopback, unless TLS is spoken.
    pub(crate) listen: SocketAddr,
    /// Where HTTP is served, if it is; loopback, unless TLS is spoken.
    pub(crate) http: Option<SocketAddr>,
    /// Names that HTTP answers under, besides its address.
    pub(crate) http_hosts: Vec<String>,
    /// TLS at every address agents connect to; plaintext without.
    pub(crate) tls: Option<TlsChoice>,
    /// Whether anyone with a key may register.
    pub(crate) open: bool,
    /// Topics whose messages are kept.
    pub(crate) pin: Vec<TopicPattern>,
    /// Whether to take over a folder that was copied, moved or put back.
    pub(crate) adopt: bool,
    /// Size of one file of the log.
    pub(crate) segment_bytes: u64,
    /// Records between two snapshots of the state.
    pub(crate) snapshot_records: u64,
    /// How much of the log is kept.
    pub(crate) keeping: Keeping,
    /// Messages an inbox holds.
    pub(crate) inbox_messages_max: u64,
    /// Messages of one sender that an inbox holds.
    pub(crate) inbox_sender_messages_max: u64,
    /// What the node may take up and hand out.
    pub(crate) limits: Limits,
    /// Which messages are traced.
    pub(crate) tracing: Tracing,
}

impl Config {
    /// Every address that agents connect to.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        [Some(self.listen), self.http].into_iter().flatten().map(|address| address.ip()).collect()
    }
}

/// Reads the policy in force: the file, if there is one.
pub(crate) fn read_policy(file: &Path, home: Authority) -> Result<(Policy, String)> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the policy {}", file.display()))?;
    let policy = Policy::parse(&text, home).with_context(|| format!("the policy {}", file.display()))?;
    Ok((policy, text))
}

/// The policy that a node starts out with, for its operator to edit.
pub(crate) const fn default_policy(open: bool) -> &'static str {
    if open { DEFAULT_OPEN } else { DEFAULT_CLOSED }
}
