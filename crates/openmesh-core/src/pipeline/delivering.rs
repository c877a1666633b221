//! The end of the path: a message goes to those who listen, and one that is not kept to its agent.

use super::Decided;
use crate::admit::Admitted;
use crate::input::Ticket;
use crate::partition::Partition;
use crate::plan::{Deliver, Effect, Plan, Shorten};
use crate::reading::Receivers;
use crate::record::Header;
use crate::route::{Listening, OWN_ADDRESS};
use openmesh_message::{ControlAttributes, Level, Priority, Receipt, TopicPath};
use std::sync::Arc;

/// What a plan has beside deliveries, at most as a rule.
const EFFECTS_BEHIND: usize = 2;

impl Partition {
    /// Hands over a message that is not kept.
    pub(super) fn pass_on(
        &mut self,
        ticket: Ticket,
        admitted: &Admitted,
        decided: &Decided,
        plan: &mut Plan,
    ) {
        self.note_request(admitted, &decided.route, plan.at);
        if let Some(topic) = &decided.route.topic {
            self.deliver_to_topic(topic, admitted, None, plan);
        }
        let is_repeated = self.note_offer(admitted, decided.route.agent, plan.at);
        if let Some(agent) = decided.route.agent.filter(|_| !is_repeated) {
            for connection in self.routes.receiving(&agent) {
                let envelope = Arc::clone(&admitted.envelope);
                let deliver = Deliver {
                    connection,
                    subscription: OWN_ADDRESS,
                    agent,
                    pattern: None,
                    seq: None,
                    envelope,
                    lane: admitted.control.priority,
                };
                plan.effects.push(Effect::Deliver(deliver));
            }
        }
        let receipt = admitted.control.ack_level.map(|_| Receipt {
            digest: admitted.digest(),
            level: Level::Received,
            position: None,
            logs: Vec::new(),
            duplicate: false,
            policy_version: self.state.policy_version,
            at: plan.at,
        });
        let in_exchange = is_in_exchange(&admitted.control);
        let pass = Effect::Pass { ticket, in_exchange };
        plan.effects.push(receipt.map_or(pass, |receipt| Effect::Accept(ticket, receipt)));
        let shorten = self.shorten(ticket, admitted, decided, plan);
        plan.effects.extend(shorten.map(Effect::Shorten));
    }

    /// Whether what was decided of a message that is not kept holds for all of its form. It does where nothing was asked but
    /// what the form says, and the static rules, which another view would say anew.
    fn shorten(
        &self,
        ticket: Ticket,
        admitted: &Admitted,
        decided: &Decided,
        plan: &Plan,
    ) -> Option<Shorten> {
        let form = admitted.recurring_form()?;
        let is_current = admitted.policy_version == self.view.policy.version();
        let topic = decided.route.topic.as_ref().filter(|_| is_current)?;
        let readers = plan.effects.iter().filter_map(|effect| match effect {
            Effect::Deliver(deliver) => Some((deliver.connection, deliver.subscription)),
            _ => None,
        });
        Some(Shorten {
            readers: readers.collect(),
            connection: ticket.connection,
            form: Arc::clone(form),
            topic: topic.clone(),
            lane: admitted.control.priority,
        })
    }

    pub(super) fn deliver_to_topic(
        &self,
        topic: &TopicPath,
        admitted: &Admitted,
        kept: Option<&Header>,
        plan: &mut Plan,
    ) {
        let listening = self.routes.matching(topic);
        if listening.is_empty() {
            return;
        }
        let receivers = Receivers::of(&self.view, &admitted.control, admitted.authenticity);
        let stamp = |header: &Header| Arc::new(header.stamp(&admitted.envelope));
        let envelope = kept.map_or_else(|| Arc::clone(&admitted.envelope), stamp);
        let seq = kept.map(|header| header.position.seq);
        let lane = if kept.is_some() { Priority::Normal } else { admitted.control.priority };
        plan.effects.reserve(listening.len() + EFFECTS_BEHIND);
        for Listening { key: (connection, subscription), at } in listening {
            let agent = at.agent();
            if !receivers.include(&agent) {
                continue;
            }
            // Only what is kept can be caught up on.
            let pattern = seq.and_then(|_| at.pattern(subscription)).cloned();
            let envelope = Arc::clone(&envelope);
            plan.effects.push(Effect::Deliver(Deliver {
                connection,
                subscription,
                agent,
                pattern,
                seq,
                envelope,
                lane,
            }));
        }
    }
}

/// Whether it is a request with a deadline or a reply: then something else soon comes to its sender.
fn is_in_exchange(control: &ControlAttributes) -> bool {
    control.reply_by.is_some() || control.in_reply_to.is_some()
}
