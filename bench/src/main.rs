//! `openmesh-bench`: the same work for OpenMesh and its peers, side by side. `cargo xtask bench` builds and runs it.
//!
//! `run` starts servers and plays the rows; `generate` is the load, a process of its own.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks on its standard output"
)]

mod ask;
mod exchange;
mod fill;
mod generate;
mod idle;
mod machine;
mod mail;
mod process;
mod progress;
mod pubsub;
mod report;
mod row;
mod run;
mod server;
mod settings;
mod socket;
mod statistics;
mod steps;
mod subscriptions;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use subscriptions::{churn, matching};

/// The node's allocator: steps cost here what they cost there, whatever was allocated before.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Publishes to subscribers of one server and prints one JSON line; `run` starts it.
    Pubsub(pubsub::Options),
    /// Asks through one server and answers, one request at a time, and prints one JSON line; `run` starts it.
    Exchange(exchange::Options),
    /// Holds many subscriptions at one server and changes them, and prints what messages take meanwhile; `run` starts it.
    Churn(churn::Options),
    /// Takes messages through a partition with many subscriptions, without a network; `run` starts it.
    Matching(matching::Options),
    /// Opens connections to one server, leaves them idle, and prints what they cost it; `run` starts it.
    Idle(idle::Options),
    /// Writes a log of many records into the folder of a stopped node, without a network.
    Fill(fill::Options),
    /// Asks a node about a log that was filled, and prints one JSON line for each kind of question.
    Ask(ask::Options),
    /// Works an inbox of one server and prints one JSON line; `run` starts it.
    Mail(mail::Options),
    /// Does one step of a message's path, for `cargo xtask counts`, which runs it under callgrind.
    Step(steps::Options),
}

fn main() -> ExitCode {
    let ended = match Arguments::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Generate(options) => generate::run(&options),
        Command::Ask(options) => ask::run(&options),
        Command::Mail(options) => mail::run(&options),
        Command::Pubsub(options) => pubsub::run(&options),
        Command::Exchange(options) => exchange::run(&options),
        Command::Churn(options) => churn::run(&options),
        Command::Matching(options) => matching::run(&options),
        Command::Idle(options) => idle::run(&options),
        Command::Fill(options) => fill::run(&options),
        Command::Step(options) => steps::run(&options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
