//! `openmesh log erase`: the body of a message goes for good; that it was there, and who had it erased, stays.

use crate::cli::agent::admin_token;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::text;
use anyhow::Result;
use std::path::PathBuf;

/// Erases.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh log erase 0191e8c4-5a3f-7c11-9d2b-3f4a5b6c7d8e --reason 'asked for by the person it names'
  $ openmesh log erase 0.3.4711 --reason 'a password in clear text'       a record by its position
  $ openmesh log query --data ~/.openmesh/node --kind erased              what was erased, by whom and why")]
pub(crate) struct Args {
    /// The message's id, or its record's position or number.
    message: String,
    /// Why; it is kept in the log for good.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The file with the domain's admin token [default: that of the node in the home folder].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    context.run(erase(args, context))
}

async fn erase(args: &Args, context: &Context) -> Result<()> {
    let token = admin_token(context, args.token_file.as_deref())?.ok_or_else(|| {
        Failure::usage("erasing needs the domain's admin token").next("name its file with --token-file")
    })?;
    let mesh = context.connect().await?;
    let row = mesh.erase(&args.message, &args.reason, Some(&token)).await?;
    mesh.close().await;
    let line = format!(
        "erasing {} (record {}); within a minute the body is in none of the log's files",
        text(&row, "/erasing"),
        text(&row, "/record")
    );
    context.format().outcome(&line, &row)
}
