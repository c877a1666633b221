//! Events made of what the mesh hands out: envelopes, receipts, records, counts.

use super::event::{Ending, Event, MessageName, Place, Put};
use openmesh_core::record::{Outcome, Record, Settlement};
use openmesh_message::frame::InboxCounts;
use openmesh_message::{AgentId, Envelope, LogSeq, Position, Receipt};

/// A message that a client sends on a connection.
pub fn sent(connection: u64, envelope: &Envelope) -> Event {
    let attribute = |name: &str| envelope.attributes.get(name).unwrap_or_default().to_owned();
    let to = match envelope.attributes.get("priority") {
        Some(priority) => format!("{} {priority}", attribute("to")),
        None => attribute("to"),
    };
    Event::Sent { connection, message: name_of(envelope), to }
}

/// A receipt for a message; `None` where it names no position.
pub fn accepted(envelope: &Envelope, receipt: &Receipt) -> Option<Event> {
    let MessageName { sender, id, .. } = name_of(envelope);
    let position = place(receipt.position?);
    Some(Event::Accepted { sender, id, position, duplicate: receipt.duplicate, logs: logs_of(&receipt.logs) })
}

/// A kept message handed to a consumer; `None` where it does not say where it is kept.
pub fn delivered(consumer: &str, envelope: &Envelope) -> Option<Event> {
    let MessageName { sender, id, .. } = name_of(envelope);
    let position = place(envelope.transit.position?);
    let logs = logs_of(&envelope.transit.logs);
    Some(Event::Delivered { consumer: consumer.to_owned(), sender, id, position, logs })
}

/// A record of the log.
pub fn record(record: &Record) -> Event {
    let puts = record.puts().iter().map(|put| Put {
        agent: put.agent.to_string(),
        number: put.number,
        is_notice: put.notice.is_some(),
    });
    Event::Record {
        position: place(record.header.position),
        logs: logs_of(&record.header.logs),
        message: record.message().map(name_of),
        puts: puts.collect(),
        ends: ends_of(&record.header.outcome),
    }
}

/// What a node says of an inbox.
pub fn counts(agent: &AgentId, counts: &InboxCounts) -> Event {
    Event::Counts {
        agent: agent.to_string(),
        accepted: counts.accepted,
        pending: counts.pending,
        acknowledged: counts.acknowledged,
        expired: counts.expired,
        dead_lettered: counts.dead_lettered,
        recalled: counts.recalled,
    }
}

fn ends_of(outcome: &Outcome) -> Vec<(String, u64, Ending)> {
    match outcome {
        Outcome::Settled { agent, settlement } => {
            let Settlement { acknowledged, expired, dead_lettered, .. } = settlement;
            let all = [
                (acknowledged, Ending::Acknowledged),
                (expired, Ending::Expired),
                (dead_lettered, Ending::DeadLettered),
            ];
            let agent = agent.to_string();
            let of = |(numbers, ending): (&Vec<u64>, Ending)| {
                numbers.iter().map(|number| (agent.clone(), *number, ending)).collect::<Vec<_>>()
            };
            all.into_iter().flat_map(of).collect()
        }
        Outcome::Recalled { agent, number } => vec![(agent.to_string(), *number, Ending::Recalled)],
        _ => Vec::new(),
    }
}

fn name_of(envelope: &Envelope) -> MessageName {
    let attribute = |name: &str| envelope.attributes.get(name).unwrap_or_default().to_owned();
    MessageName { sender: attribute("source"), id: attribute("id"), digest: envelope.digest().to_string() }
}

fn logs_of(logs: &[LogSeq]) -> Vec<(String, u64)> {
    logs.iter().map(|log| (log.log.to_string(), log.seq)).collect()
}

const fn place(position: Position) -> Place {
    Place(position.epoch, position.seq)
}
