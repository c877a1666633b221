//! What to look for in the log, as query parameters.

use crate::http::operation::{AGENT, Call, Operation, TIME, TOPIC_PATTERN, UUID};
use crate::http::problem::Failure;
use crate::http::shape::{formed, text, word};
use openmesh_core::{EXPRESSION_BYTES_MAX, Rejection, RowFilter};
use openmesh_message::frame::{LogFilter, Verdict};
use openmesh_message::limits::{MESSAGE_ID_BYTES_MAX, TOPIC_BYTES_MAX};
use openmesh_message::{AgentId, AgentRef, Timestamp};

/// No record is of this kind.
const NO_KIND: &str = "none";

/// The parameters of a filter; all that are given must fit.
pub(crate) fn with_filter(operation: Operation) -> Operation {
    operation
        .in_query("id", text(MESSAGE_ID_BYTES_MAX), "The id of a message.")
        .in_query("agent", formed(64, AGENT), "The sender, or who got it into its inbox.")
        .in_query("topic", formed(TOPIC_BYTES_MAX, TOPIC_PATTERN), "The topic, or a pattern of topics.")
        .example("market/*")
        .in_query("conversation", formed(36, UUID), "The conversation.")
        .in_query("kind", text(64), "The kind of record: `message`, `refused`, `leased` …")
        .in_query("type", text(256), "The `type` of a message.")
        .in_query("performative", text(64), "The performative of a message.")
        .in_query("verdict", word(&["accepted", "refused"]), "What came of a message.")
        .in_query("since", formed(40, TIME), "Decided then or later.")
        .in_query("until", formed(40, TIME), "Decided before then.")
        .in_query(
            "where",
            text(EXPRESSION_BYTES_MAX),
            "A CEL expression over the record: paths, comparisons, `&& || ! in`, `has()`, `startsWith` and the like.",
        )
}

/// The expression that a call's records must fit besides.
pub(crate) fn expression_of(call: &Call) -> Result<Option<RowFilter>, Failure> {
    let compiled = call.text("where").map(RowFilter::compile).transpose();
    Ok(compiled.map_err(|why| Rejection::BadArgument("where", why))?)
}

/// The filter of a call. An agent that nobody knows is asked for all the same, as one without records: whether the
/// caller may ask at all is decided before anybody is looked up.
pub(crate) fn filter_of(call: &Call) -> Result<LogFilter, Failure> {
    let owned = |name: &str| call.text(name).map(str::to_owned);
    let agent = call.text("agent").map(|text| known_agent(call, text));
    let kind = if agent == Some(None) { Some(NO_KIND.to_owned()) } else { owned("kind") };
    let verdict = call.text("verdict").map(str::parse::<Verdict>).transpose();
    Ok(LogFilter {
        id: owned("id"),
        agent: agent.flatten(),
        topic: owned("topic"),
        conversation: owned("conversation"),
        kind,
        message_type: owned("type"),
        performative: owned("performative"),
        verdict: verdict.map_err(|why| Rejection::BadArgument("verdict", why))?,
        since: call.parse::<Timestamp>("since")?,
        until: call.parse::<Timestamp>("until")?,
    })
}

fn known_agent(call: &Call, text: &str) -> Option<AgentId> {
    let reference = text.parse::<AgentRef>().ok()?;
    call.door.mesh.view().directory.resolve(&reference)
}
