//! Pins: which domain the node at an address must prove it belongs to, and whose certificates it may show.

use super::{Home, NodeAddress, Trust};
use crate::cli::failure::Failure;
use crate::identity::write_private;
use anyhow::{Context, Result};
use openmesh_sdk::DomainId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};

/// The version of the file this program writes; it refuses newer ones.
const VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    domains: BTreeMap<String, DomainId>,
    /// Of nodes that speak TLS.
    #[serde(default)]
    trusted: BTreeMap<String, Trust>,
}

/// What is known of the node at an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The domain it must belong to.
    pub(super) domain: Option<DomainId>,
    /// Whose certificates it may show; none where it speaks plaintext.
    pub(super) trust: Option<Trust>,
}

/// What is known of the node at an address.
pub(super) fn look_up(home: &Home, node: &NodeAddress) -> Result<Known> {
    let file = read(home)?;
    let node = node.to_string();
    Ok(Known { domain: file.domains.get(&node).copied(), trust: file.trusted.get(&node).cloned() })
}

/// Shows a domain that is not known to the person at the terminal, who agrees or ends the program.
pub(super) fn ask(node: &NodeAddress, domain: DomainId) -> Result<()> {
    if !io::stdin().is_terminal() {
        let what = format!("the node at {node} is not known; it says that its domain is {domain}");
        let next = format!("if that is the domain you mean, add --domain {domain}");
        return Err(Failure::usage(what).next(next).into());
    }
    let mut err = io::stderr();
    writeln!(err, "The node at {node} is not known. It says that its domain is\n  {domain}")?;
    write!(err, "Is that the domain you mean? It will be required from here on. [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        return Err(Failure::usage("not connected, as you said").into());
    }
    Ok(())
}

/// Remembers the domain of an address, unless another is remembered already, and the latest trust.
pub(super) fn remember(home: &Home, node: &NodeAddress, latest: Known) -> Result<()> {
    let known = look_up(home, node)?;
    let latest = Known { domain: known.domain.or(latest.domain), trust: latest.trust };
    if known == latest {
        return Ok(());
    }
    home.make()?;
    let mut file = read(home)?;
    if let Some(domain) = latest.domain {
        file.domains.insert(node.to_string(), domain);
    }
    if let Some(trust) = latest.trust {
        file.trusted.insert(node.to_string(), trust);
    }
    file.version = VERSION;
    write_private(&home.known_domains(), &serde_json::to_vec_pretty(&file)?)
}

fn read(home: &Home) -> Result<File> {
    let path = home.known_domains();
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(File { version: VERSION, domains: BTreeMap::new(), trusted: BTreeMap::new() });
        }
        read => read.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let file: File =
        serde_json::from_slice(&bytes).with_context(|| format!("{} cannot be read", path.display()))?;
    if file.version > VERSION {
        anyhow::bail!("{} was written by a newer version; update this program", path.display());
    }
    Ok(file)
}
