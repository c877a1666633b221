//! `openmesh log inspect`: what a log holds, and the state it leads to.

use super::offline;
use crate::cli::context::Context;
use crate::cli::output::{remark, say};
use anyhow::Result;
use openmesh_core::{Conversation, EntryState, Inbox, Partition};
use openmesh_message::AgentId;
use openmesh_store::{LogReader, ReadOnlyReport};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Inspects.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh log inspect
  $ openmesh log inspect --data ./node --state               inboxes, conversations, timers as JSON
  $ openmesh log inspect --data ./node --state --no-snapshot the same, from the log alone")]
pub(crate) struct Args {
    /// The node's folder [default: that of the node in the home folder].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print the state that the log leads to, as JSON.
    #[arg(long)]
    state: bool,
    /// Do not begin with the last snapshot: read the log from its first record.
    #[arg(long, requires = "state")]
    no_snapshot: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let (log, report) = offline::open(&offline::folder(args.data.as_deref(), context)?)?;
    if args.state {
        let state = state(args, &log, &report, context)?;
        return if context.format().is_table() {
            say(&serde_json::to_string_pretty(&state)?)
        } else {
            context.format().outcome("", &state)
        };
    }
    let summary = summary(&log, &report)?;
    if !context.format().is_table() {
        return context.format().outcome("", &summary);
    }
    let fields = summary.as_object().into_iter().flatten();
    fields.filter(|(_, value)| !value.is_null()).try_for_each(|(name, value)| say_field(name, value))
}

fn say_field(name: &str, value: &Value) -> Result<()> {
    match value {
        Value::Object(counts) => {
            counts.iter().try_for_each(|(kind, count)| say(&format!("{name:<18}{count} {kind}")))
        }
        Value::Array(lines) => {
            lines.iter().try_for_each(|line| say(&format!("{name:<18}{}", line.as_str().unwrap_or_default())))
        }
        Value::String(text) => say(&format!("{name:<18}{text}")),
        other => say(&format!("{name:<18}{other}")),
    }
}

/// Counts by kind, and how the log ends.
fn summary(log: &LogReader, report: &ReadOnlyReport) -> Result<Value> {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut total, mut erased, mut first, mut last) = (0_u64, 0_u64, None, None);
    let lost = offline::records(log, 1, |record| {
        total += 1;
        erased += u64::from(record.is_erased());
        *kinds.entry(record.header.outcome.kind()).or_default() += 1;
        first = first.or(Some(record.header.at));
        last = Some(record.header.at);
        Ok(true)
    })?;
    let findings: Vec<_> = match report.report.is_clean() {
        true => Vec::new(),
        false => report.report.to_string().lines().map(str::to_owned).collect(),
    };
    Ok(json!({
        "records": total,
        "erased": Some(erased).filter(|erased| *erased > 0),
        "first_seq": Some(log.first_seq()).filter(|first_seq| *first_seq > 1),
        "kinds": kinds,
        "lost": lost,
        "head": report.head.map(|head| head.to_string()),
        "first_at": first.map(|at| at.to_string()),
        "last_at": last.map(|at| at.to_string()),
        "snapshot_at": report.snapshot.as_ref().map(|snapshot| snapshot.position.to_string()),
        "closed_cleanly": report.clean,
        "writer_running": report.writer_running,
        "findings": findings,
    }))
}

fn state(args: &Args, log: &LogReader, report: &ReadOnlyReport, context: &Context) -> Result<Value> {
    let beginning = offline::beginning(log, report)?;
    if beginning.is_some() && args.no_snapshot {
        remark("the first records were let go: the state begins with a checkpoint all the same");
    }
    let snapshot = report.snapshot.as_ref().filter(|_| !args.no_snapshot || beginning.is_some());
    let bytes = snapshot.map(|snapshot| snapshot.state.as_slice());
    let mut partition = offline::partition(bytes, offline::domain(context))?;
    let from_seq = snapshot.map_or(1, |snapshot| snapshot.position.seq + 1);
    let mut applied = 0_u64;
    let lost = offline::records(log, from_seq, |record| {
        partition.recover(&record);
        applied += 1;
        Ok(true)
    })?;
    if lost > 0 {
        remark(&format!("{lost} records are damaged: the state lacks what they did"));
    }
    let mut row = render(&partition);
    if let Value::Object(row) = &mut row {
        row.insert("snapshot".to_owned(), json!(snapshot.map(|snapshot| snapshot.position.to_string())));
        row.insert("applied".to_owned(), json!(applied));
        row.insert("lost".to_owned(), json!(lost));
    }
    Ok(row)
}

fn render(partition: &Partition) -> Value {
    let (state, view) = (partition.state(), partition.view());
    let conversations: Vec<_> = state
        .conversations()
        .map(|(_, conversation)| {
            let protocol = view.catalog.protocol(&conversation.protocol.digest);
            let deadline = protocol.and_then(|protocol| protocol.next_deadline(conversation));
            render_conversation(conversation, deadline.map(|at| at.millis()))
        })
        .collect();
    let timers: Vec<_> = state.conversations().flat_map(|(_, conversation)| timers(conversation)).collect();
    let inboxes: Vec<_> = state.inboxes().map(|(agent, inbox)| render_inbox(agent, inbox)).collect();
    let dedup: BTreeMap<String, usize> =
        state.remembered_ids().map(|(agent, count)| (agent.to_string(), count)).collect();
    let agents: BTreeMap<String, String> =
        view.directory.iter().map(|(id, agent)| (id.to_string(), agent.name.to_string())).collect();
    let pinned: Vec<_> = view.topics.pinned().map(ToString::to_string).collect();
    json!({
        "head": state.head().map(|head| head.to_string()),
        "next_seq": partition.next_seq(),
        "agents": agents,
        "pinned": pinned,
        "inboxes": inboxes,
        "conversations": conversations,
        "timers": timers,
        "dedup": dedup,
    })
}

fn render_inbox(agent: &AgentId, inbox: &Inbox) -> Value {
    let entries: Vec<_> = inbox
        .entries()
        .map(|(number, entry)| {
            let (state, token, until) = match entry.state {
                EntryState::Ready => ("ready", None, None),
                EntryState::Delayed(until) => ("delayed", None, Some(until.millis())),
                EntryState::Leased(token, until) => ("leased", Some(token), Some(until.millis())),
            };
            json!({
                "number": number, "seq": entry.seq, "notice": entry.notice, "attempts": entry.attempts,
                "expiry": entry.expiry.map(|at| at.millis()), "state": state, "token": token, "until": until,
            })
        })
        .collect();
    json!({"agent": agent, "counts": inbox.counts(), "last_token": inbox.last_token(), "entries": entries})
}

fn render_conversation(conversation: &Conversation, next_deadline: Option<i64>) -> Value {
    let instances: Vec<_> = conversation
        .instances
        .iter()
        .map(|slot| json!({"machine": slot.machine, "agent": slot.agent, "state": slot.instance.state}))
        .collect();
    let members: Vec<_> =
        conversation.bound.iter().map(|bound| json!({"agent": bound.agent, "role": bound.role})).collect();
    json!({
        "id": conversation.id, "protocol": conversation.protocol.to_string(), "state": conversation.text(),
        "round": conversation.round.state, "instances": instances, "members": members,
        "ended": conversation.ended.map(|outcome| outcome.as_str()), "next_deadline": next_deadline,
    })
}

/// The timers of a conversation that are set.
fn timers(conversation: &Conversation) -> Vec<Value> {
    let round = std::iter::once(("round", None, conversation.round.deadline));
    let slots = conversation.instances.iter();
    let slots = slots.map(|slot| (&*slot.machine, Some(slot.agent), slot.instance.deadline));
    let set = round.chain(slots).filter_map(|(machine, agent, at)| Some((machine, agent, at?)));
    set.map(|(machine, agent, at)| {
        json!({"conversation": conversation.id, "machine": machine, "agent": agent, "at": at.millis()})
    })
    .collect()
}
