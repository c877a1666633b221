//! A step being decided: a scratch state on which every effect is tried as it is written down.

use super::apply::apply;
use super::checks::is_offer;
use super::matching::Candidate;
use super::scope::View;
use crate::conversation::{
    Act, Advance, Cause, ConversationState, Effect, InstanceId, Obligation, Slot, Transition,
};
use crate::definition::{Definition, Label, MAIN_MACHINE, ObligationRule, Outcome, TimerStart};
use crate::limits::DUTIES_MAX;
use crate::protocol::Protocol;
use openmesh_message::json::Document;
use openmesh_message::{AgentId, Digest, Timestamp};
use std::sync::Arc;

/// Most steps do no more things.
const EFFECTS_ABOUT: usize = 6;

pub(super) struct Work<'p> {
    protocol: &'p Protocol,
    pub(super) state: Box<ConversationState>,
    effects: Vec<Effect>,
    now: Timestamp,
    payload: Option<&'p Document>,
}

impl<'p> Work<'p> {
    pub(super) fn begin(
        protocol: &'p Protocol,
        state: Box<ConversationState>,
        now: Timestamp,
        payload: Option<&'p Document>,
    ) -> Self {
        Self { protocol, state, effects: Vec::with_capacity(EFFECTS_ABOUT), now, payload }
    }

    pub(super) fn finish(self) -> Advance {
        let transition = Transition { at: self.now, effects: self.effects };
        Advance { transition, after: self.state }
    }

    pub(super) fn push(&mut self, effect: Effect) {
        apply(self.protocol, &mut self.state, &effect, self.payload, self.now);
        self.effects.push(effect);
    }

    pub(super) fn bind(&mut self, agent: AgentId, role: &Label) {
        self.push(Effect::Bound { agent, role: Label::clone(role) });
    }

    /// Takes a move that passed every check, and all that follows from it.
    pub(super) fn act(&mut self, act: &Act<'_>, candidate: &Candidate<'_>) {
        let rules = self.protocol.rules();
        let variable = candidate.variable(self.protocol);
        let remember =
            variable.filter(|name| rules.remembered(name).is_some() || rules.correlated(name).is_some());
        let complete = !candidate.one.signatures_all || self.completes(act, candidate);
        self.push(Effect::Acted {
            instance: candidate.id.clone(),
            counted: candidate.counted(),
            sender: act.sender,
            offer: is_offer(act.performative).then_some(act.digest),
            signed: candidate.one.signatures_all.then(|| Digest::of(act.payload_bytes)),
            remember: remember.cloned(),
        });
        if complete {
            self.enter(&candidate.id, &candidate.one.next, Cause::Act);
        }
        self.end_duties_by(act, &candidate.id);
        self.begin_duties(act, &candidate.id);
        self.settle();
    }

    /// Whether this act is the last of the equal signatures that the move waits for.
    fn completes(&self, act: &Act<'_>, candidate: &Candidate<'_>) -> bool {
        let instance = self.state.instance(&candidate.id);
        let own = Digest::of(act.payload_bytes);
        let digest_of = |agent: &AgentId| -> Option<Digest> {
            if *agent == act.sender {
                return Some(own);
            }
            instance?.signatures.get(agent).copied()
        };
        let per = candidate.machine.per.as_ref();
        let mut signers: Vec<&AgentId> = Vec::new();
        for role in &candidate.one.from {
            match &candidate.id.agent {
                Some(agent) if per == Some(role) => signers.push(agent),
                _ => signers.extend(self.state.agents_of(role)),
            }
        }
        let mut signers = signers.into_iter();
        signers.all(|agent| digest_of(agent) == Some(own))
    }

    /// Moves an instance into a state and starts its timer.
    pub(super) fn enter(&mut self, id: &InstanceId, to: &Label, cause: Cause) {
        let Some(instance) = self.state.instance(id) else {
            return;
        };
        let from = Label::clone(&instance.state);
        let had_timer = instance.deadline.is_some();
        self.push(Effect::Moved { instance: id.clone(), from, to: Label::clone(to), cause });
        let view = View { state: &self.state, instance: self.state.instance(id), act: None };
        // A time that cannot be read is due at once: nothing may wait for it for ever.
        let due = deadline(self.protocol, &id.machine, to, &view, self.now);
        match due.unwrap_or(Some(self.now)) {
            // A step that nobody made must not be due again at once, or it would repeat for ever.
            Some(at) if cause != Cause::Act => {
                let at = at.max(self.now.plus_ms(TIMER_MS_MIN));
                self.push(Effect::TimerSet { instance: id.clone(), at });
            }
            Some(at) => self.push(Effect::TimerSet { instance: id.clone(), at }),
            None if had_timer => self.push(Effect::TimerCleared { instance: id.clone() }),
            None => {}
        }
    }

    /// Runs `when` rules until nothing changes, then ends what is over.
    pub(super) fn settle(&mut self) {
        // Each pass that changes something takes an instance one edge along its cycle-free `when` graph.
        while self.pass() {}
        self.end_duties_of_finals();
        let outcome = self.end_of(MAIN_MACHINE, &self.state.round.state);
        let over = |slot: &Slot| self.end_of(&slot.machine, &slot.instance.state).is_some();
        if let Some(outcome) = outcome.filter(|_| self.state.instances.iter().all(over)) {
            self.push(Effect::Ended { outcome });
        }
    }

    fn pass(&mut self) -> bool {
        let mut changed = false;
        for place in 0..=self.state.instances.len() {
            while let Some((id, next)) = self.first_when(place) {
                self.enter(&id, next, Cause::When);
                changed = true;
            }
        }
        changed
    }

    /// The first rule that holds for the round (place 0) or the instance at a place.
    fn first_when(&self, place: usize) -> Option<(InstanceId, &'p Label)> {
        let (machine, instance) = match place.checked_sub(1) {
            None => (MAIN_MACHINE, &self.state.round),
            Some(index) => {
                let slot = self.state.instances.get(index)?;
                (&*slot.machine, &slot.instance)
            }
        };
        let whens = &self.protocol.rules().state(machine, &instance.state)?.whens;
        let view = View { state: &self.state, instance: Some(instance), act: None };
        let (_, next) = whens.iter().find(|(condition, _)| condition.holds(&view).unwrap_or(false))?;
        Some((self.state.id_at(place)?, next))
    }

    /// How a machine ended, if this state of it is final.
    fn end_of(&self, machine: &str, state: &str) -> Option<Outcome> {
        self.protocol.rules().state(machine, state)?.ends
    }

    fn end_duties_by(&mut self, act: &Act<'_>, id: &InstanceId) {
        self.end_duties(|duty| {
            duty.agent == act.sender
                && duty.must.contains(act.performative)
                && (id.agent.is_none() || duty.instance == *id)
        });
    }

    fn end_duties_of_finals(&mut self) {
        let finals: Vec<bool> = self
            .state
            .duties
            .iter()
            .map(|duty| {
                let state = self.state.state_of(&duty.instance);
                state.is_some_and(|state| self.end_of(&duty.instance.machine, state).is_some())
            })
            .collect();
        let mut finals = finals.into_iter();
        self.end_duties(|_| finals.next().unwrap_or(false));
    }

    fn end_duties(&mut self, mut ends: impl FnMut(&Obligation) -> bool) {
        let duties = self.state.duties.iter().enumerate();
        let ended: Vec<usize> = duties.filter(|(_, duty)| ends(duty)).map(|(index, _)| index).collect();
        for index in ended.into_iter().rev() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            self.push(Effect::DutyEnded { index });
        }
    }

    fn begin_duties(&mut self, act: &Act<'_>, id: &InstanceId) {
        let definition = self.protocol.definition();
        for (place, rule) in definition.obligations.iter().enumerate() {
            if rule.machine != id.machine || !rule.after.contains(act.performative) {
                continue;
            }
            for agent in self.debtors(definition, rule, id) {
                self.begin_duty(act, id, rule, (place, agent));
            }
        }
    }

    fn debtors(&self, definition: &Definition, rule: &ObligationRule, id: &InstanceId) -> Vec<AgentId> {
        let machine = definition.machines.get(&id.machine);
        let per = machine.and_then(|machine| machine.per.as_ref());
        match id.agent {
            Some(agent) if per == Some(&rule.role) => vec![agent],
            _ => self.state.agents_of(&rule.role).copied().collect(),
        }
    }

    fn begin_duty(
        &mut self,
        act: &Act<'_>,
        id: &InstanceId,
        rule: &ObligationRule,
        (place, agent): (usize, AgentId),
    ) {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        let same = |duty: &Obligation| duty.rule == place && duty.agent == agent && duty.instance == *id;
        let known = self.state.duties.iter().any(same);
        if known || agent == act.sender || self.state.duties.len() >= DUTIES_MAX {
            return;
        }
        let duty = Obligation {
            role: Label::clone(&rule.role),
            agent,
            to: act.sender,
            instance: id.clone(),
            must: Arc::clone(&rule.must),
            since: self.now,
            by: self.now.plus_ms(rule.within_ms),
            rule: place,
        };
        self.push(Effect::DutyBegun { duty });
    }
}

/// Shortest time between two steps of an instance that no act made.
const TIMER_MS_MIN: i64 = 1_000;

/// When the timer of a state would be due if it were entered at `now`; `None` if it has none.
pub(super) fn deadline(
    protocol: &Protocol,
    machine: &str,
    state: &str,
    view: &View<'_>,
    now: Timestamp,
) -> Result<Option<Timestamp>, String> {
    let rules = protocol.rules().state(machine, state);
    match rules.and_then(|rules| rules.timer.as_ref()).map(|timer| &timer.starts) {
        None => Ok(None),
        Some(TimerStart::After { duration_ms, .. }) => Ok(Some(now.plus_ms(*duration_ms))),
        Some(TimerStart::At(path)) => {
            let at = rules.and_then(|rules| rules.timer_at.as_ref());
            let value = at.and_then(|at| view.value(&at.variable, &at.pointer));
            let time = value.and_then(|value| Timestamp::parse(value.as_str()?).ok());
            time.map(Some).ok_or_else(|| format!("`{path}` is no RFC 3339 time"))
        }
    }
}
