//! `openmesh sub`: the messages of topics, as they come.

use super::{message_line, message_row, topic_address};
use crate::cli::amount::time_past;
use crate::cli::context::{Context, Names};
use crate::cli::output::{Format, remark};
use anyhow::Result;
use openmesh_sdk::{Item, Start, Subscription};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A time nobody waits for.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Subscribes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh sub 'news/*'                          one level below news, from here on
  $ openmesh sub 'market/**' --from 1 --count 10   the first ten kept messages of all of market
  $ openmesh sub 'market/**' --since 10m           what was kept in the last ten minutes, then live
  $ openmesh sub 'clock/**' --timeout 5 -o jsonl   five seconds, one JSON object a line")]
pub(crate) struct Args {
    /// A topic or a pattern: * is one level, ** the rest.
    pattern: String,
    /// Begin with the first kept message at or after this record of the log; 1 is the beginning.
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
    /// Begin with the first message kept at or after this: a span before now, as 10m, or a time as 2026-12-24T12:00:00Z.
    #[arg(long, value_name = "WHEN", conflicts_with = "from")]
    since: Option<String>,
    /// End after so many messages.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after so many seconds; ending without a message is no error.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<()> {
    context.run(subscribe(&args, context))
}

async fn subscribe(args: &Args, context: &Context) -> Result<()> {
    let since = args.since.as_deref().map(|text| time_past("--since", text)).transpose()?;
    let start = since.map_or_else(|| args.from.map_or(Start::Next, Start::At), Start::Since);
    let mesh = context.connect().await?;
    let mut subscription = mesh.subscribe(&topic_address(&args.pattern), start).await?;
    let names = Names::ask(&mesh).await;
    if context.format().is_table() {
        remark(&format!("listening to {} (ctrl-c ends)", args.pattern));
    }
    let limit =
        args.timeout.map_or(FOREVER, |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(FOREVER));
    let until = Instant::now() + limit;
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let item = tokio::select! {
            item = subscription.next() => item,
            () = sleep_until(until) => break,
            _ = tokio::signal::ctrl_c() => break,
        };
        let Some(item) = item else { return Err(lost(&subscription)) };
        if print(&item, &names, context.format())? {
            left -= 1;
        }
    }
    mesh.close().await;
    Ok(())
}

fn lost(subscription: &Subscription) -> anyhow::Error {
    match subscription.ended_by() {
        Some(error) => error.into(),
        None => openmesh_sdk::SdkError::Closed("the subscription ended".to_owned()).into(),
    }
}

/// Prints an item; `true` if it was a message.
fn print(item: &Item, names: &Names, format: Format) -> Result<bool> {
    match item {
        Item::Message { number, envelope } => {
            let row = message_row(envelope, &json!({"number": number}));
            format.item(|| message_line(envelope, names), &row)?;
            return Ok(true);
        }
        Item::Gap { first, last } => {
            let missed = last.saturating_sub(*first) + 1;
            let line = || {
                format!("… missed {missed} messages (numbers {first} to {last}): this reader was too slow")
            };
            format.item(line, &json!({"gap": {"first": first, "last": last}}))?;
        }
        Item::Invalid { number, why } => {
            let line = || format!("… message {number} was dropped: {why}");
            format.item(line, &json!({"invalid": {"number": number, "why": why}}))?;
        }
    }
    Ok(false)
}
