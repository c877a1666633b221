//! Inbox verbs: lease, extend, ack, nack, count; and what time does to an inbox.

use super::{Answer, Caller};
use crate::deadlines::Owner;
use crate::inbox::Inbox;
use crate::partition::{Partition, Waiting};
use crate::plan::{Effect, LeasedItem, Plan};
use crate::record::{Body, Outcome, Put, Settlement};
use crate::rejection::Rejection;
use crate::state::Logical;
use openmesh_message::frame::Reply;
use openmesh_message::{AgentId, Priority};
use openmesh_policy::{Action, Destination, Party};

/// Messages of one lease.
const LEASE_MESSAGES_MAX: u32 = 1_024;
/// Longest lease, and longest delay of a message given back.
const VISIBILITY_MS_MAX: u64 = 12 * 60 * 60 * 1000;
/// Longest wait for mail.
const WAIT_MS_MAX: u64 = 60 * 1000;
/// Agents' waiting leases at a time.
const WAITING_MAX: usize = 64;

impl Waiting {
    /// A lease as it was asked for, within limits.
    pub(super) fn asked(
        caller: Caller,
        (messages_max, least): (u32, Priority),
        visibility_ms: u64,
        wait_ms: u64,
    ) -> Self {
        Self {
            ticket: caller.ticket,
            messages_max: messages_max.clamp(1, LEASE_MESSAGES_MAX),
            visibility_ms,
            until: caller.now.plus_ms(clamp_ms(wait_ms, WAIT_MS_MAX)),
            least,
        }
    }
}

/// Messages that a caller says it holds; all of the lease if no number is named.
#[derive(Clone, Copy)]
pub(super) struct Held<'a> {
    pub(super) token: u64,
    pub(super) numbers: &'a [u64],
}

impl<'a> Held<'a> {
    pub(super) const fn new(token: u64, numbers: &'a [u64]) -> Self {
        Self { token, numbers }
    }
}

impl Partition {
    pub(super) fn lease(&mut self, caller: Caller, waiting: Waiting, plan: &mut Plan) -> Answer {
        self.decide_own_inbox(caller)?;
        self.settle_due(&caller.agent, plan);
        if self.lease_for(&caller.agent, waiting, plan) {
            return Ok(None);
        }
        if waiting.until <= caller.now {
            return Ok(Some(Reply::Leased(Vec::new())));
        }
        let queue = self.waiting.entry(caller.agent).or_default();
        if queue.len() >= WAITING_MAX {
            return Err(Rejection::Busy);
        }
        queue.push_back(waiting);
        self.set_waiting_deadline(&caller.agent);
        Ok(None)
    }

    pub(super) fn extend(
        &mut self,
        caller: Caller,
        token: u64,
        visibility_ms: u64,
        plan: &mut Plan,
    ) -> Answer {
        self.leased(caller, Held { token, numbers: &[] }, plan)?;
        let until = caller.now.plus_ms(clamp_ms(visibility_ms, VISIBILITY_MS_MAX));
        let outcome = Outcome::Extended { agent: caller.agent, token, until };
        self.commit_inbox(&caller.agent, outcome, plan);
        Ok(Some(Reply::Done))
    }

    pub(super) fn acknowledge(&mut self, caller: Caller, held: Held<'_>, plan: &mut Plan) -> Answer {
        let acknowledged = self.leased(caller, held, plan)?;
        let settlement = Settlement { acknowledged, ..Settlement::default() };
        self.commit_settlement(&caller.agent, settlement, plan);
        Ok(Some(Reply::Done))
    }

    pub(super) fn give_back(
        &mut self,
        caller: Caller,
        held: Held<'_>,
        delay_ms: u64,
        plan: &mut Plan,
    ) -> Answer {
        let numbers = self.leased(caller, held, plan)?;
        let until = caller.now.plus_ms(clamp_ms(delay_ms, VISIBILITY_MS_MAX));
        let inbox = self.state.inboxes.get(&caller.agent).ok_or(Rejection::StaleLease)?;
        let settlement = inbox.give_back(&numbers, until, self.config.deliveries_max);
        self.commit_settlement(&caller.agent, settlement, plan);
        self.serve_waiting(&caller.agent, plan);
        Ok(Some(Reply::Done))
    }

    pub(super) fn count_inbox(&self, caller: Caller) -> Answer {
        self.decide_own_inbox(caller)?;
        let counts = self.state.inboxes.get(&caller.agent).map(Inbox::counts).unwrap_or_default();
        Ok(Some(Reply::Inbox(counts)))
    }

    /// Records what time alone has settled in an inbox.
    pub(crate) fn settle_due(&mut self, agent: &AgentId, plan: &mut Plan) {
        let Some(inbox) = self.state.inboxes.get(agent) else {
            return;
        };
        let settlement = inbox.due(plan.at, self.config.deliveries_max);
        if settlement != Settlement::default() {
            self.commit_settlement(agent, settlement, plan);
        }
    }

    /// Leases to agents that wait, while there is mail for them.
    pub(crate) fn serve_waiting(&mut self, agent: &AgentId, plan: &mut Plan) {
        if !self.waiting.contains_key(agent) {
            return;
        }
        while let Some((place, waiting)) = self.next_served(agent) {
            if !self.lease_for(agent, waiting, plan) {
                return;
            }
            if let Some(queue) = self.waiting.get_mut(agent) {
                queue.remove(place);
            }
            self.set_waiting_deadline(agent);
        }
        self.set_waiting_deadline(agent);
    }

    /// The first of an agent's waiting leases for which there is mail.
    fn next_served(&self, agent: &AgentId) -> Option<(usize, Waiting)> {
        let most_urgent = self.state.inboxes.get(agent)?.most_urgent()?;
        let mut waiting = self.waiting.get(agent)?.iter().copied().enumerate();
        waiting.find(|(_, waiting)| most_urgent <= waiting.least)
    }

    /// Tells agents whose wait is over that there was no mail.
    pub(crate) fn end_waiting(&mut self, agent: &AgentId, plan: &mut Plan) {
        if let Some(queue) = self.waiting.get_mut(agent) {
            for over in queue.iter().filter(|waiting| waiting.until <= plan.at) {
                plan.effects.push(Effect::Reply(over.ticket, Ok(Reply::Leased(Vec::new()))));
            }
            queue.retain(|waiting| waiting.until > plan.at);
        }
        self.set_waiting_deadline(agent);
    }

    fn lease_for(&mut self, agent: &AgentId, waiting: Waiting, plan: &mut Plan) -> bool {
        let Some(inbox) = self.state.inboxes.get(agent) else {
            return false;
        };
        let numbers = inbox.leasable(waiting.messages_max as usize, waiting.least);
        if numbers.is_empty() {
            return false;
        }
        let token = inbox.last_token() + 1;
        let items = numbers.iter().filter_map(|number| {
            let entry = inbox.get(*number)?;
            let put = Put { agent: *agent, number: *number, notice: entry.notice };
            Some(LeasedItem { seq: entry.seq, put, attempt: entry.attempts + 1 })
        });
        let items = items.collect();
        let until = plan.at.plus_ms(clamp_ms(waiting.visibility_ms, VISIBILITY_MS_MAX));
        let outcome = Outcome::Leased { agent: *agent, token, until, numbers };
        self.commit_inbox(agent, outcome, plan);
        plan.effects.push(Effect::Lease { ticket: waiting.ticket, token, items });
        true
    }

    /// The entries that the caller holds under a token; a lease that has timed out is settled first.
    fn leased(&mut self, caller: Caller, held: Held<'_>, plan: &mut Plan) -> Result<Vec<u64>, Rejection> {
        self.decide_own_inbox(caller)?;
        self.settle_due(&caller.agent, plan);
        let inbox = self.state.inboxes.get(&caller.agent).ok_or(Rejection::StaleLease)?;
        inbox.leased_under(held.token, held.numbers).ok_or(Rejection::StaleLease)
    }

    pub(super) fn decide_own_inbox(&self, caller: Caller) -> Result<(), Rejection> {
        let mut request = self.context(caller, Action::Read, None);
        request.destination =
            Some(Destination::Inbox(Party { id: Some(caller.agent), name: request.agent_name }));
        self.decide_context(&request)
    }

    fn commit_settlement(&mut self, agent: &AgentId, settlement: Settlement, plan: &mut Plan) {
        self.commit_inbox(agent, Outcome::Settled { agent: *agent, settlement }, plan);
    }

    fn commit_inbox(&mut self, agent: &AgentId, outcome: Outcome, plan: &mut Plan) {
        let draft = self.draft_in(Logical::InboxEvents(*agent), Some(*agent), outcome, Body::Empty);
        self.commit(draft, None, plan);
    }

    fn set_waiting_deadline(&mut self, agent: &AgentId) {
        let queue = self.waiting.get(agent).filter(|queue| !queue.is_empty());
        let deadline = queue.and_then(|queue| queue.iter().map(|waiting| waiting.until).min());
        if deadline.is_none() {
            self.waiting.remove(agent);
        }
        self.deadlines.set(Owner::Waiter(*agent), deadline);
    }
}

fn clamp_ms(asked_ms: u64, ms_max: u64) -> i64 {
    asked_ms.min(ms_max).cast_signed()
}
