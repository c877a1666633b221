//! `openmesh demo`: the market, end to end.

use anyhow::{Result, bail};

/// Runs the demo.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Result<()> {
    bail!("not built yet")
}
