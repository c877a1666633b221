//! The caller's inbox: counts, and the verbs of leases.

mod ack;
mod counts;
mod extend;
mod lease;
mod nack;
mod peek;
mod recall;

use crate::http::operation::Operation;
use crate::http::shape::{NUMBER_MAX, Shape};

/// Longest lease, and longest delay of a message given back.
const VISIBILITY_MS_MAX: i64 = 12 * 60 * 60 * 1000;
/// Messages of one lease.
const LEASE_MESSAGES_MAX: i64 = 256;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        counts::operation(),
        peek::operation(),
        lease::operation(),
        ack::operation(),
        nack::operation(),
        extend::operation(),
        recall::operation(),
    ]
}

/// A fencing token.
const fn fencing_token() -> Shape {
    Shape::Integer(1, NUMBER_MAX)
}

/// Numbers of messages in the inbox; none means all of the lease.
fn numbers() -> Shape {
    Shape::List(Box::new(Shape::Integer(1, NUMBER_MAX)), LEASE_MESSAGES_MAX as usize)
}
