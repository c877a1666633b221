//! `openmesh topic`: which topics are kept.

use crate::cli::agent::admin_token;
use crate::cli::context::Context;
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;

/// What can be said of topics.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Keep the messages of the topics of a pattern: they are logged, and can be read again.
    Pin(PinArgs),
    /// Keep no more messages of a pattern that was pinned.
    Unpin(UnpinArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh topic pin 'market/**'")]
pub(crate) struct PinArgs {
    #[command(flatten)]
    topics: Topics,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh topic unpin 'market/**'")]
pub(crate) struct UnpinArgs {
    #[command(flatten)]
    topics: Topics,
}

#[derive(Debug, clap::Args)]
struct Topics {
    /// A topic or a pattern: * is one level, ** the rest.
    pattern: String,
    /// The file with the domain's admin token [default: that of the node in the home folder].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(crate) fn run(command: Command, context: &Context) -> Result<()> {
    let (topics, pinned) = match command {
        Command::Pin(args) => (args.topics, true),
        Command::Unpin(args) => (args.topics, false),
    };
    context.run(configure(&topics, pinned, context))
}

async fn configure(topics: &Topics, pinned: bool, context: &Context) -> Result<()> {
    let token = admin_token(context, topics.token_file.as_deref())?;
    let pattern = topics.pattern.strip_prefix("topic:").unwrap_or(&topics.pattern);
    let mesh = context.connect().await?;
    mesh.configure_topic(&format!("topic:{pattern}"), pinned, token.as_deref()).await?;
    mesh.close().await;
    let what = if pinned { "pinned: its messages are kept" } else { "unpinned: what comes is not kept" };
    context.format().outcome(&format!("{pattern} {what}"), &json!({"pattern": pattern, "pinned": pinned}))
}
