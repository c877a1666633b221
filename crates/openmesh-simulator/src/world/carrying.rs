//! Links between agents and the node: they lose, reorder and repeat.

use super::World;
use crate::agent::Waiting;
use crate::census::Kind;
use crate::node::{Out, Said};
use crate::violation::Violation;
use openmesh_core::{ConnectionId, Ticket};
use openmesh_message::Envelope;
use openmesh_message::frame::Command;

/// How long an agent waits before it sends again what it has not heard of.
const RESEND_AFTER_MS: i64 = 2_000;

/// Nobody waits for what comes of sends with such tags.
pub(super) const LIVE_TAG: u64 = 1 << 40;

/// Something on its way.
#[derive(Clone, Debug)]
pub(crate) enum Carried {
    Message(ConnectionId, usize, u64, Box<Envelope>),
    Command(ConnectionId, usize, u64, Command),
    Back(usize, Box<Out>),
}

impl World {
    /// Sends a message whose outcome the agent then waits for.
    pub(crate) fn send(&mut self, agent: usize, envelope: Envelope) {
        self.census.count(Kind::Traffic, "messages sent");
        self.model.note_sent(envelope.digest());
        let sent_at = self.time;
        let Some(sender) = self.agents.get_mut(agent) else {
            return;
        };
        let tag = sender.tag();
        if let Some(connection) = sender.connection {
            let carried = Carried::Message(connection, agent, tag, Box::new(envelope.clone()));
            self.put_on_wire(carried, "input");
        }
        if let Some(sender) = self.agents.get_mut(agent) {
            sender.waiting.insert(tag, Waiting { envelope, sent_at });
        }
    }

    pub(crate) fn command(&mut self, agent: usize, command: Command) -> Option<()> {
        let sender = self.agents.get_mut(agent)?;
        let (connection, tag) = (sender.connection?, sender.tag());
        self.put_on_wire(Carried::Command(connection, agent, tag, command), "input");
        Some(())
    }

    /// Gives a command and lets the node take it at once, without a link between.
    pub(crate) fn command_now(&mut self, agent: usize, command: Command) -> Result<(), Violation> {
        if let Some(sender) = self.agents.get_mut(agent)
            && let Some(connection) = sender.connection
        {
            let tag = sender.tag();
            let taken = self.node.command(Ticket { connection, tag }, command);
            self.note_refusal(taken.err().map(|rejection| rejection.code()));
        }
        self.turn(None)
    }

    /// Sends again, under the same id, what has not been heard of.
    pub(crate) fn resend(&mut self) {
        let late = self.time.plus_ms(-RESEND_AFTER_MS);
        let mut again = Vec::new();
        for (index, agent) in self.agents.iter_mut().enumerate() {
            let Some(connection) = agent.connection else {
                continue;
            };
            // What keeps no receipt is not sent twice: it would be handed over twice.
            agent.waiting.retain(|_, waiting| waiting.envelope.proof.is_some() || waiting.sent_at > late);
            for (tag, waiting) in agent.waiting.iter_mut().filter(|(_, waiting)| waiting.sent_at <= late) {
                waiting.sent_at = self.time;
                again.push(Carried::Message(connection, index, *tag, Box::new(waiting.envelope.clone())));
            }
        }
        for carried in again {
            self.fault("resent after Unknown");
            self.put_on_wire(carried, "input");
        }
    }

    /// Lets arrive what is due.
    pub(crate) fn carry(&mut self) -> Result<(), Violation> {
        while let Some(((due, order), carried)) = self.wire.pop_first() {
            if due > self.time {
                self.wire.insert((due, order), carried);
                break;
            }
            match carried {
                Carried::Message(connection, agent, tag, envelope) => {
                    self.arrive(connection, agent, tag, *envelope);
                }
                Carried::Command(connection, agent, tag, command) => {
                    if self.is_connected(agent, connection) {
                        let taken = self.node.command(Ticket { connection, tag }, command);
                        self.note_refusal(taken.err().map(|rejection| rejection.code()));
                    }
                }
                Carried::Back(agent, out) => self.hear(agent, *out),
            }
        }
        Ok(())
    }

    fn arrive(&mut self, connection: ConnectionId, agent: usize, tag: u64, envelope: Envelope) {
        let Some(id) = self.id_of(agent).filter(|_| self.is_connected(agent, connection)) else {
            return;
        };
        let now = self.now();
        for (tag, rejection) in self.node.offer(connection, id, vec![(tag, envelope)], now) {
            self.note_refusal(Some(rejection.code()));
            let said = Said::Rejected(tag, rejection.code());
            self.hand_back(Out { connection, said });
        }
    }

    fn note_refusal(&mut self, code: Option<&'static str>) {
        if let Some(code) = code {
            self.census.count(Kind::Refusal, code);
        }
    }

    fn is_connected(&self, agent: usize, connection: ConnectionId) -> bool {
        let connected = self.agents.get(agent).and_then(|agent| agent.connection);
        self.node.is_up && connected == Some(connection)
    }

    /// Puts what the node says on its way to the agent.
    pub(crate) fn hand_back(&mut self, out: Out) {
        if matches!(out.said, Said::Done(tag) | Said::Rejected(tag, _) if tag >= LIVE_TAG) {
            return;
        }
        let found = self.agents.iter().position(|agent| agent.connection == Some(out.connection));
        if let Some(agent) = found {
            self.put_on_wire(Carried::Back(agent, Box::new(out)), "outcome");
        }
    }

    fn hear(&mut self, agent: usize, out: Out) {
        let Some(agent) = self.agents.get_mut(agent) else {
            return;
        };
        match out.said {
            Said::Done(tag) => {
                agent.waiting.remove(&tag);
            }
            Said::Rejected(tag, code) => {
                let try_again = matches!(code, "node.busy" | "store.full");
                if !try_again {
                    agent.waiting.remove(&tag);
                }
            }
            Said::Leased(token, numbers) => agent.held.push((token, numbers)),
            Said::Other => {}
        }
    }

    fn put_on_wire(&mut self, carried: Carried, what: &str) {
        let is_calm = self.calm;
        if !is_calm && self.random.chance(1, 40) {
            return self.fault(&format!("{what} lost"));
        }
        let delay_ms = if is_calm { 1 } else { self.random.ms(1, 30) };
        let due = self.time.plus_ms(delay_ms);
        let overtakes = self.wire.keys().next_back().is_some_and(|(last, _)| *last > due);
        if overtakes {
            self.fault(&format!("{what} reordered"));
        }
        self.order += 1;
        let order = self.order;
        if !is_calm && self.random.chance(1, 40) {
            self.fault(&format!("{what} repeated"));
            let later = due.plus_ms(self.random.ms(0, 3_000));
            self.order += 1;
            self.wire.insert((later, self.order), carried.clone());
        }
        self.wire.insert((due, order), carried);
    }
}
