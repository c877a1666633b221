//! Streams of server-sent events (HTML Living Standard §9.2): messages of topics, and the tail of the log.

mod sse;
mod tail;
mod topic_messages;

use crate::http::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![topic_messages::operation(), tail::operation()]
}
