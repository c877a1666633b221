//! The node itself: is it well, what does it offer, which rules are in force.

mod describe;
mod documents;
mod health;
mod metrics;
mod reload_policy;

use crate::http::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        reload_policy::operation(),
        health::alive(),
        health::ready(),
        metrics::operation(),
        describe::operation(),
        documents::openapi(),
        documents::asyncapi(),
    ]
}
