//! The auditor: invited to every negotiation, reads along, takes no part, and says how each one ended.

use super::post::tell;
use super::trader::read_notice;
use crate::demo::cue::News;
use anyhow::Result;
use openmesh_message::ConversationId;
use openmesh_sdk::Envelope;
use std::collections::BTreeSet;

/// What the auditor knows.
#[derive(Default)]
pub(super) struct Auditor {
    ended: BTreeSet<ConversationId>,
}

impl Auditor {
    /// Reads one message of the inbox.
    pub(super) fn read(&mut self, envelope: &Envelope) -> Result<()> {
        let Some(notice) = read_notice(envelope) else { return Ok(()) };
        let Some(outcome) = notice.outcome else { return Ok(()) };
        if self.ended.insert(notice.conversation) {
            tell(&News::Ended { conversation: notice.conversation.to_string(), outcome })?;
        }
        Ok(())
    }
}
