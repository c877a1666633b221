//! Looking into an inbox without taking anything, and calling back what its recipient has not taken.

use super::{Answer, Caller};
use crate::dedup::{Lookup, short_id};
use crate::inbox::{Entry, EntryState};
use crate::partition::Partition;
use crate::plan::{Effect, Plan, SeenItem};
use crate::planted::{self, Planted};
use crate::record::{Body, Outcome, Put};
use crate::rejection::Rejection;
use crate::state::Logical;
use openmesh_message::frame::{HeldState, PeekPage, Reply};
use openmesh_message::{AgentId, Digest, Timestamp};
use openmesh_policy::Action;

/// Messages of one page.
const PEEK_MESSAGES_MAX: u32 = 256;

impl Partition {
    pub(super) fn peek(
        &self,
        caller: Caller,
        after_number: u64,
        messages_max: u32,
        plan: &mut Plan,
    ) -> Answer {
        self.decide_own_inbox(caller)?;
        let Some(inbox) = self.state.inboxes.get(&caller.agent) else {
            return Ok(Some(Reply::Peeked(PeekPage::default())));
        };
        let messages_max = messages_max.clamp(1, PEEK_MESSAGES_MAX) as usize;
        let (numbers, more) = inbox.seen(after_number, messages_max, caller.now);
        let next_after_number = numbers.last().copied().filter(|_| more);
        let items = numbers.iter().filter_map(|number| {
            let entry = inbox.get(*number)?;
            Some(seen(caller.agent, *number, &entry))
        });
        let items = items.collect();
        plan.effects.push(Effect::Peek { ticket: caller.ticket, items, next_after_number });
        Ok(None)
    }

    /// Ends a message that nobody has taken. Only its sender may, and whatever else is wrong is told in one way, so
    /// that nothing is learnt of the inbox.
    pub(super) fn recall(
        &mut self,
        caller: Caller,
        (recipient, number): (AgentId, u64),
        (digest, id): (&Digest, &str),
        plan: &mut Plan,
    ) -> Answer {
        self.decide_plain(caller, Action::Read, None)?;
        let entry = self.state.inboxes.get(&recipient).and_then(|inbox| inbox.get(number));
        let own = entry.filter(|entry| entry.sender == Some(caller.agent));
        let entry = own.filter(|entry| self.is_that(caller, entry, (digest, id)));
        let entry = entry.ok_or(Rejection::TooLateToRecall)?;
        if entry.is_act {
            return Err(Rejection::ActIsDone);
        }
        let is_held = matches!(entry.state, EntryState::Leased(..));
        let has_ended = entry.expiry.is_some_and(|expiry| expiry <= caller.now);
        if has_ended || (is_held && !planted::has(Planted::RecallLeased)) {
            return Err(Rejection::TooLateToRecall);
        }
        let outcome = Outcome::Recalled { agent: recipient, number };
        let log = Logical::InboxEvents(recipient);
        let draft = self.draft_in(log, Some(caller.agent), outcome, Body::Empty);
        self.commit(draft, None, plan);
        Ok(Some(Reply::Done))
    }

    /// Whether an entry is of the message named, as far as its id is still remembered.
    fn is_that(&self, caller: Caller, entry: &Entry, (digest, id): (&Digest, &str)) -> bool {
        let long_ago = Timestamp::from_millis(i64::MAX);
        match self.state.dedup.look_up(&caller.agent, short_id(id), digest, long_ago) {
            Lookup::Again(seq) => seq == entry.seq,
            Lookup::Conflict => false,
            Lookup::Fresh | Lookup::BelowFloor => true,
        }
    }
}

fn seen(agent: AgentId, number: u64, entry: &Entry) -> SeenItem {
    let state = match entry.state {
        EntryState::Ready => HeldState::Ready,
        EntryState::Delayed(until) => HeldState::Delayed(until),
        EntryState::Leased(_, until) => HeldState::Leased(until),
    };
    let put = Put { agent, number, notice: entry.notice };
    SeenItem { seq: entry.seq, put, attempts: entry.attempts, priority: entry.priority, state }
}
