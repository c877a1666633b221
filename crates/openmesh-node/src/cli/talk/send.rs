//! `openmesh send`: any message, above all an act of a conversation.

use super::{Payload, agent_address, report_sent};
use crate::cli::amount::time_to_come;
use crate::cli::context::{Context, Names};
use crate::cli::conversation;
use crate::cli::failure::Failure;
use anyhow::Result;
use openmesh_message::{ConversationId, Digest, PinnedName, Priority, Timestamp};
use openmesh_sdk::{AgentId, Draft, Mesh, Performative, new_conversation_id};
use serde_json::json;

/// Sends.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh send bob 'see you at noon' --durable
  $ openmesh send bob 'happy new year' --not-before 2027-01-01T00:00:00Z
  $ openmesh send inbox:bob 'the pump has stopped' --priority critical
  $ openmesh send topic:market/rfp @rfp.json --performative cfp --schema market/rfp@^1 \\
      --protocol market/negotiation@^1 --new-conversation
  $ openmesh send buyer @offer.json --performative propose --schema market/proposal@^1 --conversation ID
  $ openmesh send seller --performative accept-proposal --conversation ID --parents DIGEST")]
pub(crate) struct Args {
    /// Where to: an agent's name, agent:name, topic:a/b, conversation:ID or a did:key.
    to: String,
    /// The payload: text, @file, or - for stdin; what is JSON is sent as JSON.
    payload: Option<String>,
    /// What the message does.
    #[arg(long, default_value = "inform", value_name = "ACT")]
    performative: Performative,
    /// The payload's schema: a name, a range as market/rfp@^1, or a digest.
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// The protocol of the conversation [default: that of the conversation, once it began].
    #[arg(long, value_name = "NAME")]
    protocol: Option<String>,
    /// The conversation: its id, `new`, or `last` for that of the latest act sent or got.
    #[arg(long, value_name = "ID", conflicts_with = "new_conversation")]
    conversation: Option<String>,
    /// Begin a conversation; its id is printed.
    #[arg(long)]
    new_conversation: bool,
    /// Digests of the messages this one follows, such as the offer that is accepted.
    #[arg(long, value_name = "DIGEST", value_delimiter = ',')]
    parents: Vec<Digest>,
    /// The id of the message this one answers.
    #[arg(long, value_name = "ID")]
    reply_to_id: Option<String>,
    /// When the message is of no use any more: seconds or a span as 10m from now, or a time as 2026-12-24T12:00:00Z.
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Have the message wait in the inbox, at most 30 days: seconds or a span as 10m from now, or a time.
    #[arg(long, value_name = "WHEN")]
    not_before: Option<String>,
    /// How urgent it is: critical, urgent, normal or bulk.
    #[arg(long, value_name = "PRIORITY")]
    priority: Option<Priority>,
    /// Have the message kept: in the agent's inbox if it is away.
    #[arg(long)]
    durable: bool,
    /// An agent invited to a role by the first act: auditor=carol.
    #[arg(long, value_name = "ROLE=AGENT")]
    invite: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<()> {
    context.run(send(&args, context))
}

async fn send(args: &Args, context: &Context) -> Result<()> {
    let payload = args.payload.as_deref().map(Payload::read).transpose()?;
    let expiry = args.expires.as_deref().map(|text| time_to_come("--expires", text)).transpose()?;
    let not_before = args.not_before.as_deref().map(|text| time_to_come("--not-before", text)).transpose()?;
    let mesh = context.connect().await?;
    let mut draft = mesh.draft(&agent_address(&args.to), &args.performative)?;
    if let Some(payload) = &payload {
        draft = payload.put_into(draft);
    }
    if let Some(schema) = &args.schema {
        draft = draft.schema(&mesh.get_schema(schema).await?.name);
    }
    let conversation = conversation_of(&mesh, args).await?;
    if let Some(id) = &conversation {
        draft = draft.conversation(&protocol_of(&mesh, args, id).await?, id);
    }
    if !args.invite.is_empty() {
        draft = invite(draft, &args.invite, &Names::ask(&mesh).await)?;
    }
    let draft = not_before.map_or(draft.clone(), |time| draft.not_before(time));
    let envelope = mesh.sign(complete(draft, args, expiry))?;
    let id = envelope.attributes.get("id").unwrap_or_default().to_owned();
    let sent = mesh.send(envelope).await?;
    let is_new = args.conversation.as_deref().is_none_or(|text| text == "new");
    let extra = conversation.map_or(json!({}), |conversation| json!({"conversation": conversation}));
    report_sent(context.format(), sent, &id, &extra)?;
    match conversation.filter(|_| is_new && context.format().is_table()) {
        Some(conversation) => crate::cli::output::say(&format!("conversation {conversation}")),
        None => Ok(()),
    }
}

fn complete(mut draft: Draft, args: &Args, expiry: Option<Timestamp>) -> Draft {
    if !args.parents.is_empty() {
        draft = draft.parents(&args.parents);
    }
    if let Some(id) = &args.reply_to_id {
        draft = draft.in_reply_to(id);
    }
    if let Some(expiry) = expiry {
        draft = draft.expires(expiry);
    }
    if let Some(priority) = args.priority {
        draft = draft.priority(priority);
    }
    if args.durable {
        draft = draft.ack_level("durable");
    }
    draft
}

async fn conversation_of(mesh: &Mesh, args: &Args) -> Result<Option<ConversationId>> {
    match args.conversation.as_deref() {
        Some("new") => Ok(Some(new_conversation_id()?)),
        None if args.new_conversation => Ok(Some(new_conversation_id()?)),
        None if args.protocol.is_some() => Err(Failure::usage("a protocol is followed in a conversation")
            .next("add --new-conversation, or --conversation ID")
            .into()),
        None => Ok(None),
        Some(text) => Ok(Some(conversation::resolve(mesh, text).await?)),
    }
}

/// The protocol named, else that of the conversation.
async fn protocol_of(mesh: &Mesh, args: &Args, id: &ConversationId) -> Result<PinnedName> {
    if let Some(name) = &args.protocol {
        return Ok(mesh.get_protocol(name).await?.name);
    }
    if args.new_conversation || args.conversation.as_deref() == Some("new") {
        let next = "name one with --protocol; `openmesh protocol ls` lists them";
        return Err(Failure::usage("a new conversation follows a protocol").next(next).into());
    }
    conversation::protocol_of(mesh, id).await
}

fn invite(draft: Draft, invitations: &[String], names: &Names) -> Result<Draft> {
    let mut invited: Vec<(&str, AgentId)> = Vec::new();
    for invitation in invitations {
        let (role, agent) = invitation
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--invite {invitation}: write ROLE=AGENT")))?;
        invited.push((role, names.resolve(agent)?));
    }
    Ok(draft.invite(&invited))
}
