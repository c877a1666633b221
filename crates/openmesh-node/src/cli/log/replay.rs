//! `openmesh log replay`: decides conversations again and compares with what was decided then.

use super::offline;
use crate::cli::context::Context;
use crate::cli::exit_code::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{progress, remark, say};
use anyhow::Result;
use openmesh_core::record::Record;
use openmesh_core::replay::{Divergence, Replay};
use openmesh_core::{Partition, View};
use openmesh_message::ConversationId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Replays.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh log replay --all
  $ openmesh log replay 0191e8c4-5a3f-7c11-9d2b-3f4a5b6c7d8e --data ./node    exit code 6 if it differs")]
pub(crate) struct Args {
    /// The conversation.
    #[arg(required_unless_present = "all")]
    conversation: Option<ConversationId>,
    /// Every conversation in the log.
    #[arg(long, conflicts_with = "conversation")]
    all: bool,
    /// The node's folder [default: that of the node in the home folder].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// One conversation after its replay.
struct Replayed {
    conversation: ConversationId,
    steps: u64,
    /// Steps that rest on messages that were erased or let go.
    undecided: u64,
    state: String,
    divergence: Option<Divergence>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let (log, opened) = offline::open(&offline::folder(args.data.as_deref(), context)?)?;
    let beginning = offline::beginning(&log, &opened)?;
    let known_seq = beginning.map_or(0, |beginning| beginning.position.seq);
    let state = beginning.map(|beginning| beginning.state.as_slice());
    let mut partition = offline::partition(state, offline::domain(context))?;
    let mut steps: BTreeMap<ConversationId, Vec<Record>> = BTreeMap::new();
    let bar = progress(log.head_seq(), "reading");
    let lost = offline::records(&log, 1, |record| {
        bar.inc(1);
        if record.header.position.seq > known_seq {
            partition.recover(&record);
        }
        let conversation = record.step().map(|step| step.conversation);
        if let Some(id) = conversation.filter(|id| args.conversation.is_none_or(|wanted| wanted == *id)) {
            steps.entry(id).or_default().push(record);
        }
        Ok(true)
    })?;
    bar.finish_and_clear();
    if lost > 0 {
        remark(&format!("{lost} records are damaged: what rests on them will differ"));
    }
    if let Some(wanted) = args.conversation.filter(|_| steps.is_empty()) {
        return Err(Failure::not_found(format!("conversation {wanted} is not in the log")).into());
    }
    let replayed = replay_all(&partition, &steps);
    report(&replayed, context)
}

fn replay_all(partition: &Partition, steps: &BTreeMap<ConversationId, Vec<Record>>) -> Vec<Replayed> {
    let view = partition.view();
    let bar = progress(steps.len() as u64, "replaying");
    let replayed = steps.iter().map(|(id, records)| {
        bar.inc(1);
        replay(*id, records, &view)
    });
    let replayed = replayed.collect();
    bar.finish_and_clear();
    replayed
}

fn replay(conversation: ConversationId, records: &[Record], view: &View) -> Replayed {
    let mut replay = Replay::new(conversation, &view.catalog, &view.directory);
    let divergence = records.iter().find_map(|record| replay.step(record).err());
    let state = replay.state().map(openmesh_core::Conversation::text).unwrap_or_default();
    Replayed { conversation, steps: replay.steps(), undecided: replay.undecided(), state, divergence }
}

fn report(replayed: &[Replayed], context: &Context) -> Result<()> {
    let rows: Vec<Value> = replayed
        .iter()
        .map(|one| {
            json!({
                "conversation": one.conversation, "steps": one.steps, "undecided": one.undecided, "state": one.state,
                "agrees": one.divergence.is_none(),
                "divergence": one.divergence.as_ref().map(|why| json!({"seq": why.seq, "what": why.what})),
            })
        })
        .collect();
    let diverged = replayed.iter().filter(|one| one.divergence.is_some()).count();
    let steps: u64 = replayed.iter().map(|one| one.steps).sum();
    if context.format().is_table() {
        for one in replayed {
            match &one.divergence {
                Some(divergence) => say(&format!("{}  differs at {divergence}", one.conversation))?,
                None if one.undecided > 0 => say(&format!(
                    "{}  {} steps agree, {} rest on what was erased or let go",
                    one.conversation, one.steps, one.undecided
                ))?,
                None => say(&format!("{}  {} steps agree", one.conversation, one.steps))?,
            }
        }
        if diverged == 0 {
            say(&format!("replayed {} conversations: all {steps} steps agree", replayed.len()))?;
        }
    } else {
        context.format().listing(&[], &rows, |_| Vec::new())?;
    }
    if diverged == 0 {
        return Ok(());
    }
    let what = format!("{diverged} of {} conversations differ from the log", replayed.len());
    let next = "check the log itself with `openmesh log verify`";
    Err(Failure::new(Exit::Damaged, what).next(next).into())
}
