//! What to look for: the filters that query, export and tail share.

use crate::cli::amount::time_past;
use crate::cli::context::Names;
use crate::cli::failure::Failure;
use anyhow::Result;
use openmesh_core::RowFilter;
use openmesh_message::{ConversationId, TopicPattern};
use openmesh_sdk::{LogFilter, Verdict};

/// Filters; all that are given must fit.
#[derive(Debug, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct Sought {
    /// The message's id.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Sender or recipient: a name or a did:key.
    #[arg(id = "party", long = "agent", value_name = "AGENT")]
    agent: Option<String>,
    /// A topic or a pattern.
    #[arg(long, value_name = "PATTERN")]
    topic: Option<String>,
    /// The conversation.
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
    /// The type of message.
    #[arg(id = "message_type", long = "type", value_name = "TYPE")]
    message_type: Option<String>,
    /// What the message does: inform, propose …
    #[arg(long, value_name = "ACT")]
    performative: Option<String>,
    /// What came of the message.
    #[arg(long, value_name = "VERDICT", value_parser = ["accepted", "refused"])]
    verdict: Option<String>,
    /// The kind of record: message, refused, fired, leased, registered …
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Decided at that time or later: 10m (ago), 2h, or 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Decided before that time.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// A CEL expression over the record as JSON: "message.payload.value.amount > 100".
    #[arg(id = "where", long = "where", value_name = "CEL")]
    expression: Option<String>,
}

impl Sought {
    /// Whether nothing is left out.
    pub(crate) fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// The filter that the node is asked with.
    pub(crate) fn filter(&self, names: &Names) -> Result<LogFilter> {
        let topic = self.topic.as_deref().map(|topic| topic.strip_prefix("topic:").unwrap_or(topic));
        if let Some(Err(why)) = topic.map(str::parse::<TopicPattern>) {
            return Err(Failure::usage(format!("--topic: {why}")).into());
        }
        let verdict = self.verdict.as_deref().map(str::parse::<Verdict>).transpose();
        Ok(LogFilter {
            id: self.id.clone(),
            agent: self.agent.as_deref().map(|agent| names.resolve(agent)).transpose()?,
            topic: topic.map(str::to_owned),
            conversation: self.conversation.map(|id| id.to_string()),
            kind: self.kind.clone(),
            message_type: self.message_type.clone(),
            performative: self.performative.clone(),
            verdict: verdict.map_err(Failure::usage)?,
            since: self.since.as_deref().map(|when| time_past("--since", when)).transpose()?,
            until: self.until.as_deref().map(|when| time_past("--until", when)).transpose()?,
        })
    }

    /// The expression that is looked at here, record by record.
    pub(crate) fn expression(&self) -> Result<Option<RowFilter>> {
        let compiled = self.expression.as_deref().map(RowFilter::compile).transpose();
        Ok(compiled.map_err(|why| Failure::usage(format!("--where: {why}")))?)
    }
}
