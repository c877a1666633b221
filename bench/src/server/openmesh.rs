//! A node of OpenMesh at its defaults; its domain lets anyone register, and keeps the topics that are published to.

use crate::process::Process;
use anyhow::Result;
use openmesh_message::DomainId;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a node is started with, besides its folder and addresses.
pub(crate) const ARGUMENTS: [&str; 3] = ["--open", "--pin", "bench/**"];

/// A running node.
pub(crate) struct Node {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) domain: DomainId,
}

#[derive(Deserialize)]
struct Endpoint {
    address: SocketAddr,
    domain: DomainId,
    pid: u32,
}

impl Node {
    /// Starts a node on a folder, which may be new, with some more arguments.
    pub(crate) fn start(program: &Path, folder: &Path, more: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = endpoint_file(folder);
        let _ = std::fs::remove_file(&file);
        let mut command = Command::new(program);
        command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(folder).args(ARGUMENTS).args(more);
        command.env("OPENMESH_HOME", folder.with_extension("home"));
        let mut process = Process::start("openmesh", &mut command, folder.with_extension("stderr"))?;
        let endpoint = process.wait_ready(|process| {
            let Ok(text) = std::fs::read(&file) else {
                return Ok(None);
            };
            let endpoint = serde_json::from_slice::<Endpoint>(&text).ok();
            Ok(endpoint.filter(|endpoint| endpoint.pid == process.id()))
        })?;
        Ok(Self { process, address: endpoint.address, domain: endpoint.domain })
    }
}

fn endpoint_file(folder: &Path) -> PathBuf {
    folder.join("endpoint.json")
}
