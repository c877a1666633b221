//! `openmesh sign`: completes and signs a message written as JSON, for whatever carries it from there.

use super::context::Context;
use super::exit_code::Exit;
use super::failure::Failure;
use super::output::say;
use super::talk::read_bytes;
use anyhow::{Context as _, Result};
use openmesh_message::json::Document;
use openmesh_message::{
    Attributes, Authority, ControlAttributes, Defaults, DomainId, Envelope, NameRange, Proof, cloudevents,
};
use openmesh_schema::Catalog;
use openmesh_sdk::{AgentId, Mesh, new_message_id, now};

/// Signs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh sign message.json --as alice > signed.json
  $ echo '{\"to\": \"agent:bob\", \"data\": {\"hello\": 1}}' | openmesh sign --as alice --domain bnvhlpulpou…
  $ openmesh sign contract.json --as seller-3 | curl -H 'Authorization: Bearer omt_…' \\
      -H 'Content-Type: application/cloudevents+json' --data-binary @- http://127.0.0.1:7448/v1/messages
  $ openmesh sign --check signed.json                 exit code 6 if the signature does not fit

What is missing is filled in: id, source, time, specversion, type, performative, datacontenttype. Addresses may be
relative (agent:bob, topic:a/b), schemas and protocols names or ranges (market/rfp@^1): those that ship with the
program are known, for others a node is asked.")]
pub(crate) struct Args {
    /// The message as a CloudEvent in JSON; - is stdin.
    #[arg(default_value = "-")]
    file: String,
    /// Check the signature of a message instead of making one.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<()> {
    let bytes = read_bytes(&args.file, "the message")?;
    let envelope = cloudevents::from_json(&bytes).map_err(|why| {
        let next = "a message is one JSON object, as {\"to\": \"agent:bob\", \"data\": {…}}";
        Failure::usage(format!("the message cannot be read: {why}")).next(next)
    })?;
    if args.check { check(&envelope, context) } else { context.run(sign(envelope, context)) }
}

async fn sign(mut envelope: Envelope, context: &Context) -> Result<()> {
    let agent = context.agent()?;
    if envelope.proof.is_some() {
        let next = "leave out its `proof` to sign it anew";
        return Err(Failure::usage("the message is signed already").next(next).into());
    }
    let domain = domain(context)?;
    resolve_names(&mut envelope, domain, context).await?;
    let id = new_message_id()?;
    let defaults = Defaults { domain, source: agent.id(), id: &id, time: now() };
    defaults.complete(&mut envelope).map_err(|why| Failure::usage(why.to_string()))?;
    let control = ControlAttributes::parse(&envelope.attributes)
        .map_err(|why| Failure::usage(format!("a node would refuse the message: {why}")))?;
    if control.source != agent.id() {
        let what =
            format!("the message names {} as its source; {} is {}", control.source, agent.name, agent.id());
        return Err(Failure::usage(what).next("leave `source` out, or be that agent with --as").into());
    }
    check_payload(&envelope, &control)?;
    envelope.proof = Some(Proof::sign(&agent.key, &envelope.digest()));
    say(&cloudevents::to_json(&envelope))
}

/// What a node would check, as far as the schema ships with the program.
fn check_payload(envelope: &Envelope, control: &ControlAttributes) -> Result<()> {
    let shipped = Catalog::builtin();
    let Some(schema) = control.schema.as_ref().and_then(|pinned| shipped.schema(&pinned.digest)) else {
        return Ok(());
    };
    let refused = |why: String| Failure::usage(format!("a node would refuse the payload: {why}"));
    let payload = Document::read(&envelope.payload).map_err(|why| refused(why.to_string()))?;
    schema.validate(&payload).map_err(|violations| {
        let first =
            violations.first().map(|violation| format!("{}: {}", violation.pointer, violation.message));
        refused(first.unwrap_or_default())
            .next(format!("see `openmesh schema get {}`", schema.pinned().versioned))
    })?;
    Ok(())
}

fn check(envelope: &Envelope, context: &Context) -> Result<()> {
    let broken = |what: String| Failure::new(Exit::Damaged, what);
    let source: AgentId = envelope
        .attributes
        .get("source")
        .and_then(|source| source.parse().ok())
        .ok_or_else(|| broken("the message names no agent as its `source`".to_owned()))?;
    let proof = envelope.proof.as_ref().ok_or_else(|| broken("the message is not signed".to_owned()))?;
    let digest = envelope.digest();
    proof.verify(proof.keyid(), &digest).map_err(|why| broken(why.to_string()))?;
    if *proof.keyid() != source {
        let what =
            format!("the signature fits, and is by {}, which is not the sender {source}", proof.keyid());
        let next = format!("`openmesh agent show {source}` says which keys its node keeps for it");
        return Err(broken(what).next(next).into());
    }
    let row = serde_json::json!({"source": source, "digest": digest, "alg": proof.alg()});
    context.format().outcome(&format!("signed by {source}: {digest}"), &row)
}

fn domain(context: &Context) -> Result<DomainId> {
    match context.known_domain()? {
        Some(domain) => Ok(domain),
        None => Err(Failure::usage("which domain the message is for is not known")
            .next("name it with --domain ID; `openmesh up` prints it")
            .into()),
    }
}

/// Pins names and ranges: from what ships with the program, else by asking a node.
async fn resolve_names(envelope: &mut Envelope, domain: DomainId, context: &Context) -> Result<()> {
    let mut resolved = Attributes::default();
    let mut mesh = None;
    for (name, value) in envelope.attributes.iter() {
        let is_short = !value.contains(':');
        let pinned = match name {
            "dataschema" if is_short => Some(resolve(Kind::Schema, value, domain, context, &mut mesh).await?),
            "protocol" if is_short => Some(resolve(Kind::Protocol, value, domain, context, &mut mesh).await?),
            _ => None,
        };
        resolved.set(name, pinned.as_deref().unwrap_or(value))?;
    }
    envelope.attributes = resolved;
    if let Some(mesh) = mesh {
        mesh.close().await;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    Schema,
    Protocol,
}

async fn resolve(
    kind: Kind,
    text: &str,
    domain: DomainId,
    context: &Context,
    mesh: &mut Option<Mesh>,
) -> Result<String> {
    let asked = if text.contains('@') { text.to_owned() } else { format!("{text}@*") };
    let range =
        NameRange::parse(&asked, Authority::Domain(domain)).map_err(|why| Failure::usage(why.to_string()))?;
    let shipped = Catalog::builtin();
    let known = match kind {
        Kind::Schema => shipped.resolve(&range).map(|pinned| pinned.to_schema_uri()),
        Kind::Protocol => shipped.resolve_protocol(&range).map(|pinned| pinned.to_protocol_uri()),
    };
    if let Some(known) = known {
        return Ok(known);
    }
    if mesh.is_none() {
        let connected = context.connect().await;
        *mesh =
            Some(connected.with_context(|| format!("which version of {text} is meant, a node must say"))?);
    }
    let Some(mesh) = mesh else { return Ok(text.to_owned()) };
    Ok(match kind {
        Kind::Schema => mesh.get_schema(text).await?.name.to_schema_uri(),
        Kind::Protocol => mesh.get_protocol(text).await?.name.to_protocol_uri(),
    })
}
