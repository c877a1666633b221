//! What a plan shows: first what time did, then each effect, one line each, with names for ids.

use crate::making::conversation;
use crate::stage::Stage;
use openmesh_core::record::{Outcome, Record, to_json};
use openmesh_core::{
    Begin, Effect, LeasedItem, Looking, Plan, Rejection, Sealed, SeenItem, Stored, Wanted, as_seen_by,
    may_read,
};
use openmesh_message::frame::{HeldState, LogFilter, Reply};
use openmesh_message::{AgentId, Receipt};
use openmesh_policy::Authenticity;

pub(crate) fn plan(stage: &Stage, plan: &Plan) -> Vec<String> {
    let first = stage.log.len() - plan.records.len();
    let records = stage.log.iter().skip(first);
    let records = records.filter_map(|record| happened(stage, record));
    records.chain(plan.effects.iter().filter_map(|effect| shown(stage, effect))).collect()
}

/// Records that no effect speaks of.
fn happened(stage: &Stage, record: &Record) -> Option<String> {
    match &record.header.outcome {
        Outcome::Fired { step, puts } => {
            let told: Vec<_> = puts.iter().map(|put| name(stage, &put.agent)).collect();
            Some(format!("fired {}, told {}", named(stage, &step.transition.summary()), told.join(" ")))
        }
        Outcome::Settled { agent, settlement } => {
            let returned: Vec<_> = settlement.returned.iter().map(|(number, _)| *number).collect();
            Some(format!(
                "settled {}: done {:?} back {returned:?} expired {:?} dead {:?}",
                name(stage, agent),
                settlement.acknowledged,
                settlement.expired,
                settlement.dead_lettered
            ))
        }
        Outcome::Recalled { agent, number } => Some(format!("recalled {number} of {}", name(stage, agent))),
        Outcome::PolicyChanged { .. } => Some("policy changed".to_owned()),
        Outcome::EpochBegun { .. } => Some(format!("epoch {} begun", record.header.position.epoch)),
        _ => None,
    }
}

/// Whoever asks is shown just what it sees of each record, read from what is stored.
fn assert_asked_for_is_the_same(stage: &Stage, reader: &AgentId) {
    let view = stage.view();
    let mut looking = Looking::new(&view, *reader, &LogFilter::default(), stage.now, usize::MAX);
    for (record, sealed) in stage.log.iter().zip(&stage.stored) {
        let Sealed { header, salt, body, .. } = sealed;
        let shown = looking.show(Stored { header, salt, body, is_erased: false }).unwrap();
        let seen = may_read(&view, reader, record, stage.now).then(|| as_seen_by(&view, reader, record));
        let shown = shown.map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap());
        assert_eq!(shown, seen.map(|seen| to_json(&seen)));
    }
}

/// What an agent is shown of each record that it may read.
pub(crate) fn seen(stage: &Stage, reader: &str) -> Vec<String> {
    let (view, reader) = (stage.view(), stage.agents[reader].key.id());
    assert_asked_for_is_the_same(stage, &reader);
    let readable = stage.log.iter().filter(|record| may_read(&view, &reader, record, stage.now));
    let lines = readable.map(|record| {
        let seen = as_seen_by(&view, &reader, record);
        let row = to_json(&seen);
        let logs: Vec<_> = seen.header.logs.iter().map(ToString::to_string).collect();
        let step =
            row.pointer("/outcome/step/summary").and_then(serde_json::Value::as_str).unwrap_or_default();
        let inboxes = seen.puts().iter().map(|put| format!("{}:{}", put.agent, put.number));
        let inboxes: Vec<_> = inboxes.collect();
        let body = ["message", "text"].iter().find(|part| row.get(**part).is_some());
        let body = body.map(|part| format!(" with its {part}")).unwrap_or_default();
        let sender = seen.header.sender.map(|sender| format!(" by {sender}")).unwrap_or_default();
        let said = format!(
            "{} {}{sender}{body} in {} | {step} | {}",
            seen.header.position.seq,
            seen.header.outcome.kind(),
            logs.join(" "),
            inboxes.join(" ")
        );
        named(stage, &said).trim_end_matches([' ', '|']).to_owned()
    });
    lines.collect()
}

fn shown(stage: &Stage, effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Accept(_, receipt) => accepted(stage, receipt),
        Effect::AcceptAgain(_, taken) => format!("again as {}", position(stage, taken.seq)),
        Effect::FetchReceipt(_, taken) => format!("receipt of {}", position(stage, taken.seq)),
        Effect::Pass { .. } => "passed".to_owned(),
        Effect::Reject(_, rejection) | Effect::Reply(_, Err(rejection)) => refused(stage, rejection),
        Effect::Reply(_, Ok(reply)) => replied(reply),
        Effect::Deliver(deliver) => {
            let id = deliver.envelope.attributes.get("id").unwrap_or_default();
            format!("delivered to {} {}: {id}", stage.name_of(deliver.connection), deliver.subscription)
        }
        Effect::Lease { ticket, token, items } => {
            let items: Vec<_> = items.iter().map(|item| leased(stage, item)).collect();
            format!("leased to {} token {token}: {}", stage.name_of(ticket.connection), items.join(" "))
        }
        Effect::CatchUp { subscription, pattern, begin: Begin::After(seq), .. } => {
            format!("catch up {subscription} {} after {seq}", pattern.as_str())
        }
        Effect::CatchUp { subscription, pattern, begin: Begin::Since(time), .. } => {
            format!("catch up {subscription} {} since {}", pattern.as_str(), stage.ms(*time))
        }
        Effect::Peek { items, next_after_number, .. } => {
            let items: Vec<_> = items.iter().map(|item| peeked(stage, item)).collect();
            let next = next_after_number.map(|number| format!(", more after {number}"));
            format!("seen {}{}", items.join(" "), next.unwrap_or_default())
        }
        Effect::Query { question, .. } => {
            format!("query after {}, at most {}", question.after_seq, question.records_max)
        }
        Effect::Erase { message, .. } => format!("find {message} to erase"),
        Effect::ReloadPolicy(_) => "reload policy".to_owned(),
        Effect::Shorten(shorten) => format!("shortcut of {}", stage.name_of(shorten.connection)),
        Effect::PublishView | Effect::Unsubscribe(..) | Effect::Stream(..) | Effect::EndShortcuts(_) => {
            return None;
        }
    })
}

fn accepted(stage: &Stage, receipt: &Receipt) -> String {
    let Some(position) = receipt.position else { return "accepted, not kept".to_owned() };
    let logs: Vec<_> = receipt.logs.iter().map(|log| named(stage, &log.to_string())).collect();
    let record = stage.log.iter().find(|record| record.header.position == position);
    let how = match record.map(|record| &record.header.outcome) {
        Some(Outcome::Accepted(accepted)) if accepted.authenticity != Authenticity::Signed => {
            format!(" ({})", accepted.authenticity)
        }
        _ => String::new(),
    };
    format!("accepted {position} {}{how}", logs.join(" "))
}

fn refused(stage: &Stage, rejection: &Rejection) -> String {
    let problem = rejection.to_problem();
    let mut text = format!("refused {}", problem.code);
    if let Some(state) = &problem.state {
        text.push_str(&format!(" in {}", named(stage, state)));
    }
    let allowed: Vec<_> = problem.allowed_next.iter().map(|next| next.performative.as_str()).collect();
    if !allowed.is_empty() {
        text.push_str(&format!(", allowed {}", allowed.join(" ")));
    }
    text
}

fn replied(reply: &Reply) -> String {
    match reply {
        Reply::Done => "done".to_owned(),
        Reply::Issued { agent, custodial_key } => {
            let whose = if *custodial_key == Some(*agent) { "its only key" } else { "a key" };
            let signs = custodial_key.map_or_else(String::new, |_| format!(", node signs with {whose}"));
            format!("issued{signs}")
        }
        Reply::Leased(_) => "no mail".to_owned(),
        Reply::Inbox(counts) => format!(
            "accepted {} = pending {} + acknowledged {} + expired {} + dead {} + recalled {}",
            counts.accepted,
            counts.pending,
            counts.acknowledged,
            counts.expired,
            counts.dead_lettered,
            counts.recalled
        ),
        Reply::Definition { name, .. } => {
            let name = name.split('#').next().unwrap_or_default();
            format!("definition {}", name.split_once('/').map_or(name, |(_, rest)| rest))
        }
        Reply::Rows(rows) if rows.iter().any(|row| row.contains("\"retention\"")) => rows.join("\n> "),
        Reply::Rows(rows) => format!("{} rows", rows.len()),
        Reply::Receipt(receipt) => format!("receipt: {}", receipt.is_some()),
        other => format!("{other:?}"),
    }
}

fn leased(stage: &Stage, item: &LeasedItem) -> String {
    let record = stage.log.iter().find(|record| record.header.position.seq == item.seq);
    let id = record.and_then(Record::message).and_then(|message| message.attributes.get("id"));
    let what = if item.put.notice.is_some() { "notice" } else { id.unwrap_or("?") };
    format!("{}={what}({})", item.put.number, item.attempt)
}

fn peeked(stage: &Stage, item: &SeenItem) -> String {
    let leased = LeasedItem { seq: item.seq, put: item.put.clone(), attempt: item.attempts };
    let state = match item.state {
        HeldState::Ready => "ready".to_owned(),
        HeldState::Delayed(until) => format!("delayed until {}", stage.ms(until)),
        HeldState::Leased(until) => format!("leased until {}", stage.ms(until)),
    };
    format!("[{} {} {state}]", self::leased(stage, &leased), item.priority.as_str())
}

/// Why a record is still wanted.
pub(crate) fn wanted(stage: &Stage, wanted: &Wanted) -> String {
    named(stage, &wanted.to_string())
}

fn position(stage: &Stage, seq: u64) -> String {
    let record = stage.log.iter().find(|record| record.header.position.seq == seq);
    record.map_or_else(|| "nothing".to_owned(), |record| record.header.position.to_string())
}

fn name(stage: &Stage, id: &AgentId) -> String {
    let found = stage.agents.iter().find(|(_, agent)| agent.key.id() == *id);
    found.map_or_else(|| id.to_string(), |(name, _)| name.clone())
}

/// Names for ids, wherever they stand.
fn named(stage: &Stage, text: &str) -> String {
    let mut text = text.to_owned();
    for (name, agent) in &stage.agents {
        text = text.replace(&agent.key.id().to_string(), name);
    }
    for label in ["c1", "c2", "c3", "c4", "c5"] {
        text = text.replace(&conversation(label).to_string(), label);
    }
    text
}
