//! `openmesh inbox recall`: takes back a message that nobody has read.

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use anyhow::Result;
use openmesh_message::Digest;
use openmesh_sdk::{LogFilter, Mesh, SignedReceipt};
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh inbox recall 0190c9a0-0000-7000-8000-000000000001 --as alice
The id is the one that `openmesh send` printed; `openmesh log query --agent alice` has it, too.")]
pub(crate) struct RecallArgs {
    /// The id of the message.
    id: String,
}

/// Calls back a message of this agent.
pub(super) async fn recall(args: &RecallArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let receipt = receipt_of(&mesh, &args.id).await?;
    mesh.recall(&receipt, &args.id).await?;
    mesh.close().await;
    let line = format!("recalled {}: nobody had taken it", args.id);
    context.format().outcome(&line, &json!({"recalled": true, "id": args.id}))
}

/// The receipt of a message of this agent, found in the log by its id.
async fn receipt_of(mesh: &Mesh, id: &str) -> Result<SignedReceipt> {
    let kind = Some("message".to_owned());
    let filter = LogFilter { id: Some(id.to_owned()), agent: Some(mesh.id()), kind, ..LogFilter::default() };
    let own = mesh.id().to_string();
    let mut pages = mesh.query_log(filter);
    while let Some(page) = pages.next_page().await? {
        let digest = page.iter().find(|record| record.get("sender").and_then(Value::as_str) == Some(&own));
        let digest =
            digest.and_then(|record| record.pointer("/message/digest")?.as_str()?.parse::<Digest>().ok());
        if let Some(digest) = digest
            && let Some(receipt) = mesh.receipt(&digest, id).await?
        {
            return Ok(receipt);
        }
    }
    let next = "`openmesh log query --agent NAME --kind message` lists what you sent";
    Err(Failure::not_found(format!("you sent no message {id} that is kept")).next(next).into())
}
