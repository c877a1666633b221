//! Questions about the log.

mod csv;
mod filter;
mod follow;
mod page;
mod query;

pub(crate) use filter::{expression_of, filter_of, with_filter};
pub(crate) use follow::Follow;

use crate::http::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![query::operation()]
}
