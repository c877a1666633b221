//! G6: one final reply a request and responder, and none after the deadline.

use super::event::Outcome;
use crate::violation::Violation;
use std::collections::{BTreeMap, BTreeSet};

const ONE_REPLY: &str = "G6 at most one final reply of a responder is accepted";
const IN_TIME: &str = "G6 no reply comes after the deadline";

/// A request and a responder.
type Pair = (String, String);

/// Every request.
#[derive(Debug, Default)]
pub(super) struct Requests {
    deadlines: BTreeMap<(String, String), i64>,
    accepted: BTreeSet<Pair>,
    handed: BTreeSet<Pair>,
    pub(super) answers: u64,
}

/// A reply as its requester is handed it.
pub(super) struct Answer<'a> {
    pub(super) requester: &'a str,
    pub(super) request: &'a str,
    pub(super) responder: &'a str,
    pub(super) is_final: bool,
    pub(super) at_ms: i64,
}

impl Requests {
    pub(super) fn ask(&mut self, requester: &str, id: &str, deadline_ms: i64) {
        self.deadlines.insert((requester.to_owned(), id.to_owned()), deadline_ms);
    }

    pub(super) fn reply(
        &mut self,
        (request, responder): (&str, &str),
        is_final: bool,
        outcome: Outcome,
        found: &mut Vec<Violation>,
    ) {
        let counts = is_final && outcome == Outcome::Done;
        if counts && !self.accepted.insert((request.to_owned(), responder.to_owned())) {
            found.push(Violation::new(ONE_REPLY, format!("{responder} was told so twice, to {request}")));
        }
    }

    pub(super) fn answer(&mut self, answer: &Answer<'_>, found: &mut Vec<Violation>) {
        self.answers += 1;
        let pair = (answer.request.to_owned(), answer.responder.to_owned());
        if answer.is_final && !self.handed.insert(pair) {
            let what = format!("{} answers {} twice", answer.responder, answer.request);
            found.push(Violation::new(ONE_REPLY, what));
        }
        let asked = (answer.requester.to_owned(), answer.request.to_owned());
        if let Some(deadline) = self.deadlines.get(&asked).filter(|deadline| answer.at_ms > **deadline) {
            let what = format!("{} at {} ms, the deadline was {deadline} ms", answer.request, answer.at_ms);
            found.push(Violation::new(IN_TIME, what));
        }
    }
}
