//! Takes a history event by event and collects what breaks a promise.

use super::aired::Air;
use super::deliveries::{Deliveries, Delivery};
use super::event::{Ending, Event};
use super::inboxes::Inboxes;
use super::logs::Logs;
use super::messages::{Messages, Told};
use super::requests::{Answer, Requests};
use crate::violation::Violation;

/// Violations that are kept in full; further ones are counted.
const VIOLATIONS_MAX: usize = 100;

/// Checks a history as it grows.
#[derive(Debug, Default)]
pub struct Checker {
    events: u64,
    records: u64,
    messages: Messages,
    logs: Logs,
    deliveries: Deliveries,
    inboxes: Inboxes,
    requests: Requests,
    air: Air,
    found: Vec<Violation>,
    broken: u64,
}

/// What a history holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Events.
    pub events: u64,
    /// Sends, repeated ones included.
    pub sent: u64,
    /// Messages accepted.
    pub accepted: u64,
    /// Answers that said that a message had been accepted before.
    pub duplicates: u64,
    /// Sends refused.
    pub refused: u64,
    /// Sends that nothing was heard of.
    pub unknown: u64,
    /// Messages accepted and not in the log.
    pub missing: u64,
    /// Messages accepted that the log itself reported as lost.
    pub lost: u64,
    /// Messages handed to consumers.
    pub delivered: u64,
    /// Messages leased.
    pub leased: u64,
    /// Replies handed to requesters.
    pub answers: u64,
    /// What is not kept and was heard.
    pub heard: u64,
    /// The same that readers were told to have missed.
    pub missed: u64,
    /// Records read.
    pub records: u64,
    /// Promises broken.
    pub violations: u64,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { events, sent, accepted, duplicates, refused, unknown, .. } = self;
        let Self { missing, lost, delivered, leased, answers, heard, missed, records, violations, .. } = self;
        write!(
            f,
            "{events} events: {sent} sends, {accepted} accepted, {duplicates} duplicates, {refused} refused, \
             {unknown} unknown; {delivered} delivered, {leased} leased, {answers} answers, {heard} heard and {missed} \
             missed of what is not kept, {records} records; \
             {missing} missing, {lost} reported lost, {violations} violations"
        )
    }
}

impl Checker {
    /// Takes the next event; what breaks a promise with it.
    pub fn note(&mut self, event: &Event) -> &[Violation] {
        let mut found = Vec::new();
        self.events += 1;
        self.dispatch(event, &mut found);
        self.broken += found.len() as u64;
        let begun = self.found.len();
        let room = VIOLATIONS_MAX.saturating_sub(begun);
        self.found.extend(found.into_iter().take(room));
        self.found.get(begun..).unwrap_or_default()
    }

    /// What was found so far, the first hundred of it.
    pub fn violations(&self) -> &[Violation] {
        &self.found
    }

    /// Counts of what was taken so far.
    pub const fn figures(&self) -> Figures {
        Figures {
            events: self.events,
            sent: self.messages.sent,
            accepted: self.messages.accepted,
            duplicates: self.messages.duplicates,
            refused: self.messages.refused,
            unknown: self.messages.unknown,
            missing: self.messages.missing,
            lost: self.messages.lost,
            delivered: self.deliveries.delivered,
            leased: self.inboxes.leased,
            answers: self.requests.answers,
            heard: self.air.heard,
            missed: self.air.missed,
            records: self.records,
            violations: self.broken,
        }
    }

    fn dispatch(&mut self, event: &Event, found: &mut Vec<Violation>) {
        match event {
            Event::Sent { connection, message, to } => self.messages.sent(*connection, message, to),
            Event::Accepted { sender, id, position, duplicate, logs: _ } => {
                let told = Told { sender, id, position: *position, duplicate: *duplicate };
                self.messages.accepted(&told, found);
            }
            Event::Refused { sender, id, code: _ } => self.messages.refused(sender, id),
            Event::Unknown { sender, id } => self.messages.unknown(sender, id),
            Event::Began { consumer } => self.deliveries.begin(consumer),
            Event::Delivered { consumer, sender, id, position, logs } => {
                let kept = self.messages.position(sender, id);
                let delivery = Delivery { consumer, message: (sender, id), position: *position, logs };
                self.deliveries.deliver(&delivery, kept, found);
            }
            Event::Finished { consumer } => self.deliveries.finish(consumer),
            Event::Leased { agent, token, messages } => self.inboxes.lease(agent, *token, messages, found),
            Event::Acknowledged { agent, numbers, outcome } => {
                self.inboxes.end(agent, numbers, Ending::Acknowledged, *outcome);
            }
            Event::CalledBack { agent, number, outcome } => {
                self.inboxes.end(agent, &[*number], Ending::Recalled, *outcome);
            }
            // What is given back may come again or not yet: nothing follows from it.
            Event::Returned { .. } => {}
            _ => self.dispatch_more(event, found),
        }
    }

    fn dispatch_more(&mut self, event: &Event, found: &mut Vec<Violation>) {
        match event {
            Event::Asked { requester, id, deadline_ms } => self.requests.ask(requester, id, *deadline_ms),
            Event::Replied { responder, request, is_final, outcome } => {
                self.requests.reply((request, responder), *is_final, *outcome, found);
            }
            Event::Answered { requester, request, responder, is_final, at_ms } => {
                let (is_final, at_ms) = (*is_final, *at_ms);
                self.requests.answer(&Answer { requester, request, responder, is_final, at_ms }, found);
            }
            Event::Aired { .. }
            | Event::Withheld { .. }
            | Event::Tuned { .. }
            | Event::Heard { .. }
            | Event::Missed { .. } => self.listen(event, found),
            Event::Record { .. } => self.record(event, found),
            Event::Lost { first, last } => {
                self.logs.lose(*first, *last, found);
                self.messages.lose(*first, *last);
                self.inboxes.forgive();
            }
            Event::Head {} => {
                self.messages.head(found);
                self.deliveries.head(&mut self.logs, found);
                self.inboxes.head(found);
                self.air.head(found);
            }
            Event::Counts { .. } => self.inboxes.counts(event, found),
            Event::Held { agent, numbers } => self.inboxes.held(agent, numbers),
            _ => {}
        }
    }

    fn listen(&mut self, event: &Event, found: &mut Vec<Violation>) {
        match event {
            Event::Aired { connection, sender, id } => self.air.say(*connection, sender, id),
            Event::Withheld { sender, id } => self.air.refuse(sender, id),
            Event::Tuned { session } => self.air.tune(*session),
            Event::Heard { session, number, sender, id } => {
                self.air.hear((*session, *number), (sender, id), found);
            }
            Event::Missed { session, first, last } => self.air.miss(*session, *first, *last, found),
            _ => {}
        }
    }

    fn record(&mut self, event: &Event, found: &mut Vec<Violation>) {
        let Event::Record { position, logs, message, puts, ends } = event else { return };
        self.records += 1;
        self.logs.record(*position, logs, found);
        if let Some(message) = message {
            self.messages.kept(*position, message, found);
            self.deliveries.kept(*position, &message.sender, &message.id, found);
        }
        for put in puts {
            self.inboxes.put(put, message.as_ref());
        }
        for (agent, number, ending) in ends {
            self.inboxes.ended(agent, *number, *ending, found);
        }
    }
}
