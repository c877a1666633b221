//! The command line: what can be said, and where each command lives.

mod up;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The communication mesh for AI agents of different owners.
#[derive(Debug, Parser)]
#[command(name = "openmesh", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a node; the first start makes a domain.
    Up(up::Args),
    /// Run the market demo: a node, a buyer, three sellers and an auditor, each its own process.
    Demo(crate::demo::Args),
}

/// Parses the command line and runs what it says.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let ran = match cli.command {
        Command::Up(args) => up::run(args),
        Command::Demo(args) => crate::demo::run(args),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
