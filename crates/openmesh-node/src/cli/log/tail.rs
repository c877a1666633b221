//! `openmesh tail`: records as they come.

use super::shown::{csv_head, csv_row, line};
use super::sought::Sought;
use crate::cli::context::{Context, Names};
use crate::cli::output::{Format, remark, say};
use anyhow::Result;
use openmesh_sdk::{Mesh, SdkError, Tail};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// A time nobody waits for.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);
/// Between two attempts to reach a node that went away.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// Tails.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh tail                                             all that one may read, from here on
  $ openmesh tail --topic 'market/**' --performative propose -o jsonl
  $ openmesh tail --verdict refused --since 1h                from an hour ago, then live
  $ openmesh tail --where 'message.payload.value.amount > 100' --count 1")]
pub(crate) struct Args {
    #[command(flatten)]
    sought: Sought,
    /// Begin after this record; 0 is the beginning of the log [default: with what comes; with --since, then].
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// End after so many records.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after so many seconds; ending without a record is no error.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<()> {
    context.run(tail(args, context))
}

async fn tail(args: &Args, context: &Context) -> Result<()> {
    let expression = args.sought.expression()?;
    let mesh = context.connect().await?;
    let mut names = Names::ask(&mesh).await;
    let filter = args.sought.filter(&names)?;
    let begins = args.after.or_else(|| filter.since.map(|_| 0));
    let mut tail = match begins {
        Some(seq) => mesh.tail_after(filter, seq),
        None => mesh.tail(filter).await?,
    };
    match context.format() {
        Format::Table => {
            remark(&format!("records from {} on (ctrl-c ends)", tail.resume_after().saturating_add(1)))
        }
        Format::Csv => say(&csv_head())?,
        _ => {}
    }
    let limit =
        args.timeout.map_or(FOREVER, |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(FOREVER));
    let until = Instant::now() + limit;
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let record = tokio::select! {
            record = next(&mesh, &mut tail) => record?,
            () = sleep_until(until) => break,
            _ = tokio::signal::ctrl_c() => break,
        };
        if expression.as_ref().is_some_and(|expression| !expression.fits(&record)) {
            continue;
        }
        print(&record, &mut names, context.format())?;
        left -= 1;
    }
    mesh.close().await;
    Ok(())
}

/// The next record; a connection that is lost is made again, and nothing between is lost.
async fn next(mesh: &Mesh, tail: &mut Tail) -> Result<Value> {
    loop {
        match tail.next().await {
            Ok(record) => return Ok(record),
            Err(SdkError::Closed(why)) => {
                remark(&format!("the connection is lost ({why}); connecting again"));
                while let Err(error) = mesh.reconnect().await {
                    tracing::info!(%error, "the node cannot be reached yet");
                    sleep(RETRY_WAIT).await;
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn print(record: &Value, names: &mut Names, format: Format) -> Result<()> {
    let outcome = |key: &str| record.pointer(&format!("/outcome/{key}")).and_then(Value::as_str);
    if let (Some(agent), Some(name)) = (outcome("agent"), outcome("name")) {
        names.learn(agent.to_owned(), name.to_owned());
    }
    match format {
        Format::Csv => say(&csv_row(record)),
        format => format.item(|| line(record, names), record),
    }
}
