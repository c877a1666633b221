//! Sending messages, their receipts, and requests that gather replies.

mod get_receipt;
mod outcome;
mod post;
mod request;

use crate::http::operation::Operation;

pub(super) use outcome::{accepted_or_problem, outcome_json};
pub(super) use post::{in_trace_of, read_one};

pub(super) fn operations() -> Vec<Operation> {
    vec![post::operation(), get_receipt::operation(), request::operation()]
}
