//! `openmesh policy`: the rules of the domain.

use crate::cli::agent::admin_token;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{say, table};
use anyhow::{Context as _, Result};
use openmesh_policy::Policy;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What can be done with the rules.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the rules in the policy file of the node in the home folder.
    Show(ShowArgs),
    /// Check a policy file without a node.
    Check(CheckArgs),
    /// Have the node read its policy file again.
    Reload(ReloadArgs),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  $ openmesh policy show\n  $ openmesh policy show --file ./node/policy.toml -o json"
)]
pub(crate) struct ShowArgs {
    /// The policy file [default: that of the node in the home folder].
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh policy check ~/.openmesh/node/policy.toml")]
pub(crate) struct CheckArgs {
    /// The file.
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh policy reload")]
pub(crate) struct ReloadArgs {
    /// The file with the domain's admin token [default: that of the node in the home folder].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(crate) fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Show(args) => show(&args, context),
        Command::Check(args) => check(&args, context),
        Command::Reload(args) => context.run(reload(&args, context)),
    }
}

fn read(file: &Path, context: &Context) -> Result<Policy> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let parsed = Policy::parse(&text, context.authority());
    parsed.map_err(|error| {
        Failure::usage(format!("{}: {error}", file.display()))
            .next("change the file; the rules in force stay")
            .into()
    })
}

fn show(args: &ShowArgs, context: &Context) -> Result<()> {
    let file = match &args.file {
        Some(file) => file.clone(),
        None => context.home()?.node().join("policy.toml"),
    };
    let policy = read(&file, context)?;
    let rules: Vec<Value> = policy
        .rules()
        .map(|rule| {
            json!({"rule": rule.name, "verdict": rule.verdict.to_string(), "stateful": rule.stateful, "reason": rule.reason})
        })
        .collect();
    if !context.format().is_table() {
        let row = json!({"file": file, "version": policy.version(), "rules": rules});
        return context.format().outcome("", &row);
    }
    let text = |rule: &Value, key: &str| crate::cli::output::text(rule, &format!("/{key}"));
    let rows = rules.iter().map(|rule| vec![text(rule, "rule"), text(rule, "verdict"), text(rule, "reason")]);
    say(&table(&["rule", "verdict", "reason"], rows))?;
    say(&format!("\n{} (version {}); whatever no rule allows is denied", file.display(), policy.version()))
}

fn check(args: &CheckArgs, context: &Context) -> Result<()> {
    let policy = read(&args.file, context)?;
    let (count, version) = (policy.rules().count(), policy.version());
    let line = format!("{} can be loaded: {count} rules, version {version}", args.file.display());
    context.format().outcome(&line, &json!({"ok": true, "rules": count, "version": version}))
}

async fn reload(args: &ReloadArgs, context: &Context) -> Result<()> {
    let token = admin_token(context, args.token_file.as_deref())?.ok_or_else(|| {
        Failure::usage("reloading needs the domain's admin token").next("name its file with --token-file")
    })?;
    let mesh = context.connect().await?;
    mesh.reload_policy(&token).await?;
    mesh.close().await;
    context.format().outcome("the policy file was read again", &json!({"reloaded": true}))
}
