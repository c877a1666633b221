//! Pins: which domain a node at an address must prove it belongs to.

use super::Home;
use crate::cli::failure::Failure;
use crate::identity::write_private;
use anyhow::{Context, Result};
use openmesh_sdk::DomainId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::net::SocketAddr;

/// The version of the file this program writes; it refuses newer ones.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    domains: BTreeMap<SocketAddr, DomainId>,
}

/// The domain pinned for an address.
pub(super) fn look_up(home: &Home, address: SocketAddr) -> Result<Option<DomainId>> {
    Ok(read(home)?.domains.get(&address).copied())
}

/// Shows a domain that is not known to the person at the terminal, and pins it if they agree.
pub(super) fn ask_and_pin(home: &Home, address: SocketAddr, domain: DomainId) -> Result<()> {
    if !io::stdin().is_terminal() {
        let what = format!("the node at {address} is not known; it says that its domain is {domain}");
        let next = format!("if that is the domain you mean, add --domain {domain}");
        return Err(Failure::usage(what).next(next).into());
    }
    let mut err = io::stderr();
    writeln!(err, "The node at {address} is not known. It says that its domain is\n  {domain}")?;
    write!(err, "Is that the domain you mean? It will be required from here on. [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        return Err(Failure::usage("not connected, as you said").into());
    }
    pin(home, address, domain)
}

/// Remembers the domain of an address.
pub(super) fn pin(home: &Home, address: SocketAddr, domain: DomainId) -> Result<()> {
    home.make()?;
    let mut file = read(home)?;
    if file.domains.insert(address, domain) == Some(domain) {
        return Ok(());
    }
    write_private(&home.known_domains(), &serde_json::to_vec_pretty(&file)?)
}

fn read(home: &Home) -> Result<File> {
    let path = home.known_domains();
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(File { version: VERSION, domains: BTreeMap::new() });
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
