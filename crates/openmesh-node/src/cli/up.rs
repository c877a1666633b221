//! `openmesh up`: starts a node and runs it until it is told to stop.

use crate::config::Config;
use crate::start::{self, Ready};
use anyhow::Result;
use openmesh_message::TopicPattern;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Starts a node.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node's folder; made at the first start.
    #[arg(long, env = "OPENMESH_NODE_FOLDER")]
    data: Option<PathBuf>,
    /// Where agents connect; loopback only.
    #[arg(long, default_value = "127.0.0.1:7447")]
    listen: SocketAddr,
    /// Let anyone with a key register.
    #[arg(long)]
    open: bool,
    /// Keep the messages of these topics, such as market/**.
    #[arg(long, value_name = "PATTERN")]
    pin: Vec<TopicPattern>,
    /// Records between two snapshots of the state; fewer make a restart read less.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    snapshot_records: u64,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let folder = args.data.unwrap_or_else(|| PathBuf::from("openmesh-node"));
    let config = Config {
        folder,
        listen: args.listen,
        open: args.open,
        pin: args.pin,
        snapshot_records: args.snapshot_records,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            let _ = stop.send(true);
        });
        start::run(config, stopped, say_ready).await
    })
}

fn say_ready(ready: &Ready) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "ready {} {}", ready.endpoint.address, ready.endpoint.domain);
    let _ = out.flush();
}
