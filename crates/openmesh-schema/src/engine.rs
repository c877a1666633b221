//! How a conversation moves. Deciding (`open`, `step`, `fire`) only reads; `apply` only does what was decided.
//!
//! For one act at `now`: call `fire` and `apply` until nothing is due, then `step`, then `apply`.

mod apply;
mod checks;
mod matching;
mod next;
mod scope;
mod visible;
mod work;

use crate::conversation::{
    Act, ActTarget, Advance, AllowedAct, Cause, ConversationState, Effect, IllegalAct, IllegalKind, Instance,
    Notice, Obligation, Transition,
};
use crate::definition::{Binds, Label, MAIN_MACHINE, Role, State};
use crate::limits::AGENTS_MAX;
use crate::protocol::Protocol;
use openmesh_message::json::Document;
use openmesh_message::{AgentId, ConversationId, Timestamp};
use std::sync::Arc;
use work::Work;

/// Why an act is refused, before anybody is told.
#[derive(Debug)]
struct Refusal {
    kind: IllegalKind,
    detail: String,
}

impl Refusal {
    fn new(kind: IllegalKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

impl Protocol {
    /// A conversation before its first transition; recovery starts here.
    pub fn blank(&self, id: &ConversationId) -> ConversationState {
        let main = self.definition().machines.get(MAIN_MACHINE);
        let initial = main.map(|machine| Label::clone(&machine.initial)).unwrap_or_default();
        ConversationState {
            version: ConversationState::VERSION,
            id: *id,
            protocol: Arc::clone(self.shared_pin()),
            opened: None,
            addressee: None,
            bound: Vec::new(),
            correlation: None,
            round: Instance::begin(initial, Timestamp::from_millis(0)),
            instances: Vec::new(),
            duties: Vec::new(),
            ended: None,
        }
    }

    /// Decides whether `act` opens a conversation.
    pub fn open(&self, id: &ConversationId, act: &Act<'_>, now: Timestamp) -> Result<Advance, IllegalAct> {
        self.decide_opening(self.blank(id), act, now).map_err(|refusal| IllegalAct {
            kind: refusal.kind,
            state: String::new(),
            allowed_next: self.allowed_opening(),
            detail: refusal.detail,
        })
    }

    /// Decides whether `act` is a legal step.
    pub fn step(
        &self,
        state: &ConversationState,
        act: &Act<'_>,
        now: Timestamp,
    ) -> Result<Advance, IllegalAct> {
        self.decide_step(state, act, now).map_err(|refusal| self.illegal(state, act, now, refusal))
    }

    /// The step of the timer that was due first, if one is due; call it until none is.
    pub fn fire(&self, state: &ConversationState, now: Timestamp) -> Option<Advance> {
        let due = state
            .all()
            .enumerate()
            .filter_map(|(place, instance)| Some((instance.deadline?, place)))
            .filter(|(deadline, _)| *deadline <= now)
            .min();
        let id = state.id_at(due?.1)?;
        let timer = self.state_of(state, &id)?.timer.as_ref()?;
        let mut work = Work::begin(self, Box::new(state.clone()), now, None);
        work.enter(&id, &timer.next, Cause::Timer);
        work.settle();
        Some(work.finish())
    }

    /// Does what a transition says; `payload` is the act's (absent for timers and erased bodies).
    pub fn apply(&self, state: &mut ConversationState, transition: &Transition, payload: Option<&Document>) {
        for effect in &transition.effects {
            apply::apply(self, state, effect, payload, transition.at);
        }
    }

    /// When the next timer is due.
    pub fn next_deadline(&self, state: &ConversationState) -> Option<Timestamp> {
        state.all().filter_map(|instance| instance.deadline).min()
    }

    /// The open duties, oldest first.
    pub fn obligations<'s>(&self, state: &'s ConversationState) -> &'s [Obligation] {
        &state.duties
    }

    /// The roles that an unbound agent could take by its first act.
    pub fn may_join<'a>(
        &'a self,
        state: &'a ConversationState,
        agent: &AgentId,
    ) -> impl Iterator<Item = &'a Label> + use<'a> {
        let invited = state.addressee.is_none_or(|addressee| addressee == *agent);
        let joins = invited && state.ended.is_none() && state.role_of(agent).is_none();
        let roles = joins.then(|| self.definition().roles.iter()).into_iter().flatten();
        let open = move |(name, role): &(&'a Label, &Role)| {
            role.binds == Binds::FirstMove && role.count.has_room(state.agents_of(name).count())
        };
        roles.filter(open).map(|(name, _)| name)
    }

    fn decide_opening(
        &self,
        blank: ConversationState,
        act: &Act<'_>,
        now: Timestamp,
    ) -> Result<Advance, Refusal> {
        let initiator = self.definition().initiator().ok_or_else(|| {
            Refusal::new(IllegalKind::NotBound, "no role opens a conversation of this protocol")
        })?;
        checks::check_invites(self.definition(), act)?;
        let addressee = match act.to {
            ActTarget::Agent(agent) => Some(agent),
            ActTarget::Topic | ActTarget::Conversation => None,
        };
        let mut work = Work::begin(self, Box::new(blank), now, act.payload);
        work.push(Effect::Opened { addressee });
        work.bind(act.sender, initiator);
        for (role, agent) in act.invites {
            let role = self.definition().roles.get_key_value(role.as_str());
            role.into_iter().for_each(|(role, _)| work.bind(*agent, role));
        }
        let candidate = matching::find_move(self, &work.state, initiator, act)?;
        checks::check(self, &work.state, act, &candidate, now)?;
        work.act(act, &candidate);
        Ok(work.finish())
    }

    fn decide_step(
        &self,
        state: &ConversationState,
        act: &Act<'_>,
        now: Timestamp,
    ) -> Result<Advance, Refusal> {
        if let Some(outcome) = state.ended {
            let detail = format!("the conversation is over: {}", outcome.as_str());
            return Err(Refusal::new(IllegalKind::Ended, detail));
        }
        if self.next_deadline(state).is_some_and(|deadline| deadline <= now) {
            return Err(Refusal::new(IllegalKind::TimerDue, "a timer is due and comes first"));
        }
        if !act.invites.is_empty() {
            let detail = "only the act that opens a conversation invites";
            return Err(Refusal::new(IllegalKind::BadInvitation, detail));
        }
        if let Some(role) = state.role_of(&act.sender) {
            return self.decide_as(state, role, act, now);
        }
        let mut refusal = None;
        for role in self.may_join(state, &act.sender) {
            match self.decide_as(state, role, act, now) {
                Ok(advance) => return Ok(advance),
                Err(why) => refusal = Some(why),
            }
        }
        Err(refusal.unwrap_or_else(|| self.cannot_join(state, &act.sender)))
    }

    fn decide_as(
        &self,
        state: &ConversationState,
        role: &Label,
        act: &Act<'_>,
        now: Timestamp,
    ) -> Result<Advance, Refusal> {
        let joins = state.role_of(&act.sender).is_none();
        if joins && state.bound.len() >= AGENTS_MAX {
            let detail = format!("a conversation has at most {AGENTS_MAX} agents");
            return Err(Refusal::new(IllegalKind::TooManyAgents, detail));
        }
        let candidate = matching::find_move(self, state, role, act)?;
        checks::check(self, state, act, &candidate, now)?;
        let mut work = Work::begin(self, Box::new(state.clone()), now, act.payload);
        if joins {
            work.bind(act.sender, role);
        }
        work.act(act, &candidate);
        Ok(work.finish())
    }

    fn cannot_join(&self, state: &ConversationState, agent: &AgentId) -> Refusal {
        let open = state.addressee.is_none_or(|addressee| addressee == *agent);
        let full = |(name, role): (&Label, &Role)| {
            role.binds == Binds::FirstMove && !role.count.has_room(state.agents_of(name).count())
        };
        if open && self.definition().roles.iter().any(full) {
            return Refusal::new(IllegalKind::RoleFull, "every role one could join is taken");
        }
        Refusal::new(IllegalKind::NotBound, "the sender has no role in this conversation")
    }

    fn illegal(
        &self,
        state: &ConversationState,
        act: &Act<'_>,
        now: Timestamp,
        refusal: Refusal,
    ) -> IllegalAct {
        let knows =
            state.role_of(&act.sender).is_some() || self.may_join(state, &act.sender).next().is_some();
        IllegalAct {
            kind: refusal.kind,
            state: if knows { self.visible_text(state, act) } else { String::new() },
            allowed_next: self.allowed_next(state, &act.sender, now),
            detail: refusal.detail,
        }
    }

    /// What the definition says of the state an instance is in.
    fn state_of(&self, state: &ConversationState, id: &crate::conversation::InstanceId) -> Option<&State> {
        let machine = self.definition().machines.get(&id.machine)?;
        let name = state.state_of(id).unwrap_or(&machine.initial);
        machine.states.get(name)
    }

    /// What an initiator may open a conversation with.
    pub fn allowed_opening(&self) -> Vec<AllowedAct> {
        next::opening(self)
    }

    /// What `agent` may do next, once timers that are due have fired.
    pub fn allowed_next(
        &self,
        state: &ConversationState,
        agent: &AgentId,
        now: Timestamp,
    ) -> Vec<AllowedAct> {
        let mut state = std::borrow::Cow::Borrowed(state);
        while let Some(advance) = self.fire(&state, now) {
            state = std::borrow::Cow::Owned(*advance.after);
        }
        next::allowed(self, &state, agent)
    }

    /// Who is delivered an act: its sender, its addressee, and roles that see all.
    ///
    /// For a topic, its subscribers are the caller's to add.
    pub fn readers(&self, state: &ConversationState, sender: &AgentId, to: &ActTarget) -> Vec<AgentId> {
        visible::readers(self, state, sender, to)
    }

    /// Whether an agent's role sees every act.
    pub fn may_read_all(&self, state: &ConversationState, agent: &AgentId) -> bool {
        let role = state.role_of(agent);
        let role = role.and_then(|name| self.definition().roles.get(name));
        role.is_some_and(|role| role.sees_all)
    }

    /// What to tell of a transition's steps by timer or `when`; `state` is the one after it.
    pub fn notices(&self, state: &ConversationState, transition: &Transition) -> Vec<Notice> {
        visible::notices(self, state, transition)
    }

    fn visible_text(&self, state: &ConversationState, act: &Act<'_>) -> String {
        visible::text(self, state, act)
    }
}
