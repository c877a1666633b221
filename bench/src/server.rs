//! Servers under load: each started in a folder of its own on an ephemeral port, ended by its own id.

mod nats;
mod openmesh;
mod postgres;

pub(crate) use nats::{Nats, SyncInterval};
pub(crate) use openmesh::Node;
pub(crate) use postgres::{Postgres, Rows};
