//! Without the feature `otlp`: says how to get it.

use crate::cli::failure::Failure;
use anyhow::Result;
use tokio::runtime::Handle;
use tracing_subscriber::layer::Identity;

/// An export that is under way: none, in this build.
pub(crate) enum Exporting {}

/// Says that this build cannot.
pub(crate) fn start(_endpoint: &str, _runtime: &Handle) -> Result<(Identity, Exporting)> {
    let failure = Failure::usage("this openmesh was built without the export of traces");
    Err(failure.next("build one with it: cargo build --release --features otlp").into())
}
