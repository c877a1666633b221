//! nats-server with JetStream on files.

use crate::process::Process;
use anyhow::Result;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

/// When JetStream syncs what it has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncInterval {
    /// Every two minutes: its default.
    Default,
    /// Before each acknowledgement.
    Always,
}

/// A running nats-server.
pub(crate) struct Nats {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Nats {
    /// Starts it on a folder, which may be new.
    pub(crate) fn start(program: &Path, folder: &Path, sync: SyncInterval) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let address = free_address()?;
        let configuration = folder.join("nats.conf");
        std::fs::write(&configuration, configured(address, &folder.join("store"), sync))?;
        let mut command = Command::new(program);
        command.arg("-c").arg(&configuration);
        let mut process = Process::start("nats-server", &mut command, folder.join("stderr"))?;
        process.wait_ready(|_| Ok(TcpStream::connect(address).ok()))?;
        Ok(Self { process, address })
    }
}

/// An address that was free a moment ago: nats-server does not say which one it took.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn configured(address: SocketAddr, store: &Path, sync: SyncInterval) -> String {
    let sync = match sync {
        SyncInterval::Default => "",
        SyncInterval::Always => "sync_interval: always",
    };
    // Without its limits it would take a share of the disk that is free, and refuse to hold more.
    let limits = "max_file_store: 64GB, max_memory_store: 8GB";
    format!("listen: {address}\njetstream {{ store_dir: {store:?}, {limits}\n {sync} }}\n")
}

#[cfg(test)]
mod tests {
    use super::{SyncInterval, configured};
    use std::path::Path;

    #[test]
    fn only_what_is_asked_for_is_configured() {
        let address = "127.0.0.1:4222".parse().unwrap();
        let text = configured(address, Path::new("/x"), SyncInterval::Default);
        assert!(text.contains("listen: 127.0.0.1:4222") && !text.contains("sync_interval"));
        assert!(configured(address, Path::new("/x"), SyncInterval::Always).contains("sync_interval: always"));
    }
}
