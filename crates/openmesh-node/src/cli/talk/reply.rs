//! `openmesh reply`: answers requests, with a text or with what a command prints.

use super::{Payload, message_line, message_row, topic_address};
use crate::cli::context::{Context, Names};
use crate::cli::output::remark;
use anyhow::{Context as _, Result};
use openmesh_sdk::{Envelope, Mesh, Performative, Sent, Start};
use serde_json::json;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Acts that ask for an answer.
const ASKING: [&str; 3] = ["request", "query-ref", "query-if"];

/// Answers.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh reply --with 'pong'              the same answer to everyone
  $ openmesh reply --exec 'tr a-z A-Z'        the payload on stdin, the answer on stdout
  $ openmesh reply --exec ./answer --count 1  one request, then end
  $ openmesh reply --with 'dry' --topic weather/berlin   requests to a topic, with those of others
A command sees OPENMESH_SENDER and OPENMESH_PERFORMATIVE; if it fails, the answer is `failure`.")]
pub(crate) struct Args {
    #[command(flatten)]
    answer: Answer,
    /// Answer the requests published to these topics (* is one level, ** the rest), not those to the agent itself.
    #[arg(long, value_name = "PATTERN")]
    topic: Option<String>,
    /// End after so many requests.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Answer {
    /// The answer: text, @file, or - for stdin.
    #[arg(long, value_name = "PAYLOAD")]
    with: Option<String>,
    /// A shell command that makes the answer.
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<()> {
    context.run(serve(&args, context))
}

async fn serve(args: &Args, context: &Context) -> Result<()> {
    let fixed = args.answer.with.as_deref().map(Payload::read).transpose()?;
    let mesh = context.connect().await?;
    let mut incoming = match &args.topic {
        Some(pattern) => mesh.subscribe(&topic_address(pattern), Start::Next).await?,
        None => mesh.incoming()?,
    };
    let names = Names::ask(&mesh).await;
    if context.format().is_table() {
        let own = || names.show(&mesh.id().to_string());
        remark(&format!("answering requests to {} (ctrl-c ends)", args.topic.clone().unwrap_or_else(own)));
    }
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let envelope = tokio::select! {
            envelope = incoming.next_message() => envelope,
            _ = tokio::signal::ctrl_c() => break,
        };
        let Some(envelope) = envelope else {
            let ended = incoming.ended_by();
            return Err(ended
                .unwrap_or_else(|| openmesh_sdk::SdkError::Closed("it ended".to_owned()))
                .into());
        };
        if !asks(&envelope) {
            continue;
        }
        let (performative, payload) = match (&fixed, &args.answer.exec) {
            (Some(payload), _) => (Performative::Inform, payload.clone()),
            (None, Some(command)) => execute(command, &envelope).await?,
            (None, None) => break,
        };
        let outcome = answer(&mesh, &envelope, &performative, &payload).await?;
        let row = message_row(&envelope, &json!({"answered": outcome}));
        context.format().item(|| format!("{}  → {outcome}", message_line(&envelope, &names)), &row)?;
        left -= 1;
    }
    mesh.close().await;
    Ok(())
}

fn asks(envelope: &Envelope) -> bool {
    envelope.attributes.get("performative").is_some_and(|act| ASKING.contains(&act))
}

/// Sends an answer; in words how that ended. A refused answer ends nothing: the next asker may have better luck.
async fn answer(
    mesh: &Mesh,
    to: &Envelope,
    performative: &Performative,
    payload: &Payload,
) -> Result<String> {
    let draft = payload.put_into(mesh.reply_draft(to, performative)?);
    Ok(match mesh.send(mesh.sign(draft)?).await? {
        Sent::Accepted(_) | Sent::Passed => performative.to_string(),
        Sent::Rejected(problem) => format!("refused: {problem}"),
        Sent::Unknown => "unknown".to_owned(),
    })
}

/// Runs a command on a request's payload.
async fn execute(command: &str, request: &Envelope) -> Result<(Performative, Payload)> {
    let attribute = |name: &str| request.attributes.get(name).unwrap_or_default();
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env("OPENMESH_SENDER", attribute("source"))
        .env("OPENMESH_PERFORMATIVE", attribute("performative"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run `{command}`"))?;
    let stdin = child.stdin.take();
    let payload = request.payload.clone();
    let feeding = tokio::spawn(async move {
        if let Some(mut stdin) = stdin {
            // A command that does not read its input answers all the same.
            let _ = stdin.write_all(&payload).await;
        }
    });
    let output = child.wait_with_output().await.with_context(|| format!("`{command}`"))?;
    feeding.abort();
    let (performative, bytes) = if output.status.success() {
        (Performative::Inform, output.stdout)
    } else {
        (Performative::Failure, output.stderr)
    };
    let text = String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned();
    let payload = Payload::of(text.clone().into_bytes());
    Ok((performative, payload.unwrap_or(Payload::Text(text.into()))))
}
