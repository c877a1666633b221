//! `openmesh req`: asks an agent and waits for its answer.

use super::{Payload, agent_address, message_row, payload_text};
use crate::cli::context::Context;
use crate::cli::exit_code::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::say_bytes;
use anyhow::Result;
use openmesh_sdk::{Performative, Reply};
use serde_json::json;
use std::time::Duration;

/// Asks.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh req bob 'what time is it?'
  $ openmesh req agent:bob @question.json --deadline 30
  $ openmesh req bob 'is the door open?' --performative query-if")]
pub(crate) struct Args {
    /// Whom to ask: an agent's name, agent:name or a did:key; or topic:a/b.
    to: String,
    /// The payload: text, @file, or - for stdin; what is JSON is sent as JSON.
    payload: String,
    /// Seconds to wait for the final answer.
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    deadline: f64,
    /// The payload's schema.
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// What the message does.
    #[arg(long, default_value = "request", value_name = "ACT")]
    performative: Performative,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<()> {
    context.run(request(&args, context))
}

async fn request(args: &Args, context: &Context) -> Result<()> {
    let payload = Payload::read(&args.payload)?;
    let deadline = Duration::try_from_secs_f64(args.deadline)
        .map_err(|why| Failure::usage(format!("--deadline: {why}")))?;
    let mesh = context.connect().await?;
    let mut draft = payload.put_into(mesh.draft(&agent_address(&args.to), &args.performative)?);
    if let Some(schema) = &args.schema {
        draft = draft.schema(&mesh.get_schema(schema).await?.name);
    }
    let Reply::Final(answer) = mesh.request(draft, deadline).await? else {
        let what = format!(
            "no final answer within {} s: whether {} works on it is not known",
            args.deadline, args.to
        );
        let next = "raise --deadline, or ask again";
        return Err(Failure::new(Exit::Unknown, what).next(next).into());
    };
    mesh.close().await;
    if context.format().is_table() {
        say_bytes(&answer.payload)?;
    } else {
        context.format().outcome("", &message_row(&answer, &json!({})))?;
    }
    match answer.attributes.get("performative") {
        Some("inform") => Ok(()),
        other => {
            let what = format!("{} answered {}: {}", args.to, other.unwrap_or("?"), payload_text(&answer));
            Err(Failure::new(Exit::Failure, what).into())
        }
    }
}
