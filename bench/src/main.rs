//! `openmesh-bench`: the same work for OpenMesh and its peers, side by side. `cargo xtask bench` builds and runs it.
//!
//! `run` starts servers and plays the rows; `generate` is the load, a process of its own.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks on its standard output"
)]

mod generate;
mod machine;
mod process;
mod progress;
mod report;
mod row;
mod run;
mod server;
mod settings;
mod statistics;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Measures OpenMesh beside its peers.
#[derive(Parser)]
#[command(name = "openmesh-bench")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the servers, plays the rows, prints the table.
    Run(run::Options),
    /// Puts load on one server and prints one JSON line; `run` starts it.
    Generate(generate::Options),
}

fn main() -> ExitCode {
    let ended = match Arguments::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Generate(options) => generate::run(&options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
