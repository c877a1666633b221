//! Upkeep of the log, as far as the partition decides it: checkpoints, erasures, and what of old records is still wanted.
//! What is done to files is done elsewhere, and reported here.

use crate::command::{Answer, Caller};
use crate::input::Ticket;
use crate::partition::Partition;
use crate::plan::{Effect, Plan};
use crate::record::{Body, Checkpoint, Erasure, Outcome, Record};
use crate::rejection::Rejection;
use crate::state::Logical;
use openmesh_message::frame::Reply;
use openmesh_message::{AgentId, KeyPair, Position, Signature, Timestamp, TopicPath};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// Characters of the reason for an erasure.
const REASON_CHARS_MAX: usize = 1_000;
/// Bodies that wait to be erased; beyond it no more are taken.
const ERASING_MAX: usize = 10_000;
const CLAIM_CONTEXT: &str = "openmesh checkpoint claim v1";

/// What is to be done to the log, and was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogUpkeep {
    /// The record that last changed this.
    as_of: u64,
    /// Up to here the last checkpoint goes.
    checkpoint: Option<Position>,
    /// Records whose bodies are to be erased.
    erasing: BTreeSet<u64>,
}

/// Why a record is still wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Mail in an inbox that has not ended.
    Mail(AgentId),
    /// A step of a conversation that has not ended.
    Conversation(openmesh_message::ConversationId),
    /// The topic's retention still hands it out.
    Topic(TopicPath),
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mail(agent) => write!(f, "mail waits in the inbox of {agent}"),
            Self::Conversation(id) => write!(f, "conversation {id} is open"),
            Self::Topic(topic) => write!(f, "topic {topic} hands it out"),
        }
    }
}

impl LogUpkeep {
    /// The record that last changed this; until that is synced, nothing follows from it.
    pub const fn as_of(&self) -> u64 {
        self.as_of
    }

    /// Up to here the last checkpoint goes.
    pub const fn checkpoint(&self) -> Option<Position> {
        self.checkpoint
    }

    /// Records whose bodies are to be erased.
    pub const fn erasing(&self) -> &BTreeSet<u64> {
        &self.erasing
    }

    pub(crate) fn note(&mut self, record: &Record) {
        self.as_of = record.header.position.seq;
        match &record.header.outcome {
            Outcome::Checkpoint(checkpoint) => self.checkpoint = Some(checkpoint.through),
            Outcome::Erased(erasure) => {
                self.erasing.extend(erasure.positions.iter().map(|position| position.seq));
            }
            Outcome::ErasureDone { seqs } => {
                for seq in seqs {
                    self.erasing.remove(seq);
                }
            }
            _ => {}
        }
    }
}

impl Checkpoint {
    /// The owner's claim.
    pub fn sign(&self, node: &KeyPair) -> Signature {
        node.sign(CLAIM_CONTEXT, &self.claim())
    }

    /// Whether the claim is the owner's.
    pub fn is_signed(&self, claim: &Signature) -> bool {
        claim.verifies(&self.owner, CLAIM_CONTEXT, &self.claim())
    }

    fn claim(&self) -> Vec<u8> {
        minicbor::to_vec(self).unwrap_or_default()
    }
}

impl Partition {
    /// Why a record is still wanted; `None` where nothing needs it any more.
    pub fn wanted(&self, record: &Record, now: Timestamp) -> Option<Wanted> {
        let step = record.step().map(|step| step.conversation);
        let is_open = |id: &_| self.state.conversations.get(id).is_some_and(|state| !state.is_ended());
        if let Some(id) = step.filter(is_open) {
            return Some(Wanted::Conversation(id));
        }
        if let Some(agent) = self.waits_for(record) {
            return Some(Wanted::Mail(agent));
        }
        let topic: TopicPath = record.topic()?.parse().ok()?;
        let number = record.header.logs.first().map_or(0, |in_topic| in_topic.seq);
        let retention =
            self.state.topics.of(&topic).map(|(_, setting)| setting.retention).unwrap_or_default();
        let keeps = self.state.shelves.keeps(&topic, (number, record.header.at), &retention, now);
        keeps.then_some(Wanted::Topic(topic))
    }

    /// Whether a record is mail and nothing else: neither a topic's message nor a step; and all of it has ended.
    pub fn is_ended_mail(&self, record: &Record) -> bool {
        let is_mail = record.message().is_some()
            && record.step().is_none()
            && record.topic().is_none()
            && !record.puts().is_empty();
        is_mail && self.waits_for(record).is_none()
    }

    fn waits_for(&self, record: &Record) -> Option<AgentId> {
        let waits =
            |agent, number| self.state.inboxes.get(agent).is_some_and(|inbox| inbox.get(number).is_some());
        record.puts().iter().find(|put| waits(&put.agent, put.number)).map(|put| put.agent)
    }

    pub(crate) fn note_checkpoint(&mut self, checkpoint: Checkpoint, claim: Signature, plan: &mut Plan) {
        let draft =
            self.draft_in(Logical::domain(), None, Outcome::Checkpoint(checkpoint), Body::Claim(claim));
        self.commit(draft, None, plan);
    }

    pub(crate) fn find_to_erase(
        &self,
        caller: Caller,
        message: String,
        reason: String,
        plan: &mut Plan,
    ) -> Answer {
        let malformed = |name, why: &str| Err(Rejection::BadArgument(name, why.to_owned()));
        if reason.trim().is_empty() || reason.chars().count() > REASON_CHARS_MAX {
            return malformed("reason", "say why, in at most 1,000 characters: it is kept");
        }
        if self.state.upkeep.erasing().len() >= ERASING_MAX {
            return Err(Rejection::Busy);
        }
        let (ticket, agent) = (caller.ticket, caller.agent);
        plan.effects.push(Effect::Erase { ticket, agent, message, reason });
        Ok(None)
    }

    /// Notes that bodies are to be erased; mail that waits with them ends as called back.
    pub(crate) fn erase(
        &mut self,
        (ticket, agent): (Ticket, AgentId),
        positions: Vec<Position>,
        reason: String,
        plan: &mut Plan,
    ) {
        let seqs: BTreeSet<u64> = positions.iter().map(|position| position.seq).collect();
        let entries = self.state.inboxes.iter().flat_map(|(agent, inbox)| {
            let held =
                inbox.entries().filter(|(_, entry)| entry.notice.is_none() && seqs.contains(&entry.seq));
            held.map(|(number, _)| (*agent, number))
        });
        let ended: Vec<_> = entries.collect();
        let shown: Vec<_> = positions.iter().map(|position| position.to_string()).collect();
        let row = json!({"erasing": shown, "mail_ended": ended.len(), "record": self.next_seq()});
        let outcome = Outcome::Erased(Erasure { positions, ended, reason });
        let draft = self.draft_in(Logical::domain(), Some(agent), outcome, Body::Empty);
        self.commit(draft, None, plan);
        plan.effects.push(Effect::Reply(ticket, Ok(Reply::Rows(vec![row.to_string()]))));
    }

    pub(crate) fn note_erased(&mut self, seqs: &[u64], plan: &mut Plan) {
        let is_due = |seq: &&u64| self.state.upkeep.erasing().contains(*seq);
        let seqs: Vec<u64> = seqs.iter().filter(is_due).copied().collect();
        if !seqs.is_empty() {
            let draft = self.draft_in(Logical::domain(), None, Outcome::ErasureDone { seqs }, Body::Empty);
            self.commit(draft, None, plan);
        }
    }
}
