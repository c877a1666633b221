//! The one path every admitted message takes: known before? route, converse, decide, keep, deliver.

mod delivering;

use crate::admit::{Admitted, Refused, send_context};
use crate::conversation::{Allowed, Conversation, check, recipients};
use crate::dedup::Lookup;
use crate::directory::topics::Topics;
use crate::input::Ticket;
use crate::partition::{Draft, Numbering, Partition};
use crate::plan::{Effect, Plan, Taken};
use crate::planted::{self, Planted};
use crate::record::{Accepted, Body, Header, Outcome, Put, RefusedMessage, Step};
use crate::rejection::Rejection;
use crate::request::ReplyFit;
use crate::state::{Gist, Logical};
use openmesh_message::{
    AckLevel, AgentId, ControlAttributes, ConversationId, Level, LogSeq, Receipt, Target, Timestamp,
    TopicPath,
};
use openmesh_policy::{Action, Decision, MachineState, StatefulContext, StaticDecision};
use openmesh_policy::{Destination, Party, StaticContext};
use openmesh_schema::MAIN_MACHINE;
use std::sync::Arc;

/// Where a message goes, and whether it is kept.
struct Route {
    topic: Option<TopicPath>,
    agent: Option<AgentId>,
    kept: bool,
}

/// A message that nothing speaks against.
struct Decided {
    route: Route,
    step: Option<Allowed>,
    /// Each once, in order.
    recipients: Vec<AgentId>,
    decision: Decision,
}

impl Partition {
    /// Takes an admitted message: keeps and delivers it, or refuses it.
    pub(crate) fn take_message(&mut self, ticket: Ticket, admitted: Box<Admitted>, plan: &mut Plan) {
        match self.look_up(&admitted) {
            Lookup::Fresh => {}
            Lookup::Again(seq) => {
                if let Err(rejection) = self.offer_again(&admitted, plan.at) {
                    return self.refuse_admitted(ticket, &admitted, rejection, plan);
                }
                let taken = Taken { seq, digest: admitted.digest() };
                return plan.effects.push(Effect::AcceptAgain(ticket, taken));
            }
            Lookup::Conflict => {
                return self.refuse_admitted(ticket, &admitted, Rejection::IdConflict, plan);
            }
            Lookup::BelowFloor => {
                return self.refuse_admitted(ticket, &admitted, Rejection::OutsideWindow, plan);
            }
        }
        let control = &admitted.control;
        if let Some(id) = &control.conversation {
            self.fire_due(id, plan);
        }
        match self.decide(&admitted, plan.at) {
            Ok(decided) if decided.route.kept => self.keep(ticket, admitted, decided, plan),
            Ok(decided) => self.pass_on(ticket, &admitted, &decided, plan),
            Err(rejection) => self.refuse_admitted(ticket, &admitted, rejection, plan),
        }
    }

    /// What is known of its id. Without a proof a message is never kept, and so its repeats are not looked for.
    pub(crate) fn look_up(&self, admitted: &Admitted) -> Lookup {
        let control = &admitted.control;
        admitted.proven_digest().map_or(Lookup::Fresh, |digest| {
            self.state.dedup.look_up(&control.source, admitted.short_id(), digest, control.time)
        })
    }

    /// Decides without changing anything.
    fn decide(&self, admitted: &Admitted, now: Timestamp) -> Result<Decided, Rejection> {
        let route = self.route(admitted)?;
        self.check_reply(admitted, &route, now)?;
        let conversation = self.conversation_of(&admitted.control);
        let decision = self.decide_policy(admitted, conversation)?;
        self.check_offer(admitted)?;
        let step = self.converse(admitted, conversation, now)?;
        let recipients = self.recipients(admitted, &route, step.as_ref())?;
        Ok(Decided { route, step, recipients, decision })
    }

    fn route(&self, admitted: &Admitted) -> Result<Route, Rejection> {
        let control = &admitted.control;
        let kept = is_kept(control, &self.state.topics);
        let route = match &control.to.target {
            Target::Topic(topic) => {
                if asks_to_be_kept(control) && !kept {
                    return Err(Rejection::EphemeralTopic);
                }
                Route { topic: Some(topic.clone()), agent: None, kept }
            }
            Target::Agent(agent) | Target::Inbox(agent) => {
                let agent = self.state.directory.resolve(agent).ok_or(Rejection::UnknownAgent)?;
                Route { topic: None, agent: Some(agent), kept }
            }
            Target::Conversation(id) if control.conversation == Some(*id) => {
                Route { topic: None, agent: None, kept }
            }
            Target::Conversation(_) => {
                let why = "only an act of a conversation can be addressed to it".to_owned();
                return Err(Rejection::BadArgument("to", why));
            }
        };
        if route.kept && admitted.envelope.proof.is_none() {
            return Err(Rejection::SignatureRequired);
        }
        let away = route.agent.is_some_and(|agent| self.routes.receiving(&agent).next().is_none());
        if !route.kept && away && !self.streams.is_offered(&admitted.control, &admitted.digest()) {
            return Err(Rejection::AgentAway);
        }
        Ok(route)
    }

    fn check_reply(&self, admitted: &Admitted, route: &Route, now: Timestamp) -> Result<(), Rejection> {
        let Some(agent) = route.agent else {
            return Ok(());
        };
        match self.requests.fit(&admitted.control, &agent, now) {
            ReplyFit::NoRequest | ReplyFit::Fits => Ok(()),
            ReplyFit::Late => Err(Rejection::LateReply),
            ReplyFit::Finished => Err(Rejection::DuplicateReply),
        }
    }

    /// The conversation that a message is of, if it was opened.
    pub(crate) fn conversation_of(&self, control: &ControlAttributes) -> Option<&Conversation> {
        control.conversation.and_then(|id| self.state.conversations.get(&id))
    }

    /// The static decision of admission holds if the policy is still the same and reads no state.
    pub(crate) fn decide_policy(
        &self,
        admitted: &Admitted,
        conversation: Option<&Conversation>,
    ) -> Result<Decision, Rejection> {
        let control = &admitted.control;
        let decision = match &admitted.decision {
            StaticDecision::Decided(decision)
                if admitted.policy_version == self.view.policy.version()
                    || planted::has(Planted::OldPolicy) =>
            {
                decision.clone()
            }
            _ => self.rule_anew(control, send_context(control, admitted.authenticity, &self.view)),
        };
        if !decision.allows() {
            return Err(Rejection::Denied(decision));
        }
        let joined = conversation.filter(|state| state.role_of(&control.source).is_none());
        joined.map_or(Ok(()), |state| self.decide_join(admitted, state))?;
        Ok(decision)
    }

    /// What the rules in force say of a message, with the state of its conversation.
    pub(crate) fn rule_anew(&self, control: &ControlAttributes, request: StaticContext<'_>) -> Decision {
        let conversation = self.conversation_of(control);
        let role = conversation.and_then(|state| state.role_of(&control.source));
        let role = role.map(|role| &**role);
        let states = machine_states(conversation, &control.source);
        self.view.policy.decide_stateful(&StatefulContext { request, role, states: &states })
    }

    /// An agent that would take a role of a conversation by its act needs the right to join.
    fn decide_join(&self, admitted: &Admitted, state: &Conversation) -> Result<(), Rejection> {
        let sender = &admitted.control.source;
        let Some(protocol) = self.view.catalog.protocol(&state.protocol.digest) else {
            return Ok(());
        };
        let send = send_context(&admitted.control, admitted.authenticity, &self.view);
        let request = StaticContext { action: Action::JoinRole, ..send };
        let states = machine_states(Some(state), sender);
        for role in protocol.may_join(state, sender) {
            let context = StatefulContext { request, role: Some(role), states: &states };
            let decision = self.view.policy.decide_stateful(&context);
            if !decision.allows() {
                return Err(Rejection::Denied(decision));
            }
        }
        Ok(())
    }

    fn converse(
        &self,
        admitted: &Admitted,
        conversation: Option<&Conversation>,
        now: Timestamp,
    ) -> Result<Option<Allowed>, Rejection> {
        let Some(id) = &admitted.control.conversation else {
            return Ok(None);
        };
        if conversation.is_none() && self.state.conversations.open() >= self.config.conversations_max {
            return Err(Rejection::TooManyConversations);
        }
        let unknown = |(_, agent): &&(String, AgentId)| self.state.directory.agent(agent).is_none();
        if admitted.control.invites.iter().any(|invite| unknown(&invite)) {
            return Err(Rejection::UnknownAgent);
        }
        self.decide_invitations(admitted)?;
        check(conversation, id, admitted, &self.view, now).map(Some)
    }

    /// Whoever may not write to an agent may not have it read along either.
    fn decide_invitations(&self, admitted: &Admitted) -> Result<(), Rejection> {
        if admitted.control.invites.is_empty() {
            return Ok(());
        }
        let request = send_context(&admitted.control, admitted.authenticity, &self.view);
        for (_, agent) in &admitted.control.invites {
            let party = Party { id: Some(*agent), name: self.state.directory.name(agent) };
            self.decide_context(&StaticContext { destination: Some(Destination::Agent(party)), ..request })?;
        }
        Ok(())
    }

    fn recipients(
        &self,
        admitted: &Admitted,
        route: &Route,
        step: Option<&Allowed>,
    ) -> Result<Vec<AgentId>, Rejection> {
        let mut recipients: Vec<_> = route.agent.into_iter().collect();
        if let Some(allowed) = step {
            recipients.extend(recipients_of(allowed, admitted, self));
            if planted::has(Planted::TellEveryone) {
                recipients.extend(allowed.advance.after.bound.iter().map(|bound| bound.agent));
            }
        }
        let recipients = each_once(recipients);
        if !route.kept {
            return Ok(recipients);
        }
        for agent in &recipients {
            if self.state.directory.agent(agent).is_none() {
                return Err(Rejection::UnknownAgent);
            }
            self.check_room(agent, &admitted.control.source)?;
        }
        Ok(recipients)
    }

    /// An inbox holds so many messages in all, and so many of one sender.
    fn check_room(&self, recipient: &AgentId, sender: &AgentId) -> Result<(), Rejection> {
        let Some(inbox) = self.state.inboxes.get(recipient) else {
            return Ok(());
        };
        if inbox.pending() >= self.config.inbox_messages_max {
            return Err(Rejection::InboxFull);
        }
        let quota = self.config.inbox_sender_messages_max;
        if inbox.pending_of(sender) >= quota && !planted::has(Planted::IgnoreQuota) {
            return Err(Rejection::InboxQuota);
        }
        Ok(())
    }

    fn keep(&mut self, ticket: Ticket, mut admitted: Box<Admitted>, decided: Decided, plan: &mut Plan) {
        let sealed = admitted.sealed.take();
        let admitted = &*admitted;
        let Decided { route, step, recipients, decision } = decided;
        let control = &admitted.control;
        let step = step.zip(control.conversation).map(|(allowed, id)| allowed.into_step(id));
        let (logs, puts) = self.number(&route, control.conversation, &recipients, step.as_ref());
        let woken = each_once(puts.iter().map(|put| put.agent).collect());
        let accepted = Accepted { authenticity: admitted.authenticity, rule: decision.rule, step, puts };
        let draft = Draft {
            logs,
            sender: Some(control.source),
            outcome: Outcome::Accepted(accepted),
            body: Body::Message(Arc::clone(&admitted.envelope)),
            sealed,
        };
        let header = self.commit(draft, Some(&Gist::of_admitted(admitted)), plan);
        self.note_request(admitted, &route, plan.at);
        self.note_offer(admitted, route.agent, plan.at);
        plan.effects.push(Effect::Accept(ticket, receipt_of(&header, admitted)));
        if let Some(topic) = &route.topic {
            self.deliver_to_topic(topic, admitted, Some(&header), plan);
        }
        for agent in woken {
            self.serve_waiting(&agent, plan);
        }
    }

    /// Numbers a message in its logical logs, its destination's first, and its entries in inboxes.
    fn number(
        &mut self,
        route: &Route,
        conversation: Option<ConversationId>,
        recipients: &[AgentId],
        step: Option<&Step>,
    ) -> (Vec<LogSeq>, Vec<Put>) {
        let mut numbering = Numbering::new(&self.state);
        let mut puts = Vec::new();
        if let Some(topic) = &route.topic {
            numbering.next(Logical::topic(topic));
        }
        if let Some(agent) = route.agent {
            let number = numbering.next(Logical::Inbox(agent));
            puts.push(Put { agent, number, notice: None });
        }
        if let Some(id) = &conversation {
            numbering.next(Logical::conversation(id));
        }
        for agent in recipients.iter().copied().filter(|agent| Some(*agent) != route.agent) {
            let number = numbering.next(Logical::Inbox(agent));
            puts.push(Put { agent, number, notice: None });
        }
        if let Some(step) = step {
            put_notices(&step.notices, &mut numbering, &mut puts);
        }
        (numbering.finish(&mut self.inbox_names), puts)
    }

    fn note_request(&mut self, admitted: &Admitted, route: &Route, now: Timestamp) {
        self.requests.note(&admitted.control, now);
        if let Some(agent) = &route.agent {
            self.requests.answer(&admitted.control, agent);
        }
    }

    /// Fires every timer of a conversation that is due, each as a record of its own.
    pub(crate) fn fire_due(&mut self, id: &ConversationId, plan: &mut Plan) {
        while let Some(allowed) = self.state.conversations.fire(id, &self.view.catalog, plan.at) {
            let step = allowed.into_step(*id);
            let mut numbering = Numbering::new(&self.state);
            numbering.next(Logical::conversation(id));
            let mut puts = Vec::new();
            put_notices(&step.notices, &mut numbering, &mut puts);
            let woken = each_once(puts.iter().map(|put| put.agent).collect());
            let outcome = Outcome::Fired { step, puts };
            let draft = Draft {
                logs: numbering.finish(&mut self.inbox_names),
                sender: None,
                outcome,
                body: Body::Empty,
                sealed: None,
            };
            self.commit(draft, None, plan);
            for agent in woken {
                self.serve_waiting(&agent, plan);
            }
        }
    }

    fn refuse_admitted(
        &mut self,
        ticket: Ticket,
        admitted: &Admitted,
        rejection: Rejection,
        plan: &mut Plan,
    ) {
        if rejection == Rejection::LateReply {
            self.requests.late_replies += 1;
        }
        self.refuse(ticket, Refused::after_admission(admitted, rejection), plan);
    }

    /// Keeps the refusal of a proven sender's message, and tells the sender.
    pub(crate) fn refuse(&mut self, ticket: Ticket, refused: Refused, plan: &mut Plan) {
        let problem = refused.rejection.to_problem();
        let outcome = Outcome::Refused { code: problem.code, state: problem.state };
        let body = Body::Refused(RefusedMessage {
            digest: refused.digest,
            id: refused.id,
            conversation: refused.conversation,
            performative: refused.performative,
            detail: problem.detail,
        });
        let draft = self.draft_in(Logical::refusals(), Some(refused.offered_by), outcome, body);
        self.commit(draft, None, plan);
        plan.effects.push(Effect::Reject(ticket, refused.rejection));
    }
}

/// Whether a message is kept, if it is taken in: its destination says so, or its sender asks for it.
pub(crate) fn is_kept(control: &ControlAttributes, topics: &Topics) -> bool {
    match &control.to.target {
        Target::Topic(topic) => topics.is_pinned(topic),
        Target::Agent(_) => asks_to_be_kept(control),
        Target::Inbox(_) | Target::Conversation(_) => true,
    }
}

fn asks_to_be_kept(control: &ControlAttributes) -> bool {
    control.is_act() || control.ack_level >= Some(AckLevel::Edge) || control.not_before.is_some()
}

/// The round's state, and those of an agent's own instances.
fn machine_states<'a>(conversation: Option<&'a Conversation>, agent: &AgentId) -> Vec<MachineState<'a>> {
    let Some(conversation) = conversation else {
        return Vec::new();
    };
    let round = MachineState { machine: MAIN_MACHINE, state: &conversation.round.state };
    let own = conversation.instances.iter().filter(|slot| slot.agent == *agent);
    let own = own.map(|slot| MachineState { machine: &slot.machine, state: &slot.instance.state });
    std::iter::once(round).chain(own).collect()
}

fn each_once(mut agents: Vec<AgentId>) -> Vec<AgentId> {
    agents.sort_unstable();
    agents.dedup();
    agents
}

fn recipients_of(allowed: &Allowed, admitted: &Admitted, partition: &Partition) -> Vec<AgentId> {
    recipients(allowed, admitted, &partition.view)
}

fn put_notices(notices: &[openmesh_schema::Notice], numbering: &mut Numbering<'_>, puts: &mut Vec<Put>) {
    for (index, notice) in notices.iter().enumerate() {
        for agent in &notice.readers {
            let number = numbering.next(Logical::Inbox(*agent));
            puts.push(Put { agent: *agent, number, notice: u16::try_from(index).ok() });
        }
    }
}

fn receipt_of(header: &Header, admitted: &Admitted) -> Receipt {
    Receipt {
        digest: admitted.digest(),
        level: Level::Durable,
        position: Some(header.position),
        logs: header.logs.clone(),
        duplicate: false,
        policy_version: header.policy_version,
        at: header.at,
    }
}
