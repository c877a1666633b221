//! Connections that say nothing, and what they cost the server.

use crate::generate::native::Line;
use crate::process::{memory_bytes, raise_open_files};
use crate::socket::Socket;
use anyhow::Result;
use openmesh_message::DomainId;
use serde::{Deserialize, Serialize};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"bench\"}\r\nPING\r\n";
const PONG: &[u8] = b"PONG\r\n";

/// How many connections to which server.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Where the server listens.
    #[arg(long)]
    address: SocketAddr,
    /// The domain of a node; without it a nats-server is spoken to.
    #[arg(long)]
    domain: Option<DomainId>,
    /// The server, whose memory is read.
    #[arg(long)]
    server: u32,
    /// How many.
    #[arg(long)]
    connections: usize,
    /// How long the server has to come to rest before its memory is read.
    #[arg(long, default_value_t = 1_000)]
    rest_ms: u64,
}

/// What it cost.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Resident memory of the server for each connection.
    pub(crate) bytes: f64,
}

/// Opens them, and prints what they cost.
pub(crate) fn run(options: &Options) -> Result<()> {
    raise_open_files();
    let connect = || match &options.domain {
        Some(domain) => Ok(Line::connect(options.address, domain)?.into_stream()),
        None => connect_nats(options.address),
    };
    // What the first connection brings into being is not the cost of one more.
    let mut held = vec![connect()?];
    let rest = Duration::from_millis(options.rest_ms);
    std::thread::sleep(rest);
    let before = memory_bytes(options.server, "VmRSS")?;
    while held.len() <= options.connections {
        held.push(connect()?);
    }
    std::thread::sleep(rest);
    let after = memory_bytes(options.server, "VmRSS")?;
    let bytes = after.saturating_sub(before) as f64 / options.connections as f64;
    println!("{}", serde_json::to_string(&Held { bytes })?);
    Ok(())
}

/// Connects, and waits until the server answers a ping.
fn connect_nats(address: SocketAddr) -> Result<TcpStream> {
    let mut socket = Socket::connect(address)?;
    socket.write(CONNECT)?;
    while !socket.unused().windows(PONG.len()).any(|part| part == PONG) {
        socket.fill()?;
    }
    Ok(socket.into_stream())
}
