//! Replay: decides a conversation again from its records and compares with what was decided then.

use crate::directory::Directory;
use crate::record::{Outcome, Record, Step};
use crate::state::Facts;
use openmesh_message::{ConversationId, Target};
use openmesh_policy::Authenticity;
use openmesh_schema::{Act, ActTarget, Catalog, ConversationState, Protocol, Transition};
use std::sync::Arc;

/// Re-drives one conversation, record by record.
#[derive(Debug)]
pub struct Replay<'a> {
    conversation: ConversationId,
    catalog: &'a Catalog,
    directory: &'a Directory,
    state: Option<ConversationState>,
    steps: u64,
    /// Steps that rest on what is not in the log any more.
    undecided: u64,
}

/// Where a replay differs from the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {seq}: {what}")]
pub struct Divergence {
    /// The record.
    pub seq: u64,
    /// What differs.
    pub what: String,
}

impl<'a> Replay<'a> {
    /// A replay of a conversation; the directory says whose a name is, and which keys the node keeps for whom.
    pub const fn new(conversation: ConversationId, catalog: &'a Catalog, directory: &'a Directory) -> Self {
        Self { conversation, catalog, directory, state: None, steps: 0, undecided: 0 }
    }

    /// How many steps were decided again and agreed.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// How many steps could not be decided again: from the first whose message was erased, or all of a conversation whose
    /// beginning was let go.
    pub const fn undecided(&self) -> u64 {
        self.undecided
    }

    /// The state after the steps so far.
    pub const fn state(&self) -> Option<&ConversationState> {
        self.state.as_ref()
    }

    /// Decides a record's step again; records of other conversations are passed over.
    pub fn step(&mut self, record: &Record) -> Result<(), Divergence> {
        let Some(step) = record.step().filter(|step| step.conversation == self.conversation) else {
            return Ok(());
        };
        let begins =
            record.header.logs.iter().any(|log| log.seq == 1 && log.log.0.starts_with("conversation/"));
        if self.undecided > 0 || record.is_erased() || (self.state.is_none() && !begins) {
            self.undecided += 1;
            return Ok(());
        }
        let differs = |what: String| Divergence { seq: record.header.position.seq, what };
        let protocol = self.catalog.protocol(&step.protocol).map(Arc::clone);
        let protocol =
            protocol.ok_or_else(|| differs(format!("its protocol {} is not in the log", step.protocol)))?;
        let again = match &record.header.outcome {
            Outcome::Fired { .. } => self.fire_again(&protocol, record),
            _ => self.act_again(&protocol, record),
        };
        let again = again.map_err(differs)?;
        if again != step.transition {
            return Err(differs(format!(
                "decided again as `{}`, kept as `{}`",
                again.summary(),
                step.transition.summary()
            )));
        }
        self.apply(&protocol, step, record);
        self.steps += 1;
        Ok(())
    }

    fn fire_again(&self, protocol: &Protocol, record: &Record) -> Result<Transition, String> {
        let state = self.state.as_ref().ok_or("a timer fired before the conversation began")?;
        let again = protocol.fire(state, record.header.at).map(|advance| advance.transition);
        again.ok_or_else(|| "no timer is due at that time".to_owned())
    }

    fn act_again(&self, protocol: &Protocol, record: &Record) -> Result<Transition, String> {
        let Outcome::Accepted(accepted) = &record.header.outcome else {
            return Err("not a message".to_owned());
        };
        let message = record.message().ok_or("the message was erased")?;
        let facts = Facts::of(message).ok_or("the message cannot be read")?;
        let proof = message.proof.as_ref().ok_or("the message has no proof")?;
        let control = &facts.control;
        proof.verify(proof.keyid(), &facts.digest).map_err(|error| error.to_string())?;
        let authenticity = self.directory.authenticity(&control.source, proof.keyid());
        if authenticity != Some(accepted.authenticity) {
            return Err(format!("kept as {}, which its proof is not", accepted.authenticity));
        }
        let to = self.target(&control.to.target)?;
        let act = Act {
            sender: control.source,
            performative: &control.performative,
            schema: control.schema.as_ref(),
            payload: facts.payload.as_deref(),
            payload_bytes: &message.payload,
            digest: facts.digest,
            parents: &control.parents,
            to,
            invites: &control.invites,
            custodial: accepted.authenticity == Authenticity::Custodial,
        };
        let decided = match &self.state {
            None => protocol.open(&self.conversation, &act, record.header.at),
            Some(state) => protocol.step(state, &act, record.header.at),
        };
        let decided = decided.map(|advance| advance.transition);
        decided.map_err(|illegal| format!("refused on replay: {}", illegal.detail))
    }

    fn target(&self, target: &Target) -> Result<ActTarget, String> {
        let agent = match target {
            Target::Topic(_) => return Ok(ActTarget::Topic),
            Target::Conversation(_) => return Ok(ActTarget::Conversation),
            Target::Agent(agent) | Target::Inbox(agent) => agent,
        };
        let id = self.directory.resolve(agent).ok_or_else(|| format!("no agent is named {agent}"))?;
        Ok(ActTarget::Agent(id))
    }

    fn apply(&mut self, protocol: &Protocol, step: &Step, record: &Record) {
        let facts = record.message().and_then(Facts::of);
        let payload = facts.as_ref().and_then(|facts| facts.payload.as_deref());
        let state = self.state.get_or_insert_with(|| protocol.blank(&step.conversation));
        protocol.apply(state, &step.transition, payload);
    }
}
