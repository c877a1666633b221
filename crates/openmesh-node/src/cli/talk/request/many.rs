//! `openmesh req --many`: asks a topic or several agents and gathers the final answers until the deadline.

use super::{Args, draft};
use crate::cli::context::{Context, Names};
use crate::cli::exit_code::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{cut, remark, text};
use crate::cli::talk::{Payload, message_row};
use anyhow::Result;
use serde_json::{Value, json};

/// Characters of a payload that a row shows.
const PAYLOAD_CHARS_MAX: usize = 80;

/// Prints who answered what; no answer at all is a failure.
pub(super) async fn request(args: &Args, context: &Context) -> Result<()> {
    let payload = Payload::read(&args.payload)?;
    let mesh = context.connect().await?;
    let asked: Vec<&str> = args.to.split(',').filter(|to| !to.is_empty()).collect();
    let mut drafts = Vec::with_capacity(asked.len());
    for to in &asked {
        drafts.push(draft(&mesh, args, to, &payload).await?);
    }
    let gathered = mesh.request_many(drafts, args.deadline, args.replies.unwrap_or(usize::MAX)).await?;
    let names = Names::ask(&mesh).await;
    mesh.close().await;
    for (request, problem) in &gathered.refused {
        remark(&format!("{} was not asked: {problem}", asked.get(*request).unwrap_or(&"?")));
    }
    let rows: Vec<Value> = gathered
        .answers
        .iter()
        .map(|answer| {
            message_row(&answer.reply, &json!({"from": answer.from, "asked": asked.get(answer.request)}))
        })
        .collect();
    if rows.is_empty() {
        let what =
            format!("nobody answered within {:?}: whether anybody works on it is not known", args.deadline);
        let next = "raise --within, or ask again";
        return Err(Failure::new(Exit::Unknown, what).next(next).into());
    }
    context.format().listing(&["from", "act", "payload"], &rows, |row| {
        let payload = cut(&names.replace_in(&text(row, "/payload")), PAYLOAD_CHARS_MAX);
        vec![names.show(&text(row, "/from")), text(row, "/attributes/performative"), payload]
    })
}
