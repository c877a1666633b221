//! Checks a history in a file by hand: `check-history FILE`, one event a line.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command line tool reads a file and speaks on its standard output"
)]

use openmesh_simulator::history::check_lines;
use std::process::ExitCode;

const USAGE: &str = "check-history FILE: one event a line, as JSON; what breaks a promise is printed";

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1).filter(|path| !path.starts_with('-')) else {
        eprintln!("usage: {USAGE}");
        return ExitCode::from(2);
    };
    let checked = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"));
    let checked =
        checked.and_then(|text| check_lines(text.lines()).map_err(|why| format!("{path}: {}", why.what)));
    let checker = match checked {
        Ok(checker) => checker,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    for violation in checker.violations() {
        println!("{violation}");
    }
    println!("{}", checker.figures());
    if checker.figures().violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
