//! Questions that need not wait for the owner: those that are answered at once, where a published view decides them.

use super::Querying;
use crate::journey::count_command;
use openmesh_adapter::{Answers, Asked, Outbox};
use openmesh_core::{Question, View};
use openmesh_message::frame::{Command, Retention};
use openmesh_store::planted::{self, Planted};
use std::fmt;

/// Answers questions beside the owner.
pub(in crate::perform) struct Beside(pub(in crate::perform) Querying);

impl Answers for Beside {
    /// A question that waits has its room at the owner; one that is refused is refused by the owner. None overtakes what its
    /// connection sent before.
    fn answer(&self, asked: Asked, outbox: &Outbox) -> Option<Asked> {
        if asked.overtakes && !planted::has(Planted::OvertakeOwn) {
            return Some(asked);
        }
        let Self(querying) = self;
        let view = querying.mesh.view();
        let question = question(&asked).filter(|_| is_current(&view));
        let Some(question) = question.and_then(|question| view.question(question).ok()) else {
            return Some(asked);
        };
        count_command(&asked.command);
        querying.answer_at_once(asked.ticket, question, outbox);
        None
    }
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Beside")
    }
}

fn question(asked: &Asked) -> Option<Question> {
    match &asked.command {
        Command::QueryLog { filter, after_seq, records_max, wait_ms: 0, newest_first } => Some(Question {
            agent: asked.agent,
            filter: (**filter).clone(),
            after_seq: *after_seq,
            records_max: *records_max,
            wait_ms: 0,
            newest_first: *newest_first,
        }),
        _ => None,
    }
}

/// Which messages of a topic with a limit are still handed out changes with each message: only the owner knows.
fn is_current(view: &View) -> bool {
    view.topics.settings().all(|(_, setting)| setting.retention == Retention::UNLIMITED)
}
