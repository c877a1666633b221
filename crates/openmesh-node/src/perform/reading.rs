//! Effects that read what is kept: receipts of earlier sends, leases, subscriptions that fell behind.
//!
//! Each runs on a blocking thread of its own and answers through the connection's outbox.

mod ahead;
mod notice;
mod since;

use super::delivery::{DeliverTo, Progress};
use crate::stored::record_of;
pub(super) use ahead::Ahead;
use notice::render_notice;
use openmesh_adapter::{Event, Matched, MeshHandle, Outbox, Outgoing, counted, delivery_bytes, now};
use openmesh_core::record::{Body, InboxLog, Put, Record};
use openmesh_core::{Input, LeasedItem, Rejection, SeenItem, Taken, Ticket, may_read};
use openmesh_message::frame::{Delivery, Leased, PeekPage, Peeked, Reply, SendOutcome};
use openmesh_message::{Envelope, KeyPair, Level, Priority, Problem, Receipt, SignedReceipt};
use openmesh_store::{LogReader, PageLimit, StoredRecord};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// How long a subscription waits before it reads the log again after a fault.
const RETRY_WAIT: Duration = Duration::from_millis(100);
/// Messages of a lease that are read by the owner's own thread, where they stand in memory.
const AT_ONCE_MAX: usize = 4;

/// Reads what is kept, on behalf of effects.
#[derive(Clone)]
pub(super) struct Reading {
    node: Arc<KeyPair>,
    mesh: MeshHandle,
    log: LogReader,
}

impl Reading {
    pub(super) const fn new(node: Arc<KeyPair>, mesh: MeshHandle, log: LogReader) -> Self {
        Self { node, mesh, log }
    }

    /// Answers a repeated send with its original position.
    pub(super) fn accept_again(&self, ticket: Ticket, taken: Taken, outbox: &Outbox) {
        self.answer(outbox, move |reading| {
            let outcome = match reading.receipt(taken) {
                Some(receipt) => SendOutcome::Accepted(receipt),
                None => reading.let_go(taken.seq).map_or(SendOutcome::Unknown, SendOutcome::Rejected),
            };
            Outgoing::Outcome(ticket.tag, outcome)
        });
    }

    /// Answers with the receipt of an earlier send.
    pub(super) fn fetch_receipt(&self, ticket: Ticket, taken: Taken, outbox: &Outbox) {
        self.answer(outbox, move |reading| {
            let receipt = reading.receipt(taken).map(Box::new);
            let reply = reading.let_go(taken.seq).map_or(Ok(Reply::Receipt(receipt)), Err);
            Outgoing::Reply(ticket.tag, reply)
        });
    }

    /// Answers with leased messages: at once where few are asked for and they stand in memory, as what wakes an agent
    /// does. Another thread would take longer to begin than they take to read.
    pub(super) fn lease(&self, ticket: Ticket, token: u64, items: Vec<LeasedItem>, outbox: &Outbox) {
        if items.len() <= AT_ONCE_MAX && items.iter().all(|item| self.log.is_recent(item.seq)) {
            let _ = outbox.send(vec![self.leased(ticket, token, &items)]);
        } else {
            self.answer(outbox, move |reading| reading.leased(ticket, token, &items));
        }
    }

    fn leased(&self, ticket: Ticket, token: u64, items: &[LeasedItem]) -> Outgoing {
        let mut mail = Mail::new(&self.log);
        let leased = items.iter().filter_map(|item| {
            let envelope = self.envelope(&mut mail, item.seq, &item.put)?;
            Some(Leased { token, number: item.put.number, attempt: item.attempt, envelope })
        });
        Outgoing::Reply(ticket.tag, Ok(Reply::Leased(leased.collect())))
    }

    /// Answers with what is in an inbox.
    pub(super) fn peek(&self, ticket: Ticket, items: Vec<SeenItem>, next: Option<u64>, outbox: &Outbox) {
        self.answer(outbox, move |reading| {
            let mut mail = Mail::new(&reading.log);
            let entries = items.iter().filter_map(|item| {
                let SeenItem { attempts, priority, state, put, .. } = item;
                let (attempts, priority, state) = (*attempts, *priority, *state);
                let envelope = reading.envelope(&mut mail, item.seq, put)?;
                Some(Peeked { number: put.number, attempts, priority, state, envelope })
            });
            let page = PeekPage { entries: entries.collect(), next_after_number: next };
            Outgoing::Reply(ticket.tag, Ok(Reply::Peeked(page)))
        });
    }

    /// Reads the policy file again and hands the policy to the partition.
    pub(super) fn reload_policy(&self, ticket: Ticket, file: PathBuf, outbox: &Outbox) {
        let (reading, outbox) = (self.clone(), outbox.clone());
        tokio::spawn(async move {
            let home = reading.mesh.view().home();
            let loaded = crate::config::read_policy(&file, home);
            let reply = match loaded {
                Ok((policy, text)) => {
                    let submitted = reading.mesh.submit(vec![Input::PolicyLoaded { policy, text }]).await;
                    submitted.map(|()| Reply::Done).map_err(|_| Rejection::Busy.to_problem())
                }
                Err(error) => Err(Problem::new("policy.invalid", format!("{error:#}"))),
            };
            let _ = outbox.send(vec![Outgoing::Reply(ticket.tag, reply)]);
        });
    }

    /// Hands over records after `after_seq` that match, while there is room, until the end of what is synced. Without
    /// `after_seq`, the time to begin with is looked for first.
    pub(super) fn catch_up(
        &self,
        to: DeliverTo,
        after_seq: Option<u64>,
        matched: Arc<Matched>,
        outbox: &Outbox,
    ) {
        let (reading, outbox) = (self.clone(), outbox.clone());
        spawn_blocking(move || {
            let (connection, subscription) = (to.connection, to.subscription);
            let after_seq = after_seq.unwrap_or_else(|| reading.seq_before(to.since.unwrap_or_default()));
            let progress = reading.hand_over(&to, after_seq, &matched, &outbox);
            let Progress { generation, through_seq, to_the_end } = progress;
            let event = Event::ReadOn { connection, subscription, generation, through_seq, to_the_end };
            tokio::runtime::Handle::current().block_on(async { reading.mesh.tell(event).await.ok() });
        });
    }

    /// Never waits for room: who does not read must not hold a thread.
    fn hand_over(&self, to: &DeliverTo, after_seq: u64, matched: &Matched, outbox: &Outbox) -> Progress {
        let generation = to.generation;
        let mut next_seq = after_seq + 1;
        while next_seq <= self.log.head_seq() {
            let stopped = Progress { generation, through_seq: next_seq - 1, to_the_end: false };
            if matched.has_ended() {
                return stopped;
            }
            let page = match self.log.scan(next_seq, PageLimit::default()) {
                Ok(page) => page,
                Err(fault) => {
                    tracing::error!(%fault, next_seq, "the log cannot be read; a subscription waits");
                    std::thread::sleep(RETRY_WAIT);
                    return stopped;
                }
            };
            for stored in &page.records {
                let Some(envelope) = self.matching(stored, to) else { continue };
                let mut delivery = Delivery::Message {
                    subscription: to.subscription,
                    number: 0,
                    envelope: Arc::new(envelope),
                };
                let through_seq = stored.position.seq - 1;
                if matched.has_ended() || !outbox.has_room(Priority::Normal, delivery_bytes(&delivery)) {
                    return Progress { generation, through_seq, to_the_end: false };
                }
                if let Delivery::Message { number, .. } = &mut delivery {
                    *number = matched.next_number();
                }
                let _ = outbox.send_of(matched, vec![counted(outbox, Priority::Normal, delivery)]);
            }
            next_seq = page.next_seq;
        }
        Progress { generation, through_seq: next_seq - 1, to_the_end: true }
    }

    fn matching(&self, stored: &StoredRecord, to: &DeliverTo) -> Option<Envelope> {
        let record = decode(stored)?;
        if to.since.is_some_and(|since| record.header.at < since) {
            return None;
        }
        let topic = record.header.logs.first()?.log.0.strip_prefix("topic/")?.parse().ok()?;
        let envelope = record.message().filter(|_| to.pattern.matches(&topic))?;
        may_read(&self.mesh.view(), &to.agent, &record, now()).then(|| record.header.stamp(envelope))
    }

    fn answer(&self, outbox: &Outbox, answer: impl FnOnce(&Self) -> Outgoing + Send + 'static) {
        let (reading, outbox) = (self.clone(), outbox.clone());
        spawn_blocking(move || {
            let _ = outbox.send(vec![answer(&reading)]);
        });
    }

    fn record(&self, seq: u64) -> Option<Record> {
        self.record_ahead(&mut Ahead::new(&self.log), seq)
    }

    fn record_ahead(&self, ahead: &mut Ahead<'_>, seq: u64) -> Option<Record> {
        let stored =
            ahead.get(seq).inspect_err(|fault| tracing::error!(%fault, seq, "a record is lost")).ok()??;
        decode(&stored)
    }

    /// What is said where the record was let go.
    fn let_go(&self, seq: u64) -> Option<Problem> {
        (seq < self.log.first_seq()).then(|| let_go(seq, &self.log))
    }

    fn receipt(&self, taken: Taken) -> Option<SignedReceipt> {
        let record = self.record(taken.seq)?;
        let receipt = Receipt {
            digest: taken.digest,
            level: Level::Durable,
            position: Some(record.header.position),
            logs: record.header.logs.clone(),
            duplicate: true,
            policy_version: record.header.policy_version,
            at: record.header.at,
        };
        SignedReceipt::sign_all(&self.node, vec![receipt]).pop()
    }

    fn envelope(&self, mail: &mut Mail<'_>, seq: u64, put: &Put) -> Option<Envelope> {
        let record = self.record_ahead(&mut mail.ahead, seq)?;
        let inbox = mail.inbox.get_or_insert_with(|| InboxLog::of(&put.agent));
        if let Some(index) = put.notice {
            let notice = render_notice(&record, index, &put.agent, &self.node, &self.mesh.view())?;
            return Some(record.header.stamp_for(notice, inbox));
        }
        match record.body {
            Body::Message(sent) => Some(record.header.stamp_for(Arc::unwrap_or_clone(sent), inbox)),
            _ => None,
        }
    }
}

/// Reads what one inbox holds.
struct Mail<'a> {
    ahead: Ahead<'a>,
    inbox: Option<InboxLog>,
}

impl<'a> Mail<'a> {
    const fn new(log: &'a LogReader) -> Self {
        Self { ahead: Ahead::new(log), inbox: None }
    }
}

/// What is said of a record that is not in the log any more.
pub(super) fn let_go(seq: u64, log: &LogReader) -> Problem {
    let first_seq = log.first_seq();
    let detail = format!("record {seq} was let go: the log begins with record {first_seq}");
    Problem::new("log.let_go", detail)
}

pub(super) fn decode(stored: &StoredRecord) -> Option<Record> {
    let decoded = record_of(stored);
    decoded
        .inspect_err(|error| tracing::error!(%error, position = %stored.position, "a record cannot be read"))
        .ok()
}
