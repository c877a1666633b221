//! Schemas and protocols: publishing them, and fetching them by name, range or digest.

mod get;
mod list;
mod publish_protocol;
mod publish_schema;

use crate::http::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        list::schemas(),
        get::schema(),
        publish_schema::operation(),
        list::protocols(),
        get::protocol(),
        publish_protocol::operation(),
    ]
}
