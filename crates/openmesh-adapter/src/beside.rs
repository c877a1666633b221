//! What is answered beside the owner: questions that change nothing, and that a published view decides.

use crate::outbox::Outbox;
use openmesh_core::Ticket;
use openmesh_message::AgentId;
use openmesh_message::frame::Command;
use std::fmt::Debug;
use std::sync::{Arc, OnceLock, Weak};

/// A command, and who gave it.
#[derive(Debug)]
pub struct Asked {
    /// Where the answer goes.
    pub ticket: Ticket,
    /// Who gave it.
    pub agent: AgentId,
    /// The command.
    pub command: Command,
    /// Whether what its connection sent before is not all answered yet: an answer beside the owner would overtake that.
    pub overtakes: bool,
}

/// Whoever answers beside the owner.
pub trait Answers: Debug + Send + Sync {
    /// Sees to an answer, or gives the command back for the owner.
    fn answer(&self, asked: Asked, outbox: &Outbox) -> Option<Asked>;
}

/// Who answers, once that is known. It is not kept alive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beside(Arc<OnceLock<Weak<dyn Answers>>>);

impl Beside {
    /// The first to offer is who answers.
    pub(crate) fn offer(&self, answers: Weak<dyn Answers>) {
        let _ = self.0.set(answers);
    }

    pub(crate) fn ask(&self, asked: Asked, outbox: &Outbox) -> Option<Asked> {
        match self.0.get().and_then(Weak::upgrade) {
            Some(answers) => answers.answer(asked, outbox),
            None => Some(asked),
        }
    }
}
