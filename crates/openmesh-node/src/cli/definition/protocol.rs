//! `openmesh protocol`: allowed sequences of acts.

use super::{catalog, list, print, read_file, refused};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::say;
use anyhow::Result;
use openmesh_message::{NameRange, VersionedName};
use openmesh_schema::{Catalog, CheckReport, Protocol};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What can be done with protocols.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Publish a protocol (YAML or JSON); a published version never changes.
    Push(PushArgs),
    /// Print a protocol as the domain keeps it.
    Get(GetArgs),
    /// List protocols.
    Ls(ListArgs),
    /// Check a file without a node: states, guards, timers, schemas.
    Check(CheckArgs),
    /// Draw a protocol as a Mermaid state diagram.
    Graph(GraphArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh protocol push tea.yaml")]
pub(crate) struct PushArgs {
    /// The file; the protocol's name stands in it.
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh protocol get market/negotiation@^1")]
pub(crate) struct GetArgs {
    /// A name, a range as market/negotiation@^1, or a digest as sha256-…
    name: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh protocol ls")]
pub(crate) struct ListArgs {}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh protocol check tea.yaml --schema tea/order@v1.0.0=order.json")]
pub(crate) struct CheckArgs {
    /// The file.
    file: PathBuf,
    /// A schema the protocol names, if it is not a built-in one; may be given several times.
    #[arg(long, value_name = "NAME=FILE")]
    schema: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh protocol graph market/negotiation@^1
  $ openmesh protocol graph tea.yaml --schema tea/order@v1.0.0=order.json > tea.mmd")]
pub(crate) struct GraphArgs {
    /// A file, or the name of a protocol.
    protocol: String,
    /// A schema the protocol names, if it is not a built-in one; may be given several times.
    #[arg(long, value_name = "NAME=FILE")]
    schema: Vec<String>,
}

pub(crate) fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Push(args) => context.run(push(&args, context)),
        Command::Get(args) => context.run(async {
            let definition = context.connect().await?.get_protocol(&args.name).await?;
            print(&definition, context)
        }),
        Command::Ls(_) => context.run(async { list(&context.connect().await?, "protocol", context).await }),
        Command::Check(args) => check(&args, context),
        Command::Graph(args) => graph(&args, context),
    }
}

async fn push(args: &PushArgs, context: &Context) -> Result<()> {
    let text = read_file(&args.file)?;
    let mesh = context.connect().await?;
    let name = mesh.publish_protocol(&text).await?.name.to_string();
    mesh.close().await;
    context.format().outcome(&format!("published {name}"), &json!({"name": name}))
}

fn compile(file: &Path, schemas: &[String], context: &Context) -> Result<(Arc<Protocol>, CheckReport)> {
    let home = context.authority();
    let checked = catalog(schemas, home)?.check_protocol(read_file(file)?.as_bytes(), home);
    checked.map_err(|error| refused(file, &error))
}

fn check(args: &CheckArgs, context: &Context) -> Result<()> {
    let (protocol, report) = compile(&args.file, &args.schema, context)?;
    let CheckReport { machines, states, moves, warnings, pins } = &report;
    let pins: Vec<_> = pins.iter().map(ToString::to_string).collect();
    let mut line = format!(
        "{} can be published: {machines} machines, {states} states, {moves} moves",
        protocol.pinned().versioned
    );
    for pin in &pins {
        line.push_str(&format!("\n  schema   {pin}"));
    }
    for warning in warnings {
        line.push_str(&format!("\n  warning  {warning}"));
    }
    let row = json!({
        "ok": true, "name": protocol.pinned().to_string(), "machines": machines, "states": states,
        "moves": moves, "pins": pins, "warnings": warnings,
    });
    context.format().outcome(&line, &row)
}

fn graph(args: &GraphArgs, context: &Context) -> Result<()> {
    let file = Path::new(&args.protocol);
    let protocol = if file.is_file() {
        compile(file, &args.schema, context)?.0
    } else {
        match built_in(&args.protocol, context) {
            Some(protocol) => protocol,
            None => context.run(published(&args.protocol, context))?,
        }
    };
    say(protocol.graph().trim_end())
}

fn built_in(name: &str, context: &Context) -> Option<Arc<Protocol>> {
    let (catalog, home) = (Catalog::builtin(), context.authority());
    if let Ok(versioned) = VersionedName::parse(name, home) {
        return catalog.protocol_named(&versioned).cloned();
    }
    let range = NameRange::parse(name, home).ok()?;
    let pinned = catalog.resolve_protocol(&range)?;
    catalog.protocol(&pinned.digest).cloned()
}

/// A protocol the node knows, with the schemas it names.
async fn published(name: &str, context: &Context) -> Result<Arc<Protocol>> {
    let mesh = context.connect().await?;
    let definition = mesh.get_protocol(name).await?;
    let mut catalog = Catalog::builtin();
    for row in mesh.definitions().await? {
        let kind = crate::cli::output::text(&row, "/kind");
        if kind == "schema" {
            let schema = mesh.get_schema(&crate::cli::output::text(&row, "/name")).await?;
            let checked = catalog.check_schema(&schema.name.versioned, schema.stored.as_bytes());
            let checked = checked.map_err(|error| refused(Path::new(name), &error))?;
            catalog = catalog.with_schema(checked)?;
        }
    }
    let checked = catalog.check_protocol(definition.stored.as_bytes(), context.authority());
    let (protocol, _) = checked.map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    Ok(protocol)
}
