//! Servers under load: each started in a folder of its own on an ephemeral port, ended by its own id.

mod nats;
mod openmesh;
mod postgres;

pub(crate) use nats::{Nats, SyncInterval};
pub(crate) use openmesh::Node;
pub(crate) use postgres::{Postgres, Rows};

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How long a server may take until it serves.
const READY_WAIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Waits until `look` finds what it looks for.
fn wait_ready<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let until = Instant::now() + READY_WAIT;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > until {
            bail!("{what} was not ready in {READY_WAIT:?}");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
