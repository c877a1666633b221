//! What agents do of their own accord besides conversing: publish, write, ask, work off their mail, subscribe.

use super::{Asked, World};
use openmesh_core::{Entry, EntryState};
use openmesh_message::frame::{Command, LogFilter, Start};
use openmesh_message::{Performative, Priority};

const TOPICS: [&str; 5] =
    ["topic:market/prices", "topic:news/local", "topic:market/calls", "topic:chat/room", "topic:chat/side"];
const PATTERNS: [&str; 4] = ["topic:market/*", "topic:**", "topic:chat/room", "topic:news/local"];

impl World {
    /// Something an agent does, by chance; what it lacks the means for is left undone.
    pub(super) fn act(&mut self) {
        let _ = match self.random.below(100) {
            0..45 => self.converse(),
            45..52 => self.open_talk(),
            52..63 => self.publish(),
            63..70 => self.write(),
            70..78 => self.ask_or_answer(),
            78..91 => self.work(),
            91 => self.call_back(),
            92..95 => self.listen(),
            95 => self.deal_with_tokens(),
            _ => self.wonder(),
        };
    }

    fn publish(&mut self) -> Option<()> {
        let topic = self.random.pick(&TOPICS)?;
        let (agent, to) = (self.anyone(), self.address(topic)?);
        let text = format!("{{\"n\":{}}}", self.random.below(1_000));
        let draft = self.draft(agent, &to, &Performative::Inform)?.json(text.into_bytes());
        if topic.starts_with("topic:chat") {
            return self.send_unsigned(agent, draft).map(|_| ());
        }
        self.send_signed(agent, draft).map(|_| ())
    }

    /// Mail to another agent.
    fn write(&mut self) -> Option<()> {
        let (from, to) = (self.anyone(), self.anyone());
        let from = if self.random.chance(1, 8) { self.walk_in() } else { from };
        let kind = if self.random.chance(1, 2) { "inbox" } else { "agent" };
        let name = self.agents.get(to)?.name.clone();
        let to = match self.random.chance(1, 2) {
            true => self.address(&format!("{kind}:{name}"))?,
            false => self.address(&format!("{kind}:{}", self.id_of(to)?))?,
        };
        let mut draft = self.draft(from, &to, &Performative::Inform)?.ack_level("durable");
        if self.random.chance(1, 3) {
            let expiry = self.time.plus_ms(self.random.ms(5_000, 120_000));
            draft = draft.expires(expiry);
        }
        if self.random.chance(1, 6) {
            // Beyond `expirytime` it is refused.
            let time = self.time.plus_ms(self.random.ms(0, 20_000));
            draft = draft.not_before(time);
        }
        if self.random.chance(1, 3) {
            let priority = *self.random.pick(&["critical", "urgent", "bulk"])?;
            draft = draft.extension("priority", priority);
        }
        if from == self.walk_in() || self.random.chance(1, 5) {
            return self.send_kept(from, draft).map(|_| ());
        }
        self.send_signed(from, draft).map(|_| ())
    }

    /// A request outside conversations, or an answer to one: in time, late, or once too often.
    fn ask_or_answer(&mut self) -> Option<()> {
        if self.asked.is_empty() || self.random.chance(2, 5) {
            let (asker, responder) = (7, self.anyone());
            let to = self.address(&format!("agent:{}", self.id_of(responder)?))?;
            let deadline = self.time.plus_ms(self.random.ms(30, 600));
            let id = self.agents.get_mut(asker)?.message_id();
            let draft = openmesh_message::Draft::new(id.clone(), self.time, &to, &Performative::Request);
            self.send_unsigned(asker, draft.reply_by(deadline))?;
            self.asked.push(Asked { asker, responder, id, deadline });
            return Some(());
        }
        let asked = self.random.pick(&self.asked)?.clone();
        let late = self.time;
        self.asked.retain(|asked| asked.deadline.plus_ms(50_000) > late);
        self.answer(&asked, &Performative::Inform)
    }

    pub(crate) fn answer(&mut self, asked: &Asked, act: &Performative) -> Option<()> {
        let to = self.address(&format!("agent:{}", self.id_of(asked.asker)?))?;
        let draft = self.draft(asked.responder, &to, act)?.in_reply_to(&asked.id);
        self.send_unsigned(asked.responder, draft).map(|_| ())
    }

    /// Inbox verbs: lease, extend, give back, end.
    fn work(&mut self) -> Option<()> {
        let agent = self.anyone();
        let held = self.agents.get_mut(agent)?.held.pop();
        let Some((token, mut numbers)) = held else {
            let command = Command::Lease {
                messages_max: 1 + self.random.below(6) as u32,
                visibility_ms: 100 + self.random.below(60_000),
                wait_ms: self.random.below(3) * 400,
                least: if self.random.chance(1, 5) { Some(Priority::Urgent) } else { None },
            };
            return self.command(agent, command);
        };
        let command = match self.random.below(8) {
            0 => {
                self.agents.get_mut(agent)?.held.push((token, numbers));
                let visibility_ms = 100 + self.random.below(60_000);
                Command::Extend { token, visibility_ms }
            }
            1 | 2 => Command::Nack { token, numbers, delay_ms: self.random.below(3) * 700 },
            3 => return Some(()),
            4 => Command::Ack { token, numbers: Vec::new() },
            _ => {
                if numbers.len() > 1 {
                    let rest = numbers.split_off(numbers.len() / 2);
                    self.agents.get_mut(agent)?.held.push((token, rest));
                }
                Command::Ack { token, numbers }
            }
        };
        self.command(agent, command)
    }

    /// Mail that nobody has taken.
    fn call_back(&mut self) -> Option<()> {
        let agent = self.anyone();
        self.recall(agent, |entry| !entry.is_act && !matches!(entry.state, EntryState::Leased(..)))
    }

    /// Calls back mail of an agent, of the kind that is looked for.
    pub(crate) fn recall(&mut self, agent: usize, is_meant: impl Fn(&Entry) -> bool) -> Option<()> {
        let sender = self.id_of(agent);
        let mut found = Vec::new();
        for (recipient, inbox) in self.node.partition.state().inboxes() {
            let meant = inbox.entries().filter(|(_, entry)| entry.sender == sender && is_meant(entry));
            found.extend(meant.map(|(number, entry)| (*recipient, number, entry.seq)));
        }
        let (recipient, number, seq) = *self.random.pick(&found)?;
        let record = self.node.log.record(seq).ok()?;
        let message = record.message()?;
        let (digest, id) = (message.digest(), message.attributes.get("id")?.to_owned());
        self.command(agent, Command::Recall { recipient, number, message: digest, id })
    }

    fn listen(&mut self) -> Option<()> {
        let agent = self.anyone();
        let subscription = 1 + self.random.below(5);
        if self.random.chance(1, 4) {
            return self.command(agent, Command::Unsubscribe { subscription });
        }
        let pattern = (*self.random.pick(&PATTERNS)?).to_owned();
        let start = match self.random.chance(1, 3) {
            true => Start::At(1 + self.random.below(self.node.log.head())),
            false if self.random.chance(1, 4) => Start::Since(self.time.plus_ms(-self.random.ms(0, 30_000))),
            false => Start::Next,
        };
        let command = Command::Subscribe { subscription, pattern, start };
        self.command(agent, command)
    }

    /// Questions, which change nothing.
    fn wonder(&mut self) -> Option<()> {
        let agent = self.anyone();
        let command = match self.random.below(11) {
            8 => Command::Peek { after_number: self.random.below(20), messages_max: 5 },
            9 => Command::ListTopics,
            10 => {
                let topic = "topic:market/**".to_owned();
                Command::GetTopic { topic, after: None, topics_max: 10 }
            }
            0 => Command::ListAgents,
            1 => Command::CountInbox,
            2 => Command::ListConversations,
            3 => Command::ListDefinitions,
            4 => {
                let state = self.some_talk(|_, _| true)?;
                let conversation = state.id.to_string();
                Command::ShowConversation { conversation }
            }
            5 => Command::GetProtocol { name: "market/negotiation".to_owned() },
            6 => {
                let sent = self.agents.get(agent)?.remembered.clone();
                let sent = self.random.pick(&sent)?;
                let id = sent.attributes.get("id")?.to_owned();
                let message = sent.digest();
                Command::GetReceipt { message, id }
            }
            _ => {
                let filter = Box::new(LogFilter { agent: self.id_of(agent), ..LogFilter::default() });
                let after_seq = self.random.below(self.node.log.head());
                Command::QueryLog { filter, after_seq, records_max: 20, wait_ms: 0, newest_first: false }
            }
        };
        self.command(agent, command)
    }

    /// Hands a message to the node at once, without a link between.
    pub(crate) fn offer_now(&mut self, agent: usize, draft: openmesh_message::Draft) -> Option<()> {
        let sender = self.agents.get_mut(agent)?;
        let (connection, tag) = (sender.connection?, sender.tag());
        let envelope = draft.sign(&sender.key).ok()?;
        let id = sender.id();
        self.model.note_sent(envelope.digest());
        let now = self.now();
        let _ = self.node.offer(connection, id, vec![(tag, envelope)], now);
        Some(())
    }
}
