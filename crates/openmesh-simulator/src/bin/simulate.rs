//! Runs seeds of the simulator by hand: `simulate --seed 42 --count 100 --verbose`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks on its standard output"
)]

use openmesh_simulator::{Census, Report, run_many};
use std::process::ExitCode;

const USAGE: &str = "simulate [--seed N] [--count N] [--verbose]";
const THREADS: usize = 2;

struct Arguments {
    seed: u64,
    count: u64,
    verbose: bool,
}

fn main() -> ExitCode {
    let Some(arguments) = read(std::env::args().skip(1)) else {
        eprintln!("usage: {USAGE}");
        return ExitCode::from(2);
    };
    match run_many(arguments.seed, arguments.count, THREADS) {
        Ok(reports) => {
            show(&reports, arguments.verbose);
            ExitCode::SUCCESS
        }
        Err(broken) => {
            for (seed, violation) in broken {
                eprintln!("seed {seed}: {violation}");
            }
            ExitCode::FAILURE
        }
    }
}

fn read(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut arguments = Arguments { seed: 0, count: 1, verbose: false };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seed" => arguments.seed = words.next()?.parse().ok()?,
            "--count" => arguments.count = words.next()?.parse().ok()?,
            "--verbose" => arguments.verbose = true,
            _ => return None,
        }
    }
    Some(arguments)
}

fn show(reports: &[Report], verbose: bool) {
    let mut census = Census::default();
    for report in reports {
        census.add(&report.census);
        if verbose || reports.len() == 1 {
            println!(
                "seed {}: {} messages, {} records, {} crashes, trace {}",
                report.seed,
                report.census.messages(),
                report.records,
                report.census.crashes(),
                report.trace
            );
        }
    }
    println!("{}", census.table());
    println!("{} seeds kept every promise", reports.len());
}
