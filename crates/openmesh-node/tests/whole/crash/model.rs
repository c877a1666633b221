//! A naive reader of the log: what inboxes and conversations must look like, worked out from the records alone.
//!
//! It shares no logic with the core: it counts, and it follows the moves that records list. Positions, numbers and
//! messages are the history's to check.

use openmesh_core::record::{Outcome, Record};
use openmesh_core::{Conversation, EntryState, State};
use openmesh_message::{AgentId, ConversationId, Digest, Timestamp};
use openmesh_schema::{Effect, Transition};
use openmesh_store::StoredRecord;
use std::collections::BTreeMap;

/// A record as it was written.
pub(crate) fn decode(stored: &StoredRecord) -> Record {
    Record::decode(&stored.header, &stored.salt, &stored.body).unwrap()
}

/// What the log says so far.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) last_seq: u64,
    pub(crate) last_chain: Option<Digest>,
    pub(crate) kinds: BTreeMap<&'static str, u64>,
    inboxes: BTreeMap<AgentId, Mailbox>,
    conversations: BTreeMap<ConversationId, Run>,
}

/// One conversation: the state and the timer of each instance of its machines.
#[derive(Default)]
struct Run {
    states: BTreeMap<Instance, String>,
    timers: BTreeMap<Instance, Timestamp>,
}

type Instance = (String, Option<AgentId>);

#[derive(Default)]
struct Mailbox {
    accepted: u64,
    acknowledged: u64,
    expired: u64,
    dead: u64,
    recalled: u64,
    entries: BTreeMap<u64, (u64, u32, Held)>,
    token: u64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Held {
    Free,
    Until(Timestamp),
    Under(u64, Timestamp),
}

impl Model {
    /// Takes the next record of the log.
    pub(crate) fn read(&mut self, record: &Record) {
        let header = &record.header;
        let position = header.position;
        self.last_seq = position.seq;
        if let Some(message) = record.message() {
            let source: AgentId = message.attributes.get("source").unwrap().parse().unwrap();
            message.proof.as_ref().unwrap().verify(&source, &message.digest()).unwrap();
        }
        for put in record.puts() {
            let mailbox = self.inboxes.entry(put.agent).or_default();
            mailbox.accepted += 1;
            let not_before = record.message().filter(|_| put.notice.is_none());
            let not_before = not_before.and_then(|message| message.attributes.get("notbefore"));
            let waits = not_before.map(|text| text.parse::<Timestamp>().unwrap());
            let held = waits.filter(|time| *time > header.at).map_or(Held::Free, Held::Until);
            mailbox.entries.insert(put.number, (position.seq, 0, held));
        }
        if let Some(step) = record.step() {
            self.conversations.entry(step.conversation).or_default().read(&step.transition);
        }
        *self.kinds.entry(header.outcome.kind()).or_default() += 1;
        self.read_inbox_event(record);
    }

    fn read_inbox_event(&mut self, record: &Record) {
        match &record.header.outcome {
            Outcome::Leased { agent, token, until, numbers } => {
                let mailbox = self.inboxes.entry(*agent).or_default();
                assert!(*token > mailbox.token, "fencing tokens grow");
                mailbox.token = *token;
                for number in numbers {
                    let entry = mailbox.entries.get_mut(number).expect("what is leased is there");
                    assert!(matches!(entry.2, Held::Free), "what is leased was free");
                    *entry = (entry.0, entry.1 + 1, Held::Under(*token, *until));
                }
            }
            Outcome::Settled { agent, settlement } => {
                let mailbox = self.inboxes.entry(*agent).or_default();
                let ends = [
                    (&settlement.acknowledged, &mut mailbox.acknowledged),
                    (&settlement.expired, &mut mailbox.expired),
                    (&settlement.dead_lettered, &mut mailbox.dead),
                ];
                for (numbers, count) in ends {
                    for number in numbers {
                        mailbox.entries.remove(number).expect("a message ends once");
                        *count += 1;
                    }
                }
                for (number, until) in &settlement.returned {
                    let entry = mailbox.entries.get_mut(number).expect("what is returned is there");
                    entry.2 = if *until > record.header.at { Held::Until(*until) } else { Held::Free };
                }
            }
            Outcome::Recalled { agent, number } => {
                let mailbox = self.inboxes.entry(*agent).or_default();
                let (_, _, held) = mailbox.entries.remove(number).expect("a message ends once");
                assert!(!matches!(held, Held::Under(..)), "what is called back is not held");
                mailbox.recalled += 1;
            }
            Outcome::Extended { agent, token, until } => {
                let mailbox = self.inboxes.entry(*agent).or_default();
                for entry in mailbox.entries.values_mut() {
                    if matches!(entry.2, Held::Under(held, _) if held == *token) {
                        entry.2 = Held::Under(*token, *until);
                    }
                }
            }
            _ => {}
        }
    }

    /// Compares with what a recovered partition believes.
    pub(crate) fn compare(&self, state: &State) {
        for (agent, inbox) in state.inboxes() {
            let mailbox = self.inboxes.get(agent).expect("an inbox the log knows");
            let counts = inbox.counts();
            assert!(counts.is_conserved(), "{counts:?}");
            let expected =
                [mailbox.accepted, mailbox.acknowledged, mailbox.expired, mailbox.dead, mailbox.recalled];
            let found =
                [counts.accepted, counts.acknowledged, counts.expired, counts.dead_lettered, counts.recalled];
            assert_eq!(found, expected, "the inbox of {agent}");
            let entries: BTreeMap<_, _> = inbox
                .entries()
                .map(|(number, entry)| {
                    let held = match entry.state {
                        EntryState::Ready => Held::Free,
                        EntryState::Delayed(until) => Held::Until(until),
                        EntryState::Leased(token, until) => Held::Under(token, until),
                    };
                    (number, (entry.seq, entry.attempts, held))
                })
                .collect();
            assert_eq!(entries, mailbox.entries, "the entries of {agent}");
        }
        assert_eq!(state.inboxes().count(), self.inboxes.len());
        assert_eq!(state.conversations().count(), self.conversations.len());
        for (id, conversation) in state.conversations() {
            self.conversations[id].compare(conversation);
        }
    }
}

impl Run {
    fn read(&mut self, transition: &Transition) {
        for effect in &transition.effects {
            match effect {
                Effect::Moved { instance, from, to, .. } => {
                    let key = (instance.machine.to_string(), instance.agent);
                    if let Some(state) = self.states.get(&key) {
                        assert_eq!(**state, **from, "a move begins where the last one ended");
                    }
                    self.states.insert(key, to.to_string());
                }
                Effect::TimerSet { instance, at } => {
                    self.timers.insert((instance.machine.to_string(), instance.agent), *at);
                }
                Effect::TimerCleared { instance } => {
                    self.timers.remove(&(instance.machine.to_string(), instance.agent));
                }
                _ => {}
            }
        }
    }

    fn compare(&self, conversation: &Conversation) {
        let round = (("round".to_owned(), None), &conversation.round);
        let slots = conversation.instances.iter();
        let others = slots.map(|slot| ((slot.machine.to_string(), Some(slot.agent)), &slot.instance));
        for (key, instance) in std::iter::once(round).chain(others) {
            if let Some(state) = self.states.get(&key) {
                assert_eq!(*instance.state, **state, "{key:?} in {}", conversation.id);
            }
            assert_eq!(
                instance.deadline.as_ref(),
                self.timers.get(&key),
                "the timer of {key:?} in {}",
                conversation.id
            );
        }
    }
}
