//! Topics: which are kept, and events of other systems that enter by one.

mod configuration;
mod configure;
mod get;
mod list;
mod post_event;

use crate::http::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![list::operation(), get::operation(), configure::operation(), post_event::operation()]
}
