//! The program `openmesh`.

mod cli;
mod config;
mod decided;
mod demo;
mod diagram;
mod event_loop;
mod identity;
mod journey;
mod limits;
mod log_writer;
mod metering;
mod otlp;
mod perform;
mod recovery;
mod snapshots;
mod start;
mod stored;
mod tls;
mod upkeep;

/// Messages make many small, short-lived objects on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // The one provider of cryptography; where TLS is set up it is named, too.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::main()
}
