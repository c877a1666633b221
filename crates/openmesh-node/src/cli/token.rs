//! `openmesh token`: what callers without a key show to act as an agent.

use super::agent::admin_token;
use super::context::{Context, Names};
use super::failure::Failure;
use super::output::{remark, text};
use anyhow::Result;
use openmesh_message::{Digest, Scopes, Timestamp, Token};
use openmesh_sdk::{AgentId, IssuedToken, Mesh, TokenTerms, now};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What can be done with tokens.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a token that stands for an agent, and print it; the node never sees it, and it is shown only here.
    New(NewArgs),
    /// List the valid tokens of an agent.
    Ls(ListArgs),
    /// Make a token worthless, at once.
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh token new --as alice
  $ TOKEN=$(openmesh token new --as alice --scope read --expires 1h)
  $ openmesh token new --as alice --custodial --label 'the ticket shop'    the node signs what is sent with it
  $ openmesh token new --for-agent carol                                   another for a keyless agent")]
pub(crate) struct NewArgs {
    #[command(flatten)]
    terms: Terms,
    /// Have the node sign what is sent with this token, with a key that it keeps for the agent.
    #[arg(long)]
    custodial: bool,
    /// The keyless agent it stands for, by name or id; needs the admin token [default: the agent you are].
    #[arg(long, value_name = "AGENT")]
    for_agent: Option<String>,
    /// The file with the domain's admin token [default: that of the node in the home folder, if it is there].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// On what terms a token is issued.
#[derive(Debug, clap::Args)]
pub(crate) struct Terms {
    /// What its holder may do: any of send, read, inbox, publish, admin.
    #[arg(long, default_value = "send,read,inbox", value_name = "SCOPES")]
    scope: Scopes,
    /// How long it lasts, as 90m, 12h or 30d (at most 366d), or until when, as 2026-12-24T12:00:00Z.
    #[arg(long, default_value = "30d", value_name = "WHEN")]
    expires: String,
    /// What it is for, in your words.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    label: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh token ls --as alice
  $ openmesh token ls --for-agent carol -o json      for whoever has the admin token")]
pub(crate) struct ListArgs {
    /// Whose tokens, by name or id; another's need the admin token [default: the agent you are].
    #[arg(long, value_name = "AGENT")]
    for_agent: Option<String>,
    /// The file with the domain's admin token [default: that of the node in the home folder, if it is there].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh token revoke 'the ticket shop' --as alice
  $ openmesh token revoke 7Jz4mPq --for-agent carol")]
pub(crate) struct RevokeArgs {
    /// The token: itself, its label, or the beginning of what `openmesh token ls` calls it.
    token: String,
    /// Whose it is, by name or id; another's needs the admin token [default: the agent you are].
    #[arg(long, value_name = "AGENT")]
    for_agent: Option<String>,
    /// The file with the domain's admin token [default: that of the node in the home folder, if it is there].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(crate) fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::New(args) => context.run(issue(args, context)),
        Command::Ls(args) => context.run(list(&args, context)),
        Command::Revoke(args) => context.run(revoke(&args, context)),
    }
}

async fn issue(args: NewArgs, context: &Context) -> Result<()> {
    let terms = args.terms.read(args.custodial)?;
    let mesh = context.connect().await?;
    let (scopes, expires) = (terms.scopes.clone(), terms.expires);
    let issued = match &args.for_agent {
        None => mesh.issue_token(terms).await?,
        Some(agent) => {
            let agent = Names::ask(&mesh).await.resolve(agent)?;
            let admin_token = admin_token(context, args.token_file.as_deref())?.unwrap_or_default();
            mesh.issue_token_for(&agent, terms, &admin_token).await?
        }
    };
    mesh.close().await;
    show(&issued, &scopes, expires, context)
}

/// Prints a token alone, so that scripts can take it; what it is worth is remarked beside.
pub(super) fn show(
    issued: &IssuedToken,
    scopes: &Scopes,
    expires: Timestamp,
    context: &Context,
) -> Result<()> {
    let IssuedToken { token, agent, custodial_key } = issued;
    if context.format().is_table() {
        let signs = if custodial_key.is_some() { "; the node signs for its holder" } else { "" };
        remark(&format!("stands for {agent} until {expires}: {scopes}{signs}; shown only this once"));
    }
    let row = json!({
        "token": token.reveal(), "digest": token.digest(), "agent": agent, "scopes": scopes,
        "expires": expires.to_string(), "custodial_key": custodial_key,
    });
    context.format().outcome(token.reveal(), &row)
}

async fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let whose = Whose::find(&mesh, args.for_agent.as_deref(), args.token_file.clone(), context).await?;
    let rows = whose.tokens(&mesh).await?;
    mesh.close().await;
    context.format().listing(&["token", "label", "scopes", "issued", "expires", "signs"], &rows, |row| {
        let scopes = row.pointer("/scopes").and_then(Value::as_array).into_iter().flatten();
        let scopes: Vec<_> = scopes.filter_map(Value::as_str).collect();
        let signs = if text(row, "/custodial") == "true" { "the node" } else { "" };
        let (issued, expires) = (text(row, "/issued"), text(row, "/expires"));
        vec![text(row, "/token"), text(row, "/label"), scopes.join(","), issued, expires, signs.to_owned()]
    })
}

async fn revoke(args: &RevokeArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let whose = Whose::find(&mesh, args.for_agent.as_deref(), args.token_file.clone(), context).await?;
    let digest = match args.token.parse::<Token>() {
        Ok(token) => token.digest(),
        Err(_) => pick(&whose.tokens(&mesh).await?, &args.token)?,
    };
    mesh.revoke_token(&digest, whose.admin_token.as_deref()).await?;
    mesh.close().await;
    context.format().outcome(&format!("revoked {digest}"), &json!({"revoked": digest}))
}

/// The one token that a label or the beginning of a digest means.
fn pick(rows: &[Value], meant: &str) -> Result<Digest> {
    let fits = |row: &&Value| text(row, "/label") == meant || text(row, "/token").starts_with(meant);
    let found: Vec<_> = rows.iter().filter(fits).filter_map(|row| text(row, "/token").parse().ok()).collect();
    match found.as_slice() {
        [digest] => Ok(*digest),
        [] => Err(Failure::not_found(format!("no valid token is called {meant}"))
            .next("`openmesh token ls` lists them")
            .into()),
        several => Err(Failure::usage(format!("{meant} means {} tokens", several.len()))
            .next("write more of what `openmesh token ls` calls it")
            .into()),
    }
}

/// Whose tokens a command is about, and what is needed to ask.
struct Whose {
    agent: Option<AgentId>,
    admin_token: Option<String>,
}

impl Whose {
    async fn find(
        mesh: &Mesh,
        agent: Option<&str>,
        file: Option<PathBuf>,
        context: &Context,
    ) -> Result<Self> {
        let Some(agent) = agent else {
            return Ok(Self { agent: None, admin_token: None });
        };
        let agent = Names::ask(mesh).await.resolve(agent)?;
        Ok(Self { agent: Some(agent), admin_token: admin_token(context, file.as_deref())? })
    }

    async fn tokens(&self, mesh: &Mesh) -> Result<Vec<Value>> {
        Ok(mesh.tokens(self.agent, self.admin_token.as_deref()).await?)
    }
}

impl Terms {
    /// The terms as the node takes them.
    pub(super) fn read(self, custodial: bool) -> Result<TokenTerms> {
        let expires = read_expiry(&self.expires, now())?;
        Ok(TokenTerms { scopes: self.scope, expires, label: self.label, custodial })
    }
}

fn read_expiry(written: &str, now: Timestamp) -> Result<Timestamp> {
    let unit = |suffix: char| match suffix {
        'm' => Some(60),
        'h' => Some(60 * 60),
        'd' => Some(24 * 60 * 60),
        _ => None,
    };
    let lasting = written.chars().last().and_then(unit).and_then(|seconds| {
        let count: u32 = written.get(..written.len() - 1)?.parse().ok()?;
        Some(i64::from(count) * seconds * 1_000)
    });
    if let Some(lasting_ms) = lasting {
        return Ok(now.plus_ms(lasting_ms));
    }
    let next = "write how long, as 90m, 12h or 30d, or until when, as 2026-12-24T12:00:00Z";
    Timestamp::parse(written).map_err(|why| Failure::usage(format!("--expires: {why}")).next(next).into())
}

#[cfg(test)]
mod tests {
    use super::{pick, read_expiry};
    use openmesh_message::{Digest, Timestamp};
    use serde_json::json;

    #[test]
    fn an_expiry_is_how_long_or_until_when() {
        let now = Timestamp::from_millis(0);
        let read = |text: &str| read_expiry(text, now).map(Timestamp::millis).ok();
        assert_eq!(read("90m"), Some(90 * 60_000));
        assert_eq!(read("2d"), Some(2 * 86_400_000));
        assert_eq!(read("1970-01-01T00:00:01Z"), Some(1_000));
        for text in ["", "d", "90", "-1h", "1w", "soon", "é"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_is_meant_by_its_label_or_the_beginning_of_its_digest() {
        let rows = [b"a", b"b"].map(|token| json!({"token": Digest::of(token), "label": "shop"}));
        let first = Digest::of(b"a");
        assert_eq!(pick(&rows, &first.to_string()[..6]).unwrap(), first);
        assert!(pick(&rows, "shop").unwrap_err().to_string().contains("2 tokens"));
        assert!(pick(&rows, "nothing").is_err());
    }
}
