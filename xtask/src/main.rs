//! Every developer command: `cargo xtask --help`. Each subcommand is a file of its own.
#![expect(clippy::print_stdout, reason = "a command line tool speaks on its standard output")]

mod api;
mod bench;
mod campaign;
mod command;
mod counts;
mod fuzz;
mod generate;
mod suites;
mod tally;
mod test_run;
mod tidy;
mod tools;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Developer commands of OpenMesh.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every check and test; what the README and CI run.
    Test {
        /// Only these suites (see the printed plan); all when none is named.
        suites: Vec<String>,
        /// Install nothing; print what did not run for want of it.
        #[arg(long)]
        no_install: bool,
        /// The folder of foreign test data.
        #[arg(long, env = "OPENMESH_TEST_DATA", value_name = "FOLDER")]
        test_data: Option<PathBuf>,
    },
    /// Formatting, lints and house rules only.
    Check,
    /// The house rules of STYLE.md that no compiler checks.
    Tidy,
    /// Runs the simulator.
    Simulate {
        /// The seed of the first run.
        #[arg(long)]
        seed: u64,
        /// How many consecutive seeds.
        #[arg(long, default_value_t = 1)]
        count: u64,
    },
    /// Runs the long counts that no test run has time for.
    Campaign {
        /// Only these campaigns; all when none is named.
        names: Vec<String>,
        /// Print the table and end.
        #[arg(long)]
        list: bool,
    },
    /// Runs the fuzz targets under libFuzzer, each for some time.
    Fuzz(fuzz::Options),
    /// Runs schemathesis against the HTTP API of a real node.
    Api {
        /// For how long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Measures OpenMesh beside its peers, on this machine.
    Bench(bench::Options),
    /// Counts the instructions of the steps of a message's path, and holds them against a kept table.
    Counts(counts::Options),
    /// Writes the files that are derived from others.
    Generate {
        /// Write nothing; fail when a file is stale.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Tells whether everything passed.
fn run(command: Command) -> Result<bool> {
    match command {
        Command::Test { suites, no_install, test_data } => test_run::run(&suites, !no_install, test_data),
        Command::Check => test_run::run(&suites::quick_names(), false, None),
        Command::Tidy => tidy::run(),
        Command::Simulate { seed, count } => campaign::simulate(seed, count),
        Command::Campaign { names, list } => campaign::run(&names, list),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Api { seconds } => api::run(seconds),
        Command::Bench(options) => bench::run(&options),
        Command::Counts(options) => counts::run(&options),
        Command::Generate { check } => generate::run(check),
    }
}
