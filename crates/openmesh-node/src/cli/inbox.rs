//! `openmesh inbox`: held mail.

mod listing;
mod recalling;

use super::context::{Context, Names};
use super::failure::Failure;
use super::talk::{message_line, message_row};
use anyhow::Result;
use openmesh_sdk::{Leased, Priority};
use serde_json::{Value, json};
use std::time::Duration;

/// How long `watch` waits at a time.
const WATCH_WAIT: Duration = Duration::from_secs(20);
/// How long `watch` holds a message before somebody else may have it.
const WATCH_VISIBILITY: Duration = Duration::from_secs(30);

/// What can be done with held mail.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the messages in the inbox without taking them.
    Ls(listing::ListArgs),
    /// Show one message without taking it.
    Peek(listing::PeekArgs),
    /// Take messages for a while; ack those that are done, the rest come back.
    Pull(PullArgs),
    /// Say that messages are done.
    Ack(AckArgs),
    /// Give messages back.
    Nack(NackArgs),
    /// Print and ack messages as they come.
    Watch(WatchArgs),
    /// Call back a message of yours that its recipient has not taken.
    Recall(recalling::RecallArgs),
    /// Count: accepted = pending + acknowledged + expired + dead-lettered + recalled.
    Count(CountArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh inbox pull                          up to ten messages, for 30 seconds
  $ openmesh inbox pull --count 1 --wait 20      wait for one
  $ openmesh inbox pull --least urgent --wait 20  wait for what is urgent, whatever else is there
  $ openmesh inbox pull --ack -o jsonl           take and be done with them")]
pub(crate) struct PullArgs {
    /// At most so many messages.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Seconds until messages that were not acked come back.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    visibility: u64,
    /// Seconds to wait for a message.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    wait: u64,
    /// Only messages at least so urgent: critical, urgent, normal or bulk.
    #[arg(long, default_value = "bulk", value_name = "PRIORITY")]
    least: Priority,
    /// Ack all of them at once.
    #[arg(long)]
    ack: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh inbox ack 3         every message pulled under token 3
  $ openmesh inbox ack 3 7 8     only numbers 7 and 8")]
pub(crate) struct AckArgs {
    /// The token that `pull` printed.
    token: u64,
    /// The messages' numbers; all of the token's if none is named.
    numbers: Vec<u64>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh inbox nack 3                   give back what was pulled under token 3
  $ openmesh inbox nack 3 7 --delay 60      number 7, to be had again in a minute")]
pub(crate) struct NackArgs {
    /// The token that `pull` printed.
    token: u64,
    /// The messages' numbers; all of the token's if none is named.
    numbers: Vec<u64>,
    /// Seconds until they can be pulled again.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    delay: u64,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh inbox watch\n  $ openmesh inbox watch --count 1 -o jsonl")]
pub(crate) struct WatchArgs {
    /// End after so many messages.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Do not ack: messages come back after a while.
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh inbox count -o json")]
pub(crate) struct CountArgs {}

pub(crate) fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Ls(args) => context.run(listing::list(&args, context)),
        Command::Peek(args) => context.run(listing::peek(&args, context)),
        Command::Recall(args) => context.run(recalling::recall(&args, context)),
        Command::Pull(args) => context.run(pull(&args, context)),
        Command::Ack(args) => context.run(acknowledge(&args, context)),
        Command::Nack(args) => context.run(give_back(&args, context)),
        Command::Watch(args) => context.run(watch(&args, context)),
        Command::Count(_) => context.run(count(context)),
    }
}

fn row(leased: &Leased) -> Value {
    let extra = json!({"token": leased.token, "number": leased.number, "attempt": leased.attempt});
    message_row(&leased.envelope, &extra)
}

async fn pull(args: &PullArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let (visibility, wait) = (Duration::from_secs(args.visibility), Duration::from_secs(args.wait));
    let leased = mesh.inbox().lease_from(args.least, args.count, visibility, wait).await?;
    let names = Names::ask(&mesh).await;
    let rows: Vec<Value> = leased.iter().map(row).collect();
    context.format().listing(&["token", "number", "attempt", "from", "act", "payload"], &rows, |row| {
        let text = |pointer| super::output::text(row, pointer);
        let payload = super::output::cut(&names.replace_in(&text("/payload")), 80);
        let from = names.show(&text("/attributes/source"));
        vec![
            text("/token"),
            text("/number"),
            text("/attempt"),
            from,
            text("/attributes/performative"),
            payload,
        ]
    })?;
    if let Some(first) = leased.first().filter(|_| args.ack) {
        mesh.inbox().ack(first.token, &[]).await?;
    }
    mesh.close().await;
    Ok(())
}

async fn acknowledge(args: &AckArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    mesh.inbox().ack(args.token, &args.numbers).await?;
    mesh.close().await;
    let line = format!("acked {}", describe(args.token, &args.numbers));
    context.format().outcome(&line, &json!({"token": args.token, "numbers": args.numbers}))
}

async fn give_back(args: &NackArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    mesh.inbox().nack(args.token, &args.numbers, Duration::from_secs(args.delay)).await?;
    mesh.close().await;
    let when = if args.delay == 0 { String::new() } else { format!(", to be had again in {} s", args.delay) };
    let line = format!("gave back {}{when}", describe(args.token, &args.numbers));
    context
        .format()
        .outcome(&line, &json!({"token": args.token, "numbers": args.numbers, "delay_s": args.delay}))
}

fn describe(token: u64, numbers: &[u64]) -> String {
    if numbers.is_empty() {
        return format!("everything under token {token}");
    }
    let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    format!("{} under token {token}", numbers.join(", "))
}

async fn watch(args: &WatchArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let names = Names::ask(&mesh).await;
    if context.format().is_table() {
        super::output::remark("waiting for mail (ctrl-c ends)");
    }
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let inbox = mesh.inbox();
        let leased = tokio::select! {
            leased = inbox.lease(1, WATCH_VISIBILITY, WATCH_WAIT) => leased?,
            _ = tokio::signal::ctrl_c() => break,
        };
        for message in leased {
            let line = || format!("{}  {}", message.number, message_line(&message.envelope, &names));
            context.format().item(line, &row(&message))?;
            if !args.keep {
                inbox.ack(message.token, &[message.number]).await?;
            }
            left = left.saturating_sub(1);
        }
    }
    mesh.close().await;
    Ok(())
}

async fn count(context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let counts = mesh.inbox().counts().await?;
    mesh.close().await;
    if !counts.is_conserved() {
        return Err(Failure::new(super::exit_code::Exit::Damaged, "the counts do not add up").into());
    }
    let line = format!(
        "{} pending of {} accepted ({} acknowledged, {} expired, {} dead-lettered, {} recalled)",
        counts.pending,
        counts.accepted,
        counts.acknowledged,
        counts.expired,
        counts.dead_lettered,
        counts.recalled
    );
    context.format().outcome(&line, &serde_json::to_value(counts)?)
}
