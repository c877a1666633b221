//! `openmesh topic set`: how much of the topics of a pattern is kept.

use super::showing::setting_line;
use crate::cli::agent::admin_token;
use crate::cli::amount::{size, span};
use crate::cli::context::Context;
use anyhow::Result;
use openmesh_sdk::Retention;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh topic set 'market/**' --age 30d               what is older is no longer handed out
  $ openmesh topic set 'sensors/**' --messages 1000 --bytes 1MiB
  $ openmesh topic set 'market/**'                         pinned, without any limit
  $ openmesh topic set 'market/**' --age 7d --if-version 12   only if nobody else changed it meanwhile")]
pub(crate) struct SetArgs {
    /// A topic or a pattern: * is one level, ** the rest.
    pattern: String,
    /// Hand out nothing older: seconds, or a span as 12h or 30d.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    age: Option<Duration>,
    /// Hand out the latest so many bytes of each topic, as 64KiB or 1GiB.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    bytes: Option<u64>,
    /// Hand out the latest so many messages of each topic.
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Refuse unless this version is in force, as `topic show` has it; 0 means that there is none.
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
    /// The file with the domain's admin token [default: that of the node in the home folder].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Pins topics and says how much of them is kept.
pub(super) async fn set(args: &SetArgs, context: &Context) -> Result<()> {
    let token = admin_token(context, args.token_file.as_deref())?;
    let pattern = args.pattern.strip_prefix("topic:").unwrap_or(&args.pattern);
    let age_ms = args.age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    let retention = Retention { age_ms, bytes: args.bytes, messages: args.messages };
    let mesh = context.connect().await?;
    let topic = format!("topic:{pattern}");
    let row = mesh.set_topic(&topic, (true, retention), args.if_version, token.as_deref()).await?;
    mesh.close().await;
    context.format().outcome(&setting_line(&row), &row)
}
