//! mosquitto, where it is installed.

use super::{free_address, installed};
use crate::process::Process;
use anyhow::Result;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

/// Without it, it drops what is more than 1,000 messages ahead of a reader.
const NO_LIMIT: &str = "max_queued_messages 0";

/// A running mosquitto.
pub(crate) struct Mosquitto {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Mosquitto {
    /// Starts it on a new folder, if there is one.
    pub(crate) fn start(folder: &Path) -> Result<Option<Self>> {
        let Some(program) = installed("mosquitto") else { return Ok(None) };
        let address = free_address()?;
        let configuration = folder.join("mosquitto.conf");
        let listener = format!("listener {} {}", address.port(), address.ip());
        let lines =
            [&listener, "allow_anonymous true", "persistence false", "set_tcp_nodelay true", NO_LIMIT];
        std::fs::write(&configuration, lines.join("\n") + "\n")?;
        let mut command = Command::new(program);
        command.arg("-c").arg(&configuration);
        let mut process = Process::start("mosquitto", &mut command, folder.join("stderr"))?;
        process.wait_ready(|_| Ok(TcpStream::connect(address).ok()))?;
        Ok(Some(Self { process, address }))
    }
}
