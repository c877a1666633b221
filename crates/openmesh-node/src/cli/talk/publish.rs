//! `openmesh pub`: messages to a topic.

use super::{Payload, receipt_row, report_sent, topic_address, unknown};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::progress;
use anyhow::Result;
use openmesh_message::PinnedName;
use openmesh_sdk::{Envelope, Mesh, Performative, Sent};
use serde_json::json;
use std::time::Instant;

/// Messages signed and sent together.
const BATCH_MESSAGES: u64 = 256;

/// Publishes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh pub news/today 'hello'
  $ openmesh pub market/rfp @rfp.json --schema market/rfp@v1.0.0 --durable
  $ date | openmesh pub clock/tick -
  $ openmesh pub load/test 'message %n' --count 1000")]
pub(crate) struct Args {
    /// The topic, as in news/today.
    topic: String,
    /// The payload: text, @file, or - for stdin; what is JSON is sent as JSON.
    payload: String,
    /// The payload's schema: a name, a range as market/rfp@^1, or a digest.
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// What the message does.
    #[arg(long, default_value = "inform", value_name = "ACT")]
    performative: Performative,
    /// Accept nothing less than the message being kept; the topic must be pinned.
    #[arg(long)]
    durable: bool,
    /// Publish so many messages; %n in the payload becomes each one's number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<()> {
    context.run(publish(&args, context))
}

async fn publish(args: &Args, context: &Context) -> Result<()> {
    let payload = Payload::read(&args.payload)?;
    let mesh = context.connect().await?;
    let schema = match &args.schema {
        Some(name) => Some(mesh.get_schema(name).await?.name),
        None => None,
    };
    let Some(count) = args.count else {
        let envelope = message(&mesh, args, &payload, schema.as_ref())?;
        let id = envelope.attributes.get("id").unwrap_or_default().to_owned();
        let sent = mesh.send(envelope).await?;
        return report_sent(context.format(), sent, &id, &json!({}));
    };
    let sending = Sending { mesh: &mesh, args, payload, schema };
    sending.send_all(count, context).await
}

fn message(mesh: &Mesh, args: &Args, payload: &Payload, schema: Option<&PinnedName>) -> Result<Envelope> {
    Ok(mesh.sign(draft(mesh, args, payload, schema)?)?)
}

fn draft(
    mesh: &Mesh,
    args: &Args,
    payload: &Payload,
    schema: Option<&PinnedName>,
) -> Result<openmesh_sdk::Draft> {
    let mut draft = payload.put_into(mesh.draft(&topic_address(&args.topic), &args.performative)?);
    if let Some(schema) = schema {
        draft = draft.schema(schema);
    }
    if args.durable {
        draft = draft.ack_level("durable");
    }
    Ok(draft)
}

/// Many messages, in batches.
struct Sending<'a> {
    mesh: &'a Mesh,
    args: &'a Args,
    payload: Payload,
    schema: Option<PinnedName>,
}

impl Sending<'_> {
    async fn send_all(&self, count: u64, context: &Context) -> Result<()> {
        let bar = progress(count, "publishing");
        let started = Instant::now();
        let (mut kept, mut passed, mut last) = (0_u64, 0_u64, None);
        let mut next = 1;
        while next <= count {
            let batch = next..=count.min(next + BATCH_MESSAGES - 1);
            next = batch.end() + 1;
            let drafts = batch.map(|number| self.numbered(number)).collect::<Result<Vec<_>>>()?;
            for sent in self.mesh.send_batch(self.mesh.sign_batch(drafts)?).await? {
                match sent {
                    Sent::Accepted(signed) => {
                        kept += 1;
                        last = Some(receipt_row(&signed));
                    }
                    Sent::Passed => passed += 1,
                    Sent::Rejected(problem) => return Err(problem.into()),
                    Sent::Unknown => return Err(unknown()),
                }
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        let seconds = started.elapsed().as_secs_f64().max(0.001);
        let rate = count as f64 / seconds;
        let line = match (kept, passed) {
            (kept, 0) => format!("published {kept} messages, all kept, in {seconds:.2} s ({rate:.0}/s)"),
            (0, passed) => {
                format!("published {passed} messages to an ephemeral topic in {seconds:.2} s ({rate:.0}/s)")
            }
            (kept, passed) => format!("published {kept} kept and {passed} ephemeral messages"),
        };
        let row =
            json!({"published": count, "accepted": kept, "passed": passed, "seconds": seconds, "last": last});
        context.format().outcome(&line, &row)
    }

    fn numbered(&self, number: u64) -> Result<openmesh_sdk::Draft> {
        let (Payload::Json(bytes) | Payload::Text(bytes)) = &self.payload;
        let text = std::str::from_utf8(bytes).map_err(|_| Failure::usage("the payload is not UTF-8"))?;
        let payload = Payload::of(text.replace("%n", &number.to_string()).into_bytes())?;
        draft(self.mesh, self.args, &payload, self.schema.as_ref())
    }
}
