//! nats-server, alone or with JetStream on files.

use super::free_address;
use crate::process::Process;
use anyhow::Result;
use std::net::{SocketAddr, TcpStream};
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
    /// Starts it on a folder, which may be new; without JetStream where nothing is said of its syncs.
    pub(crate) fn start(program: &Path, folder: &Path, sync: Option<SyncInterval>) -> Result<Self> {
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

fn configured(address: SocketAddr, store: &Path, sync: Option<SyncInterval>) -> String {
    let sync = match sync {
        None => return format!("listen: {address}\n"),
        Some(SyncInterval::Default) => "",
        Some(SyncInterval::Always) => "sync_interval: always",
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
        let text = configured(address, Path::new("/x"), Some(SyncInterval::Default));
        assert!(text.contains("listen: 127.0.0.1:4222") && !text.contains("sync_interval"));
        let always = configured(address, Path::new("/x"), Some(SyncInterval::Always));
        assert!(always.contains("sync_interval: always"));
        assert_eq!(configured(address, Path::new("/x"), None), "listen: 127.0.0.1:4222\n");
    }
}
