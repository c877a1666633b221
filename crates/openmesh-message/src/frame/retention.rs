//! How long the messages of a pinned topic are handed out.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// How much of a pinned topic is handed out; what is `None` sets no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Retention {
    /// Nothing older than this.
    #[n(0)]
    pub age_ms: Option<u64>,
    /// The latest so many bytes of messages, and at most a sixty-fourth part or one message more.
    #[n(1)]
    pub bytes: Option<u64>,
    /// The latest so many messages.
    #[n(2)]
    pub messages: Option<u64>,
}

impl Retention {
    /// Everything, for good.
    pub const UNLIMITED: Self = Self { age_ms: None, bytes: None, messages: None };

    /// Whether nothing is ever let go.
    pub const fn is_unlimited(&self) -> bool {
        self.age_ms.is_none() && self.bytes.is_none() && self.messages.is_none()
    }
}
