//! Agents: who is registered, and how one without a key of its own is.

mod get;
mod list;
mod register;

use crate::http::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![list::operation(), register::operation(), get::operation()]
}
