//! Performing effects, in order, as the real node does: what an agent is told was kept before.

use super::listening::matches;
use super::{Node, Out, Said};
use crate::census::{Census, Kind};
use crate::violation::{Violation, ensure};
use openmesh_core::record::{Outcome, Put};
use openmesh_core::{Begin, Deliver, Effect, Matcher, Plan, Question, Ticket, may_read};
use openmesh_message::frame::LogPage;
use openmesh_message::{AgentId, ControlAttributes, Level, Receipt, Target, Timestamp};

impl Node {
    /// Performs at most `limit` effects of the plans, in order.
    pub(super) fn perform_all(
        &mut self,
        plans: &[Plan],
        limit: usize,
        census: &mut Census,
    ) -> Result<Vec<Out>, Violation> {
        let mut out = Vec::new();
        let effects = plans.iter().flat_map(|plan| plan.effects.iter().map(|effect| (effect, plan.at)));
        for (effect, now) in effects.take(limit) {
            self.note(effect_text(effect).as_bytes());
            self.perform((effect, now), census, &mut out)?;
        }
        Ok(out)
    }

    fn perform(
        &mut self,
        (effect, now): (&Effect, Timestamp),
        census: &mut Census,
        out: &mut Vec<Out>,
    ) -> Result<(), Violation> {
        let mut say = |ticket: Ticket, said: Said| {
            let connection = ticket.connection;
            out.push(Out { connection, said });
        };
        match effect {
            Effect::Accept(ticket, receipt) => {
                self.promise(receipt)?;
                say(*ticket, Said::Done(ticket.tag));
            }
            Effect::AcceptAgain(ticket, taken) => {
                census.count(Kind::Fault, "answered as a duplicate");
                let receipt = self.receipt(taken.seq)?;
                self.promise(&receipt)?;
                say(*ticket, Said::Done(ticket.tag));
            }
            Effect::FetchReceipt(ticket, taken) => {
                let receipt = self.receipt(taken.seq)?;
                self.promise(&receipt)?;
                say(*ticket, Said::Other);
            }
            Effect::Pass { ticket, .. } => say(*ticket, Said::Done(ticket.tag)),
            Effect::Reject(ticket, rejection) => {
                census.count(Kind::Refusal, rejection.code());
                say(*ticket, Said::Rejected(ticket.tag, rejection.code()));
            }
            Effect::Reply(ticket, reply) => {
                self.live.hearing.answer(*ticket);
                if let Err(rejection) = reply {
                    census.count(Kind::Refusal, rejection.code());
                }
                say(*ticket, Said::Other);
            }
            Effect::Deliver(deliver) => {
                self.check_delivery(deliver)?;
                if deliver.seq.is_none() {
                    self.live.deliver(deliver);
                    return Ok(());
                }
                let (connection, said) = (deliver.connection, Said::Other);
                out.push(Out { connection, said });
            }
            Effect::Lease { ticket, token, items } => {
                self.check_puts(items.iter().map(|item| (item.seq, &item.put)))?;
                let numbers = items.iter().map(|item| item.put.number).collect();
                say(*ticket, Said::Leased(*token, numbers));
            }
            Effect::Peek { ticket, items, .. } => {
                let puts = items.iter().map(|item| (item.seq, &item.put));
                self.check_puts(puts)?;
                say(*ticket, Said::Other);
            }
            Effect::CatchUp { connection, subscription, agent, pattern, begin } => {
                self.catch_up((*connection, *subscription), agent, pattern.as_str(), (*begin, now))?
            }
            Effect::Query { ticket, question } => {
                self.page(question, now)?;
                say(*ticket, Said::Other);
            }
            Effect::Erase { ticket, .. } => say(*ticket, Said::Other),
            Effect::ReloadPolicy(ticket) => {
                self.reload_policy();
                say(*ticket, Said::Other);
            }
            Effect::Unsubscribe(..) | Effect::Shorten(_) | Effect::EndShortcuts(_) => self.pass_by(effect),
            // What follows from a view that is published is done as soon as it is decided.
            Effect::PublishView | Effect::Stream(..) => {}
        }
        Ok(())
    }

    /// What concerns messages that pass the partition by.
    fn pass_by(&mut self, effect: &Effect) {
        match effect {
            Effect::Unsubscribe(connection, subscription) => {
                self.live.unsubscribe(*connection, *subscription);
            }
            Effect::Shorten(shorten) => self.live.shorten(shorten.clone()),
            Effect::EndShortcuts(pattern) => self.live.end_shortcuts(pattern),
            _ => {}
        }
    }

    /// A receipt is a promise: one message, one position, for good.
    fn promise(&mut self, receipt: &Receipt) -> Result<(), Violation> {
        let Some(position) = receipt.position else {
            return ensure(
                receipt.level == Level::Received,
                "a receipt at level durable names a position",
                || receipt.digest.to_string(),
            );
        };
        let before = self.promised.insert(receipt.digest, position);
        ensure(
            before.is_none_or(|before| before == position),
            "a message sent again has one position",
            || format!("{} at {before:?} and at {position}", receipt.digest),
        )
    }

    fn receipt(&self, seq: u64) -> Result<Receipt, Violation> {
        let record = self.log.record(seq)?;
        let message = record.message().ok_or_else(|| {
            Violation::new(
                "a duplicate is answered from its record",
                format!("record {seq} holds no message"),
            )
        })?;
        Ok(Receipt {
            digest: message.digest(),
            level: Level::Durable,
            position: Some(record.header.position),
            logs: record.header.logs.clone(),
            duplicate: true,
            policy_version: record.header.policy_version,
            at: record.header.at,
        })
    }

    fn check_delivery(&mut self, deliver: &Deliver) -> Result<(), Violation> {
        let control = ControlAttributes::parse(&deliver.envelope.attributes)
            .map_err(|error| Violation::new("what is delivered can be read", error.to_string()))?;
        let target = control.to.target.clone();
        match target {
            Target::Topic(topic) => {
                let key = (deliver.connection, deliver.subscription);
                self.listening.hand(key, deliver.seq, topic.as_str())
            }
            _ => ensure(deliver.subscription == 0, "a subscription is handed topics only", || {
                format!("{deliver:?}")
            }),
        }
    }

    /// What is leased is what the record put into that very inbox.
    fn check_puts<'a>(&self, puts: impl Iterator<Item = (u64, &'a Put)>) -> Result<(), Violation> {
        for (seq, put) in puts {
            let record = self.log.record(seq)?;
            ensure(record.puts().contains(put), "what is leased was put into that inbox", || {
                format!("{put:?} is not among {:?}", record.puts())
            })?;
        }
        Ok(())
    }

    fn catch_up(
        &mut self,
        key: (openmesh_core::ConnectionId, u64),
        agent: &AgentId,
        pattern: &str,
        (begin, now): (Begin, Timestamp),
    ) -> Result<(), Violation> {
        let (after_seq, since) = match begin {
            Begin::After(seq) => (seq, Timestamp::from_millis(0)),
            Begin::Since(time) => (0, time),
        };
        for seq in after_seq + 1..=self.listening.live_after(key) {
            let record = self.log.record(seq)?;
            if record.header.at < since {
                continue;
            }
            let logs = record.header.logs.iter();
            let topic = logs.filter_map(|log| log.log.0.strip_prefix("topic/")).next();
            let Some(topic) = topic.filter(|topic| matches(pattern, topic)) else {
                continue;
            };
            if matches!(record.header.outcome, Outcome::Accepted(_))
                && may_read(&self.view, agent, &record, now)
            {
                self.listening.hand(key, Some(seq), topic)?;
            }
        }
        Ok(())
    }

    fn page(&self, question: &Question, now: Timestamp) -> Result<LogPage, Violation> {
        let mut page = LogPage::default();
        let matcher = Matcher::new(&question.filter);
        for seq in question.after_seq + 1..=self.log.head() {
            let record = self.log.record(seq)?;
            if matcher.matches(&record) && may_read(&self.view, &question.agent, &record, now) {
                page.records.push(record.header.position.to_string());
            }
            if page.records.len() >= question.records_max as usize {
                page.next_after_seq = Some(seq);
                break;
            }
        }
        Ok(page)
    }
}

/// An effect in the fingerprint of a run.
fn effect_text(effect: &Effect) -> String {
    match effect {
        Effect::Accept(ticket, receipt) => format!("accept {ticket:?} {receipt:?}"),
        Effect::Reject(ticket, rejection) => format!("reject {ticket:?} {rejection:?}"),
        Effect::Deliver(deliver) => format!(
            "deliver {:?} {} {:?} {}",
            deliver.connection,
            deliver.subscription,
            deliver.seq,
            deliver.envelope.digest()
        ),
        other => format!("{other:?}"),
    }
}
