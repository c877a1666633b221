//! Questions about the log: what to look for, and a page of what was found.

use crate::{AgentId, Timestamp};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What to look for in the log; all that are given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct LogFilter {
    /// The message id.
    #[n(0)]
    pub id: Option<String>,
    /// The sender or recipient.
    #[n(1)]
    pub agent: Option<AgentId>,
    /// A topic pattern: `market/*`, `topic:market/*`, or absolute.
    #[n(2)]
    pub topic: Option<String>,
    /// The conversation.
    #[n(3)]
    pub conversation: Option<String>,
    /// The kind of record: `message`, `refused`, `leased` …
    #[n(4)]
    pub kind: Option<String>,
    /// The `type` attribute of a message.
    #[n(5)]
    pub message_type: Option<String>,
    /// The performative of a message, taken in or refused.
    #[n(6)]
    pub performative: Option<String>,
    /// What came of a message.
    #[n(7)]
    pub verdict: Option<Verdict>,
    /// Decided at this time or later.
    #[n(8)]
    pub since: Option<Timestamp>,
    /// Decided before this time.
    #[n(9)]
    pub until: Option<Timestamp>,
}

/// What came of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Verdict {
    /// It was taken in.
    #[n(0)]
    Accepted,
    /// It was refused.
    #[n(1)]
    Refused,
}

/// A page of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct LogPage {
    /// The records, each as one JSON text.
    #[n(0)]
    pub records: Vec<String>,
    /// Where the next page begins; `None` at the end. A question that waits has no end.
    #[n(1)]
    pub next_after_seq: Option<u64>,
    /// While the index is behind the log: thousandths of the log that it covers. The page is right, but it may look at
    /// less of the log than it would later.
    #[n(2)]
    pub index_building: Option<u16>,
}

impl Verdict {
    /// The kind of the records that hold it.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Accepted => "message",
            Self::Refused => "refused",
        }
    }
}

impl FromStr for Verdict {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "accepted" => Ok(Self::Accepted),
            "refused" => Ok(Self::Refused),
            _ => Err(format!("`{}` is not accepted or refused", crate::limits::excerpt(text))),
        }
    }
}
