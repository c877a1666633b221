//! Redis, where it is installed.

use super::{free_address, installed};
use crate::process::Process;
use anyhow::Result;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

/// Keeps nothing.
const SETTINGS: [&str; 4] = ["--save", "", "--appendonly", "no"];

/// A running Redis.
pub(crate) struct Redis {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Redis {
    /// Starts it on a new folder, if there is one.
    pub(crate) fn start(folder: &Path) -> Result<Option<Self>> {
        let Some(program) = installed("redis-server") else { return Ok(None) };
        let address = free_address()?;
        let mut command = Command::new(program);
        command.args(["--port", &address.port().to_string(), "--bind", &address.ip().to_string()]);
        command.arg("--dir").arg(folder).args(SETTINGS);
        let mut process = Process::start("redis-server", &mut command, folder.join("stderr"))?;
        process.wait_ready(|_| Ok(TcpStream::connect(address).ok()))?;
        Ok(Some(Self { process, address }))
    }
}
