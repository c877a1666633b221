//! `openmesh req`: asks an agent and waits for its answer, or asks many and gathers theirs.

mod many;

use super::{Payload, agent_address, message_row, payload_text};
use crate::cli::amount::span;
use crate::cli::context::Context;
use crate::cli::exit_code::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::say_bytes;
use anyhow::Result;
use openmesh_sdk::{Draft, Mesh, Performative, Reply};
use serde_json::json;
use std::time::Duration;

/// Asks.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh req bob 'what time is it?'
  $ openmesh req agent:bob @question.json --within 30s
  $ openmesh req topic:weather/berlin 'rain?' --many --within 2s   every answer that comes in two seconds
  $ openmesh req bob,carol 'lunch?' --many --replies 1             the first answer of two agents
  $ openmesh req bob 'is the door open?' --performative query-if")]
pub(crate) struct Args {
    /// Whom to ask: an agent's name, agent:name or a did:key; or topic:a/b; with --many also several, joined by commas.
    to: String,
    /// The payload: text, @file, or - for stdin; what is JSON is sent as JSON.
    payload: String,
    /// How long to wait for the final answer, or with --many for all: seconds, or a span as 500ms or 2m.
    #[arg(long, visible_alias = "within", default_value = "10s", value_name = "SPAN", value_parser = span)]
    deadline: Duration,
    /// Gather the final answers of all who answer in time; later ones are refused.
    #[arg(long)]
    many: bool,
    /// Stop waiting after so many answers.
    #[arg(long, requires = "many", value_name = "N")]
    replies: Option<usize>,
    /// The payload's schema.
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// What the message does.
    #[arg(long, default_value = "request", value_name = "ACT")]
    performative: Performative,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<()> {
    if args.many {
        return context.run(many::request(&args, context));
    }
    context.run(request(&args, context))
}

async fn request(args: &Args, context: &Context) -> Result<()> {
    let payload = Payload::read(&args.payload)?;
    let mesh = context.connect().await?;
    let draft = draft(&mesh, args, &args.to, &payload).await?;
    let Reply::Final(answer) = mesh.request(draft, args.deadline).await? else {
        let what = format!(
            "no final answer within {:?}: whether {} works on it is not known",
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

async fn draft(mesh: &Mesh, args: &Args, to: &str, payload: &Payload) -> Result<Draft> {
    let draft = payload.put_into(mesh.draft(&agent_address(to), &args.performative)?);
    Ok(match &args.schema {
        Some(schema) => draft.schema(&mesh.get_schema(schema).await?.name),
        None => draft,
    })
}
