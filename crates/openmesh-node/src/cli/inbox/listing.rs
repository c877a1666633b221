//! `openmesh inbox ls` and `peek`: what is in the inbox; takes nothing.

use crate::cli::context::{Context, Names};
use crate::cli::output::{cut, text};
use crate::cli::talk::message_row;
use anyhow::Result;
use openmesh_sdk::{HeldState, Mesh, Peeked};
use serde_json::{Value, json};

/// Characters of a payload that a row shows.
const PAYLOAD_CHARS_MAX: usize = 80;
/// Messages asked for at a time.
const PAGE_MESSAGES: u32 = 256;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh inbox ls --as bob
  $ openmesh inbox ls --after 100 --limit 20 -o jsonl")]
pub(crate) struct ListArgs {
    /// Begin after this number.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    after: u64,
    /// At most so many messages.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    limit: usize,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh inbox peek              the oldest message, whole
  $ openmesh inbox peek 7 -o json    number 7")]
pub(crate) struct PeekArgs {
    /// The message's number [default: the oldest].
    number: Option<u64>,
}

/// Prints what is held, by number.
pub(super) async fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let held = held_after(&mesh, args.after, args.limit).await?;
    let names = Names::ask(&mesh).await;
    mesh.close().await;
    let rows: Vec<Value> = held.iter().map(row).collect();
    let heads = ["number", "state", "priority", "attempts", "at", "from", "act", "payload"];
    context.format().listing(&heads, &rows, |row| {
        let cell = |pointer| text(row, pointer);
        let until = cell("/until");
        let state =
            if until.is_empty() { cell("/state") } else { format!("{} until {until}", cell("/state")) };
        let payload = cut(&names.replace_in(&cell("/payload")), PAYLOAD_CHARS_MAX);
        let from = names.show(&cell("/attributes/source"));
        let act = cell("/attributes/performative");
        vec![cell("/number"), state, cell("/priority"), cell("/attempts"), cell("/at"), from, act, payload]
    })
}

/// Prints one message whole.
pub(super) async fn peek(args: &PeekArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let after = args.number.map_or(0, |number| number.saturating_sub(1));
    let held = mesh.inbox().peek(after, 1).await?.entries.into_iter().next();
    mesh.close().await;
    let held = held.filter(|held| args.number.is_none_or(|number| held.number == number));
    let Some(held) = held else {
        let what = args
            .number
            .map_or_else(|| "the inbox is empty".to_owned(), |n| format!("there is no message {n}"));
        let next = "`openmesh inbox ls` lists what is there; what has ended is in `openmesh log query`";
        return Err(crate::cli::failure::Failure::not_found(what).next(next).into());
    };
    let row = row(&held);
    context.format().outcome(&serde_json::to_string_pretty(&row)?, &row)
}

async fn held_after(mesh: &Mesh, after: u64, limit: usize) -> Result<Vec<Peeked>> {
    let mut held = Vec::new();
    let mut next = Some(after);
    while let Some(after) = next.filter(|_| held.len() < limit) {
        let page = mesh.inbox().peek(after, PAGE_MESSAGES).await?;
        held.extend(page.entries);
        next = page.next_after_number;
    }
    held.truncate(limit);
    Ok(held)
}

fn row(held: &Peeked) -> Value {
    let (state, until) = match held.state {
        HeldState::Ready => ("ready", None),
        HeldState::Delayed(until) => ("delayed", Some(until)),
        HeldState::Leased(until) => ("leased", Some(until)),
    };
    let at = held.envelope.transit.receivedtime;
    let extra = json!({
        "number": held.number, "state": state, "until": until.map(|time| time.to_string()),
        "priority": held.priority.as_str(), "attempts": held.attempts, "at": at.map(|time| time.to_string()),
    });
    message_row(&held.envelope, &extra)
}
