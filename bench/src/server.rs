//! Servers under load: each started in a folder of its own on an ephemeral port, ended by its own id.

mod mosquitto;
mod nats;
mod openmesh;
mod postgres;
mod redis;
mod zenoh;

pub(crate) use mosquitto::Mosquitto;
pub(crate) use nats::{Nats, SyncInterval};
pub(crate) use openmesh::Node;
pub(crate) use postgres::{Postgres, Rows};
pub(crate) use redis::Redis;
pub(crate) use zenoh::Zenoh;

use anyhow::Result;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

/// Where packages put programs, besides the search path of a user.
const SYSTEM_PROGRAMS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// An address that was free a moment ago, for servers that do not say which one they took.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A program that is installed.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SYSTEM_PROGRAMS.map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}
