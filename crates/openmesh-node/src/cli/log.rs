//! `openmesh log`: what is kept, read through a node or straight from its folder.

mod backup;
mod erase;
mod export;
mod import;
mod inspect;
mod offline;
mod query;
mod replay;
mod shown;
mod sought;
pub(crate) mod tail;
mod verify;

use super::context::Context;
use anyhow::Result;

/// What can be done with the log.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Find records: through the node as the agent may read them, or in a node's folder.
    Query(query::Args),
    /// Write records into a file, as JSON lines or CSV; or a backup of the whole log.
    Export(export::Args),
    /// Erase the body of a message for good; its header stays, with who had it erased and why.
    Erase(erase::Args),
    /// Make a node's log from a backup.
    Import(import::Args),
    /// Check every byte of the log: checksums, chain, commitments, snapshots.
    Verify(verify::Args),
    /// Decide conversations again from their records and compare.
    Replay(replay::Args),
    /// Show what a log holds, or the state it leads to.
    Inspect(inspect::Args),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Query(args) => query::run(&args, context),
        Command::Export(args) => export::run(&args, context),
        Command::Erase(args) => erase::run(&args, context),
        Command::Import(args) => import::run(&args, context),
        Command::Verify(args) => verify::run(&args, context),
        Command::Replay(args) => replay::run(&args, context),
        Command::Inspect(args) => inspect::run(&args, context),
    }
}

/// What a person is told while a node's index is behind its log.
fn building(progress: f64) -> String {
    format!(
        "the node is indexing its log ({:.0} % done); until then it looks through less of it at a time",
        progress * 100.0
    )
}
