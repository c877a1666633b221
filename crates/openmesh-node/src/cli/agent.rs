//! `openmesh agent`: keys, and the names the domain knows their agents by.

use super::context::{Context, Names};
use super::exit_code::Exit;
use super::failure::{Failure, describe_chain};
use super::output::text;
use super::token;
use anyhow::{Context as _, Result};
use openmesh_sdk::SdkError;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What can be done with agents.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make an agent: a key in a file that only you can read.
    New(NewArgs),
    /// Tell the node of an agent, so that it may take part.
    Register(RegisterArgs),
    /// List the agents whose keys are here and those the node knows.
    Ls(ListArgs),
    /// Show an agent's id, its name and where its key is.
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh agent new alice")]
pub(crate) struct NewArgs {
    /// What you call it: lower-case letters, digits, - and . as in alice or seller-1.
    name: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh agent register alice                            the node runs from your home folder
  $ openmesh agent register alice --token-file admin.token   somebody gave you the admin token
  $ openmesh agent register carol --keyless                  the node keeps the key; prints a token for carol")]
pub(crate) struct RegisterArgs {
    /// The agent: the name of a key, and the name it will have in the domain.
    name: String,
    /// Register an agent that has no key: the node makes and keeps one, and signs for whoever holds the token printed.
    #[arg(long)]
    keyless: bool,
    #[command(flatten)]
    terms: token::Terms,
    /// The file with the domain's admin token [default: that of the node in the home folder, if it is there].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh agent ls\n  $ openmesh agent ls -o json")]
pub(crate) struct ListArgs {}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh agent show alice")]
pub(crate) struct ShowArgs {
    /// A name or a did:key.
    name: String,
}

pub(crate) fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::New(args) => make(&args, context),
        Command::Register(args) if args.keyless => context.run(register_keyless(args, context)),
        Command::Register(args) => context.run(register(&args, context)),
        Command::Ls(_) => context.run(list(context)),
        Command::Show(args) => context.run(show(&args, context)),
    }
}

/// The admin token: from the file named, else from the home folder's node if it is there.
pub(crate) fn admin_token(context: &Context, file: Option<&Path>) -> Result<Option<String>> {
    let default = context.home()?.admin_token();
    let file = match file {
        Some(file) => file,
        None if default.exists() => &default,
        None => return Ok(None),
    };
    let token = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the admin token from {}", file.display()))?;
    Ok(Some(token.trim().to_owned()))
}

fn make(args: &NewArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let agent = home.make_agent(&args.name)?;
    let file = home.key_file(&agent.name);
    let line = format!("made {}: {} (key in {})", agent.name, agent.id(), file.display());
    context.format().outcome(&line, &json!({"name": agent.name, "agent": agent.id(), "key_file": file}))
}

async fn register(args: &RegisterArgs, context: &Context) -> Result<()> {
    let mesh = context.connect_as(&args.name).await?;
    let token = admin_token(context, args.token_file.as_deref())?;
    if let Err(error) = mesh.register(&args.name, token.as_deref()).await {
        return Err(explain(error, token.is_some()));
    }
    let (agent, domain) = (mesh.id(), mesh.domain());
    mesh.close().await;
    let line = format!("registered {}: {agent}", args.name);
    context.format().outcome(&line, &json!({"name": args.name, "agent": agent, "domain": domain}))
}

async fn register_keyless(args: RegisterArgs, context: &Context) -> Result<()> {
    let terms = args.terms.read(true)?;
    let (scopes, expires) = (terms.scopes.clone(), terms.expires);
    let mesh = context.connect_as_stranger().await?;
    let admin = admin_token(context, args.token_file.as_deref())?;
    let issued = mesh.register_keyless(&args.name, terms, admin.as_deref()).await;
    let issued = issued.map_err(|error| explain(error, admin.is_some()))?;
    mesh.close().await;
    token::show(&issued, &scopes, expires, context)
}

fn explain(error: SdkError, has_token: bool) -> anyhow::Error {
    match error {
        SdkError::Refused(problem) if problem.code == "policy.denied" && !has_token => {
            Failure::new(Exit::Refused, format!("refused: {}: {}", problem.code, problem.detail))
                .next("registering needs the domain's admin token: name its file with --token-file")
                .into()
        }
        error => error.into(),
    }
}

/// Keys here and agents the node knows, in one listing; without a node, keys only.
async fn list(context: &Context) -> Result<()> {
    let home = context.home()?;
    let mut rows = BTreeMap::new();
    for name in home.agents() {
        if let Ok(agent) = home.agent(Some(&name)) {
            let id = agent.id().to_string();
            rows.insert(id.clone(), json!({"agent": id, "key": name, "name": null, "connected": null}));
        }
    }
    match registered(context).await {
        Ok(registered) => {
            for row in registered {
                let known = rows.entry(text(&row, "/agent")).or_insert_with(|| json!({"key": null}));
                merge(known, row);
            }
        }
        Err(error) if context.names_a_node() => return Err(error),
        Err(error) => super::output::remark(&format!("only keys are shown: {}", describe_chain(&error))),
    }
    let mut rows: Vec<_> = rows.into_values().collect();
    rows.sort_by_key(|row| (text(row, "/name"), text(row, "/key")));
    context.format().listing(&["name", "agent", "key", "registered", "connected"], &rows, |row| {
        let key = where_keys_are(row);
        let name = text(row, "/name");
        let name = if name.is_empty() { text(row, "/key") } else { name };
        let connected = if text(row, "/connected") == "true" { "yes" } else { "" };
        let registered = text(row, "/registered");
        vec![name, text(row, "/agent"), key, registered, connected.to_owned()]
    })
}

fn where_keys_are(row: &Value) -> String {
    let here = row.pointer("/key").is_some_and(Value::is_string).then_some("here");
    let kept = row.pointer("/custodial_keys/0").is_some().then_some("node");
    here.into_iter().chain(kept).collect::<Vec<_>>().join("+")
}

fn merge(known: &mut Value, row: Value) {
    if let (Value::Object(known), Value::Object(row)) = (known, row) {
        known.extend(row);
    }
}

/// What the node knows, asked as any agent whose key is here.
async fn registered(context: &Context) -> Result<Vec<Value>> {
    let home = context.home()?;
    let asking = match context.agent() {
        Ok(agent) => vec![agent.name],
        Err(_) => home.agents(),
    };
    let mut failed = None;
    for name in asking {
        let mesh = context.connect_as(&name).await?;
        match mesh.agents().await {
            Ok(rows) => return Ok(rows),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Err(Failure::not_found("there is no agent to ask as").into()),
    }
}

async fn show(args: &ShowArgs, context: &Context) -> Result<()> {
    let home = context.home()?;
    let file = home.key_file(&args.name);
    let registered = registered(context).await.unwrap_or_default();
    let local = home.agent(Some(&args.name)).ok();
    let id = match &local {
        Some(agent) => agent.id(),
        None => names(&registered).resolve(&args.name)?,
    };
    let id = id.to_string();
    let row = registered.iter().find(|row| text(row, "/agent") == id).cloned().unwrap_or(json!({}));
    let mut shown = json!({
        "agent": id, "name": row.get("name"), "registered": row.get("registered"),
        "connected": row.get("connected"), "key_file": local.map(|_| file), "keyless": row.get("keyless"),
        "custodial_keys": row.get("custodial_keys").filter(|keys| keys.get(0).is_some()),
    });
    if let Value::Object(shown) = &mut shown {
        shown.retain(|_, value| !value.is_null());
    }
    if !context.format().is_table() {
        return context.format().outcome("", &shown);
    }
    let kept = shown.as_object_mut().and_then(|shown| shown.remove("custodial_keys"));
    let fields = shown.as_object().into_iter().flatten();
    let mut lines: Vec<_> =
        fields.map(|(name, _)| format!("{name:<11}{}", text(&shown, &format!("/{name}")))).collect();
    for key in kept.iter().filter_map(Value::as_array).flatten() {
        lines.push(format!(
            "{:<11}{} (kept for it since {})",
            "node's key",
            text(key, "/key"),
            text(key, "/since")
        ));
    }
    super::output::say(&lines.join("\n"))
}

fn names(rows: &[Value]) -> Names {
    let mut names = Names::default();
    for row in rows {
        names.learn(text(row, "/agent"), text(row, "/name"));
    }
    names
}
