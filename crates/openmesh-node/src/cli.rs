//! The command line: what can be said, and where each command lives.

mod administration;
mod agent;
mod amount;
pub(crate) mod colour;
mod completion;
mod context;
mod conversation;
mod definition;
mod doctor;
mod exit_code;
pub(crate) mod failure;
mod inbox;
mod log;
mod logging;
pub(crate) mod output;
mod sign;
mod talk;
mod token;
mod up;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use context::{Context, Globals};
use std::process::ExitCode;

/// The communication mesh for AI agents of different owners.
#[derive(Debug, Parser)]
#[command(
    name = "openmesh",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = exit_code::HELP,
)]
pub(crate) struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a node; the first start makes a domain.
    Up(up::Args),
    /// Run the market demo: a node, a buyer, three sellers and an auditor, each its own process.
    Demo(crate::demo::Args),
    /// One agent of the demo; `openmesh demo` starts it.
    #[command(hide = true)]
    DemoAgent(crate::demo::AgentArgs),
    /// Make, register and list agents.
    #[command(subcommand)]
    Agent(agent::Command),
    /// Make, list and revoke tokens, for callers without a key.
    #[command(subcommand)]
    Token(token::Command),
    /// Publish messages to a topic.
    Pub(talk::publish::Args),
    /// Print the messages of the topics of a pattern as they come.
    Sub(talk::subscribe::Args),
    /// Ask an agent and wait for its answer.
    Req(talk::request::Args),
    /// Answer requests.
    Reply(talk::reply::Args),
    /// Send any message: an act of a conversation, mail to an agent.
    Send(talk::send::Args),
    /// Stream to an agent, or read what is streamed to you.
    #[command(subcommand)]
    Stream(talk::stream::Command),
    /// Sign a message written as JSON, or check a signed one.
    Sign(sign::Args),
    /// Work with held mail.
    #[command(subcommand)]
    Inbox(inbox::Command),
    /// Publish, fetch and check schemas.
    #[command(subcommand)]
    Schema(definition::schema::Command),
    /// Publish, fetch, check and draw protocols.
    #[command(subcommand)]
    Protocol(definition::protocol::Command),
    /// Say which topics are kept and how much of them, and show what is there.
    #[command(subcommand)]
    Topic(administration::topic::Command),
    /// Show, check and reload the domain's rules.
    #[command(subcommand)]
    Policy(administration::policy::Command),
    /// List conversations and show where they stand.
    #[command(subcommand)]
    Conversation(conversation::Command),
    /// Ask, verify, replay and inspect the log.
    #[command(subcommand)]
    Log(log::Command),
    /// Print records of the log as they come.
    Tail(log::tail::Args),
    /// Look for what is wrong, and say what to do about it.
    Doctor(doctor::Args),
    /// Print a completion script for a shell.
    Completion(completion::Args),
}

/// Parses the command line and runs what it says.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = Context::new(cli.globals);
    if !matches!(cli.command, Command::Up(_)) {
        logging::start(&context);
    }
    match run(cli.command, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error, context.format()),
    }
}

fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Up(args) => up::run(args, context),
        Command::Demo(args) => crate::demo::run(args, context.format()),
        Command::DemoAgent(args) => crate::demo::run_agent(args),
        Command::Agent(command) => agent::run(command, context),
        Command::Token(command) => token::run(command, context),
        Command::Sign(args) => sign::run(&args, context),
        Command::Pub(args) => talk::publish::run(args, context),
        Command::Sub(args) => talk::subscribe::run(args, context),
        Command::Req(args) => talk::request::run(args, context),
        Command::Reply(args) => talk::reply::run(args, context),
        Command::Send(args) => talk::send::run(args, context),
        Command::Stream(command) => talk::stream::run(command, context),
        Command::Inbox(command) => inbox::run(command, context),
        Command::Schema(command) => definition::schema::run(command, context),
        Command::Protocol(command) => definition::protocol::run(command, context),
        Command::Topic(command) => administration::topic::run(command, context),
        Command::Policy(command) => administration::policy::run(command, context),
        Command::Conversation(command) => conversation::run(command, context),
        Command::Log(command) => log::run(command, context),
        Command::Tail(args) => log::tail::run(&args, context),
        Command::Doctor(args) => doctor::run(args, context),
        Command::Completion(args) => completion::run(args, &mut Cli::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_help_text_with_examples() {
        fn walk(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            let mut subcommands = command.get_subcommands().peekable();
            if subcommands.peek().is_none() && !command.is_hide_set() {
                let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(examples.contains("$ openmesh"), "{path} --help has no example");
            }
            subcommands.for_each(|subcommand| walk(subcommand, &path));
        }
        walk(&Cli::command(), "");
    }
}
