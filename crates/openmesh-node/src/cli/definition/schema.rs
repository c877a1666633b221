//! `openmesh schema`: shapes of payloads.

use super::{list, print, read_file, refused};
use crate::cli::context::Context;
use anyhow::Result;
use openmesh_message::VersionedName;
use openmesh_message::json::Document;
use openmesh_schema::Catalog;
use serde_json::json;
use std::path::PathBuf;

/// What can be done with schemas.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Publish a JSON Schema (2020-12); a published version never changes.
    Push(PushArgs),
    /// Print a schema as the domain keeps it.
    Get(GetArgs),
    /// List schemas.
    Ls(ListArgs),
    /// Check a file without a node.
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh schema push tea/order@v1.0.0 order.json")]
pub(crate) struct PushArgs {
    /// namespace/name@vMAJOR.MINOR.PATCH
    name: String,
    /// The file.
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh schema get market/rfp@^1             the newest 1.x
  $ openmesh schema get tea/order@v1.0.0 -o json  with its pinned name")]
pub(crate) struct GetArgs {
    /// A name, a range as market/rfp@^1, or a digest as sha256-…
    name: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh schema ls")]
pub(crate) struct ListArgs {}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh schema check order.json
  $ openmesh schema check order.json --payload example.json")]
pub(crate) struct CheckArgs {
    /// The file.
    file: PathBuf,
    /// The name it will have.
    #[arg(long, default_value = "local/checked@v1.0.0", value_name = "NAME")]
    name: String,
    /// A payload to check against the schema.
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
}

pub(crate) fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Push(args) => context.run(push(&args, context)),
        Command::Get(args) => context.run(async {
            let definition = context.connect().await?.get_schema(&args.name).await?;
            print(&definition, context)
        }),
        Command::Ls(_) => context.run(async { list(&context.connect().await?, "schema", context).await }),
        Command::Check(args) => check(&args, context),
    }
}

async fn push(args: &PushArgs, context: &Context) -> Result<()> {
    let text = read_file(&args.file)?;
    let mesh = context.connect().await?;
    let name = mesh.publish_schema(&args.name, &text).await?.name.to_string();
    mesh.close().await;
    context.format().outcome(&format!("published {name}"), &json!({"name": name}))
}

fn check(args: &CheckArgs, context: &Context) -> Result<()> {
    let name = VersionedName::parse(&args.name, context.authority())?;
    let checked = Catalog::builtin().check_schema(&name, read_file(&args.file)?.as_bytes());
    let schema = checked.map_err(|error| refused(&args.file, &error))?;
    if let Some(file) = &args.payload {
        let payload = Document::read(read_file(file)?.as_bytes());
        let payload = payload
            .map_err(|why| crate::cli::failure::Failure::usage(format!("{}: {why}", file.display())))?;
        if let Err(violations) = schema.validate(&payload) {
            let lines = violations
                .iter()
                .map(|violation| format!("\n  {}: {}", violation.pointer, violation.message));
            let what = format!("{} is not valid:{}", file.display(), lines.collect::<String>());
            return Err(crate::cli::failure::Failure::usage(what).into());
        }
    }
    let digest = schema.pinned().digest;
    let valid = if args.payload.is_some() { "; the payload is valid" } else { "" };
    let line = format!("{} can be published (sha256-{digest}){valid}", args.file.display());
    context.format().outcome(&line, &json!({"ok": true, "digest": digest}))
}
