//! The program `openmesh`.

mod cli;
mod config;
mod demo;
mod diagram;
mod event_loop;
mod identity;
mod log_writer;
mod perform;
mod start;

fn main() -> std::process::ExitCode {
    cli::main()
}
