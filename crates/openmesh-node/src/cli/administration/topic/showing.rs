//! `openmesh topic ls` and `show`: how topics are kept, and what is there of each.

use crate::cli::amount::{show_size, show_span};
use crate::cli::context::Context;
use crate::cli::output::{say, table, text};
use anyhow::Result;
use openmesh_sdk::Mesh;
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh topic ls\n  $ openmesh topic ls -o json")]
pub(crate) struct ListArgs {}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh topic show 'market/**'
  $ openmesh topic show market/rfp -o json")]
pub(crate) struct ShowArgs {
    /// A topic or a pattern: * is one level, ** the rest.
    pattern: String,
}

/// Prints every pattern and every topic.
pub(super) async fn list(_: &ListArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let settings = mesh.topics().await?;
    let topics = all_of(&mesh, "**").await?.1;
    mesh.close().await;
    if !context.format().is_table() {
        return context.format().outcome("", &json!({"patterns": settings, "topics": topics}));
    }
    for setting in &settings {
        say(&setting_line(setting))?;
    }
    if !settings.is_empty() && !topics.is_empty() {
        say("")?;
    }
    print_topics(&topics)
}

/// Prints how a pattern is kept, and its topics.
pub(super) async fn show(args: &ShowArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let pattern = args.pattern.strip_prefix("topic:").unwrap_or(&args.pattern);
    let (setting, topics) = all_of(&mesh, pattern).await?;
    mesh.close().await;
    if !context.format().is_table() {
        return context.format().outcome("", &json!({"setting": setting, "topics": topics}));
    }
    say(&setting_line(&setting))?;
    if !topics.is_empty() {
        say("")?;
    }
    print_topics(&topics)
}

/// How a pattern is kept, and every topic of it.
async fn all_of(mesh: &Mesh, pattern: &str) -> Result<(Value, Vec<Value>)> {
    let (mut setting, mut topics) = (Value::Null, Vec::new());
    loop {
        let after = topics.last().map(|topic| text(topic, "/topic"));
        let mut rows = mesh.show_topics(&format!("topic:{pattern}"), after.as_deref()).await?;
        setting = if rows.is_empty() { setting } else { rows.remove(0) };
        if rows.is_empty() {
            return Ok((setting, topics));
        }
        topics.extend(rows);
    }
}

/// A setting on one line.
pub(super) fn setting_line(setting: &Value) -> String {
    let pattern = text(setting, "/pattern");
    if setting.get("pinned").and_then(Value::as_bool) != Some(true) {
        return format!("{pattern} has no setting of its own");
    }
    let kept = retention_text(setting);
    format!("{pattern} pinned: {kept} (version {})", text(setting, "/version"))
}

fn retention_text(row: &Value) -> String {
    let limit = |name: &str| row.pointer(&format!("/retention/{name}")).and_then(Value::as_u64);
    let limits = [
        limit("age_ms").map(|ms| format!("for {}", show_span(ms))),
        limit("bytes").map(|bytes| format!("the latest {}", show_size(bytes))),
        limit("messages").map(|messages| format!("the latest {messages} messages")),
    ];
    let limits: Vec<_> = limits.into_iter().flatten().collect();
    if limits.is_empty() { "kept for good".to_owned() } else { format!("kept {}", limits.join(", ")) }
}

fn print_topics(topics: &[Value]) -> Result<()> {
    if topics.is_empty() {
        return Ok(());
    }
    let heads = ["topic", "messages", "first", "last", "bytes", "by", "kept"];
    let cells = |row: &Value| {
        let cell = |name: &str| text(row, &format!("/{name}"));
        vec![
            cell("topic"),
            cell("messages"),
            cell("first"),
            cell("last"),
            cell("bytes"),
            cell("by"),
            retention_text(row).replace("kept ", ""),
        ]
    };
    say(&table(&heads, topics.iter().map(cells)))
}
