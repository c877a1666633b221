//! Many subscriptions: matched in memory, and held and changed at a server.

pub(crate) mod churn;
pub(crate) mod matching;
mod names;
