//! Finds what an administrator wants to have erased, and hands it to the partition.

use super::Querying;
use crate::perform::Kept;
use crate::perform::reading::{decode, let_go};
use openmesh_adapter::{Outbox, Outgoing};
use openmesh_core::record::{Body, Record};
use openmesh_core::{Input, Rejection, Sought as Asked, Ticket};
use openmesh_message::frame::LogFilter;
use openmesh_message::{AgentId, Position, Problem};
use openmesh_store::{Candidate, Fault, Found, PageLimit, Sought};
use std::collections::BTreeSet;
use tokio::task::spawn_blocking;

/// Records of one id that are erased at once.
const RECORDS_MAX: usize = 1_000;

/// What an administrator wants to have erased.
pub(in crate::perform) struct Wish {
    pub(in crate::perform) ticket: Ticket,
    pub(in crate::perform) agent: AgentId,
    /// A message's id, or its record's position or number.
    pub(in crate::perform) message: String,
    pub(in crate::perform) reason: String,
}

impl Querying {
    /// Looks for the records; the partition answers, unless there is nothing to erase.
    pub(in crate::perform) fn erase(&self, wish: Wish, outbox: &Outbox) {
        let (querying, outbox) = (self.clone(), outbox.clone());
        tokio::spawn(async move {
            let Wish { ticket, agent, message, reason } = wish;
            let kept = querying.kept.clone();
            let found = spawn_blocking(move || find(&kept, &message)).await;
            let refused = match found {
                Ok(Ok(positions)) => {
                    let input = Input::Erase { ticket, agent, positions, reason };
                    match querying.mesh.submit(vec![input]).await {
                        Ok(()) => return,
                        Err(_) => Rejection::Busy.to_problem(),
                    }
                }
                Ok(Err(problem)) => *problem,
                Err(_) => super::stopping(),
            };
            let _ = outbox.send(vec![Outgoing::Reply(ticket.tag, Err(refused))]);
        });
    }
}

fn find(kept: &Kept, message: &str) -> Result<Vec<Position>, Box<Problem>> {
    let seq = message.parse::<Position>().map(|position| position.seq).or_else(|_| message.parse::<u64>());
    let records = match seq {
        Ok(seq) => vec![read(kept, seq)?.ok_or_else(|| Box::new(Rejection::NotFound.to_problem()))?],
        Err(_) => of_id(kept, message)?,
    };
    let first = records.first().ok_or_else(|| Box::new(Rejection::NotFound.to_problem()))?;
    let shown =
        || records.iter().map(|record| record.header.position.to_string()).collect::<Vec<_>>().join(", ");
    if records.iter().any(|record| record.header.sender != first.header.sender) {
        let why = format!("messages of several senders have this id: name the position ({})", shown());
        return Err(Box::new(Problem::new("erase.ambiguous", why)));
    }
    if let Some(why) = records.iter().find_map(not_erasable) {
        return Err(Box::new(Problem::new("erase.impossible", why)));
    }
    Ok(records.iter().map(|record| record.header.position).collect())
}

/// What is no message is needed to know what the domain is.
fn not_erasable(record: &Record) -> Option<String> {
    let (position, kind) = (record.header.position, record.header.outcome.kind());
    match record.body {
        Body::Message(_) | Body::Refused(_) => None,
        Body::Erased => Some(format!("the body of record {position} was erased before")),
        Body::Empty => Some(format!("record {position} ({kind}) has no body")),
        Body::Text(_) | Body::Claim(_) => {
            Some(format!("record {position} ({kind}) is no message: the log needs its body"))
        }
    }
}

/// Every record whose message, taken in or refused, has this id.
fn of_id(kept: &Kept, id: &str) -> Result<Vec<Record>, Box<Problem>> {
    let has_id = |record: &Record| match &record.body {
        Body::Message(message) => message.attributes.get("id") == Some(id),
        Body::Refused(refused) => refused.id.as_deref() == Some(id),
        _ => false,
    };
    let (candidates, covered_seq) = candidates(kept, id);
    let mut records = Vec::new();
    for seq in candidates {
        records.extend(read(kept, seq)?.filter(&has_id));
    }
    let mut next_seq = covered_seq + 1;
    while next_seq <= kept.log.head_seq() && records.len() < RECORDS_MAX {
        let page = kept.log.scan(next_seq, PageLimit::default()).map_err(unreadable)?;
        records.extend(page.records.iter().filter_map(decode).filter(&has_id));
        next_seq = page.next_seq;
    }
    records.truncate(RECORDS_MAX);
    Ok(records)
}

/// What the index has, and up to where it says all; the log is left to say the rest.
fn candidates(kept: &Kept, id: &str) -> (BTreeSet<u64>, u64) {
    let asked = Asked::of(&LogFilter { id: Some(id.to_owned()), ..LogFilter::default() });
    let sought = Sought { all: asked.all.into_iter().map(|term| term.0).collect(), ..Sought::default() };
    let mut seqs = BTreeSet::new();
    let mut candidates = kept.index.search(&sought);
    let mut from = 1;
    while seqs.len() < RECORDS_MAX {
        match candidates.next(from) {
            Ok(Found::Candidate(Candidate { seq, .. })) => {
                seqs.insert(seq);
                from = seq + 1;
            }
            Ok(Found::NoneThrough(seq)) => from = seq + 1,
            Ok(Found::End) => break,
            Err(_) => return (BTreeSet::new(), 0),
        }
    }
    (seqs, candidates.covered_seq())
}

fn read(kept: &Kept, seq: u64) -> Result<Option<Record>, Box<Problem>> {
    if seq < kept.log.first_seq() {
        return Err(Box::new(let_go(seq, &kept.log)));
    }
    Ok(kept.log.get(seq).map_err(unreadable)?.as_ref().and_then(decode))
}

fn unreadable(fault: Fault) -> Box<Problem> {
    Box::new(Problem::new("store.fault", fault.to_string()))
}
