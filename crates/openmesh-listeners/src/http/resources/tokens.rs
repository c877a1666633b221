//! Tokens: issuing, listing, revoking.

mod grant;
mod issue;
mod list;
mod revoke;

pub(super) use grant::{AskedGrant, Issued, granted, issued_shape};

use crate::http::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![issue::operation(), list::operation(), revoke::operation()]
}
