//! Conversations that the caller takes part in.

mod get;
mod list;

use crate::http::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![list::operation(), get::operation()]
}
