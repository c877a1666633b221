//! `openmesh log query`: finding records.

use super::offline;
use crate::cli::context::{Context, Names};
use crate::cli::failure::Failure;
use crate::cli::output::{cut, remark, text};
use anyhow::Result;
use openmesh_core::Matcher;
use openmesh_core::record::to_json;
use openmesh_message::ConversationId;
use openmesh_sdk::LogFilter;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The kinds of records.
const KINDS: [&str; 14] = [
    "message",
    "refused",
    "fired",
    "leased",
    "extended",
    "settled",
    "registered",
    "schema",
    "protocol",
    "topics",
    "policy",
    "epoch",
    "token",
    "token_revoked",
];
/// Characters of what a row says.
const WHAT_CHARS_MAX: usize = 100;

/// Queries.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh log query --limit 20
  $ openmesh log query --kind refused -o jsonl
  $ openmesh log query --topic 'market/**' --agent alice
  $ openmesh log query --data ~/.openmesh/node --conversation ID     offline, everything")]
pub(crate) struct Args {
    /// The message's id.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Sender or recipient: a name or a did:key.
    #[arg(id = "party", long = "agent", value_name = "AGENT")]
    agent: Option<String>,
    /// A topic or a pattern.
    #[arg(long, value_name = "PATTERN")]
    topic: Option<String>,
    /// The conversation.
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
    /// The kind of record.
    #[arg(long, value_name = "KIND", value_parser = KINDS)]
    kind: Option<String>,
    /// Begin after this record.
    #[arg(long, default_value_t = 0, value_name = "SEQ")]
    after: u64,
    /// At most so many records.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Read a node's folder, running or not, and see every record.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let (mut records, names) = match &args.data {
        Some(data) => offline_records(args, data, context)?,
        None => context.run(records_of_node(args, context))?,
    };
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let has_more = records.len() > limit;
    records.truncate(limit);
    context
        .format()
        .listing(&["seq", "at", "kind", "sender", "what"], &records, |record| row(record, &names))?;
    if let Some(last) = records.last().filter(|_| has_more) {
        remark(&format!("there is more: add --after {}, or raise --limit", text(last, "/seq")));
    }
    Ok(())
}

fn filter(args: &Args, names: &Names) -> Result<LogFilter> {
    if let Some(topic) = &args.topic {
        let pattern = topic.strip_prefix("topic:").unwrap_or(topic);
        let parsed: Result<openmesh_message::TopicPattern, _> = pattern.parse();
        parsed.map_err(|why| Failure::usage(format!("--topic: {why}")))?;
    }
    Ok(LogFilter {
        id: args.id.clone(),
        agent: args.agent.as_deref().map(|agent| names.resolve(agent)).transpose()?,
        topic: args.topic.clone(),
        conversation: args.conversation.map(|id| id.to_string()),
        kind: args.kind.clone(),
        ..LogFilter::default()
    })
}

async fn records_of_node(args: &Args, context: &Context) -> Result<(Vec<Value>, Names)> {
    let mesh = context.connect().await?;
    let names = Names::ask(&mesh).await;
    let pages = mesh.query_log(filter(args, &names)?).after(args.after);
    let records = pages.collect(usize::try_from(args.limit).unwrap_or(usize::MAX).saturating_add(1)).await?;
    mesh.close().await;
    Ok((records, names))
}

fn offline_records(args: &Args, data: &Path, context: &Context) -> Result<(Vec<Value>, Names)> {
    let (log, _) = offline::open(&offline::folder(Some(data), context)?)?;
    let mut names = Names::default();
    offline::records(&log, 1, |record| {
        offline::learn(&mut names, &record);
        Ok(true)
    })?;
    let matcher = Matcher::new(&filter(args, &names)?);
    let mut found = Vec::new();
    let lost = offline::records(&log, args.after.saturating_add(1), |record| {
        if matcher.matches(&record) {
            found.push(to_json(&record));
        }
        Ok(found.len() as u64 <= args.limit)
    })?;
    if lost > 0 {
        remark(&format!("{lost} records are damaged and left out: `openmesh log verify` says which"));
    }
    Ok((found, names))
}

fn row(record: &Value, names: &Names) -> Vec<String> {
    let sender = text(record, "/sender");
    let sender = if sender.is_empty() { String::new() } else { names.show(&sender) };
    let what = cut(&names.replace_in(&describe(record)), WHAT_CHARS_MAX);
    vec![text(record, "/seq"), text(record, "/at"), text(record, "/kind"), sender, what]
}

/// A record in a few words.
fn describe(record: &Value) -> String {
    let outcome = |key: &str| text(record, &format!("/outcome/{key}"));
    match text(record, "/kind").as_str() {
        "message" => {
            let attribute = |name: &str| text(record, &format!("/message/attributes/{name}"));
            let to = attribute("to");
            let to = to.splitn(4, '/').nth(3).unwrap_or_default();
            let step = outcome("step/summary");
            let rest = if step.is_empty() { text(record, "/message/payload") } else { format!("({step})") };
            format!("{} → {to} {rest}", attribute("performative"))
        }
        "refused" => format!("{}: {}", outcome("code"), text(record, "/refused/detail")),
        "fired" => format!("timer: {}", outcome("step/summary")),
        "leased" => format!("token {} until {}: {}", outcome("token"), outcome("until"), outcome("numbers")),
        "extended" => format!("token {} until {}", outcome("token"), outcome("until")),
        "settled" => {
            let kinds = ["acknowledged", "returned", "expired", "dead_lettered"];
            let parts = kinds.iter().filter(|kind| outcome(kind) != "[]");
            parts.map(|kind| format!("{kind} {}", outcome(kind))).collect::<Vec<_>>().join(", ")
        }
        "registered" | "schema" | "protocol" => outcome("name"),
        "topics" => format!("{} pinned: {}", outcome("pattern"), outcome("pinned")),
        "policy" => outcome("version"),
        "token" => {
            let signs = if outcome("token/custodial") == "true" { ", the node signs" } else { "" };
            format!("{} until {}{signs}", outcome("token/label"), outcome("token/expires"))
        }
        "token_revoked" => outcome("token/digest"),
        "epoch" => format!("epoch {} begins", text(record, "/epoch")),
        _ => String::new(),
    }
}
