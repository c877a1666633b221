//! Where streams meet the rest of the partition: offers, policy, deadlines.

use crate::admit::{Admitted, send_context};
use crate::deadlines::Owner;
use crate::input::ConnectionId;
use crate::partition::Partition;
use crate::plan::{Effect, Plan};
use crate::rejection::Rejection;
use crate::route::stream::{Ended, Offer, Told};
use openmesh_message::frame::StreamAct;
use openmesh_message::{AgentId, Target, Timestamp};

impl Partition {
    /// Takes what an agent says of a stream.
    pub(crate) fn take_stream_act(&mut self, connection: ConnectionId, act: StreamAct, plan: &mut Plan) {
        let Some(agent) = self.routes.agent(connection) else {
            return;
        };
        let mut told = Told::at(plan.at);
        self.streams.act((connection, agent), act, &mut told);
        self.tell(told, plan);
    }

    /// Whether a stream that a message offers, if it does, can be taken.
    pub(crate) fn check_offer(&self, admitted: &Admitted) -> Result<(), Rejection> {
        match admitted.control.stream {
            Some(_) => self.streams.check(&admitted.control, &admitted.digest()),
            None => Ok(()),
        }
    }

    /// Takes the offer of a message that was taken in; `true` if its stream is known already.
    pub(crate) fn note_offer(
        &mut self,
        admitted: &Admitted,
        reader: Option<AgentId>,
        now: Timestamp,
    ) -> bool {
        let Some(reader) = reader.filter(|_| admitted.control.stream.is_some()) else {
            return false;
        };
        let is_known = self.streams.is_offered(&admitted.control, &admitted.digest());
        let (control, authenticity) = (admitted.control.clone(), admitted.authenticity);
        self.streams.offer(Offer { control, digest: admitted.digest(), authenticity, reader }, now);
        self.set_stream_deadline();
        is_known
    }

    /// Takes the offer of a message that is kept since earlier: decided anew, since the stream would go on.
    pub(crate) fn offer_again(&mut self, admitted: &Admitted, now: Timestamp) -> Result<(), Rejection> {
        let (Some(_), Target::Agent(agent) | Target::Inbox(agent)) =
            (&admitted.control.stream, &admitted.control.to.target)
        else {
            return Ok(());
        };
        let reader = self.state.directory.resolve(agent);
        let decision = self.decide_policy(admitted, self.conversation_of(&admitted.control))?;
        if !decision.allows() {
            return Err(Rejection::Denied(decision));
        }
        self.check_offer(admitted)?;
        self.note_offer(admitted, reader, now);
        Ok(())
    }

    /// Breaks off streams that the policy in force denies.
    pub(crate) fn end_denied_streams(&mut self, plan: &mut Plan) {
        let decide = |offer: &Offer| {
            self.rule_anew(&offer.control, send_context(&offer.control, offer.authenticity, &self.view))
        };
        let ruled = self.streams.offers().map(|(key, offer)| (key.clone(), decide(offer)));
        let denied: Vec<_> = ruled.filter(|(_, decision)| !decision.allows()).collect();
        let mut told = Told::at(plan.at);
        for (key, decision) in denied {
            let how = Ended::Reset(Rejection::Denied(decision));
            self.streams.end(&key, &how, None, &mut told);
        }
        self.tell(told, plan);
    }

    /// Breaks off streams of which an end was away for too long.
    pub(crate) fn end_deserted_streams(&mut self, plan: &mut Plan) {
        let mut told = Told::at(plan.at);
        self.streams.end_deserted(&mut told);
        self.tell(told, plan);
    }

    pub(crate) fn set_stream_deadline(&mut self) {
        self.deadlines.set(Owner::Streams, self.streams.next_deadline());
    }

    fn tell(&mut self, told: Told, plan: &mut Plan) {
        plan.effects.extend(told.events.into_iter().map(|(to, event)| Effect::Stream(to, event)));
        self.set_stream_deadline();
    }
}
