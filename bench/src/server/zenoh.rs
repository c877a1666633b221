//! A Zenoh router, run by Zenoh's Python library, where that is installed; and what puts it under load.

use super::free_address;
use crate::process::Process;
use anyhow::Result;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The router and its load.
const SCRIPT: &str = include_str!("../pubsub/zenoh_load.py");
const SCRIPT_FILE: &str = "zenoh_load.py";

/// A running router.
pub(crate) struct Zenoh {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    script: PathBuf,
    python: PathBuf,
}

impl Zenoh {
    /// Starts it on a new folder.
    pub(crate) fn start(python: &Path, folder: &Path) -> Result<Self> {
        let address = free_address()?;
        let script = folder.join(SCRIPT_FILE);
        std::fs::write(&script, SCRIPT)?;
        let mut command = Command::new(python);
        command.arg(&script).arg("router").arg(address.port().to_string());
        let mut process = Process::start("zenoh", &mut command, folder.join("stderr"))?;
        process.wait_ready(|_| Ok(TcpStream::connect(address).ok()))?;
        Ok(Self { process, address, script, python: python.to_owned() })
    }

    /// The program that puts it under load, to be given more arguments.
    pub(crate) fn load(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(&self.script).arg("load").arg(format!("--port={}", self.address.port()));
        command.arg(format!("--server={}", self.process.id()));
        command
    }
}
