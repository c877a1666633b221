//! Agents that say much that is alike and is not kept, and others who begin and cease to listen. Draws from a stream of numbers of
//! its own.

use super::carrying::LIVE_TAG;
use super::{ADMIN_TOKEN, World};
use crate::census::Kind;
use openmesh_core::Ticket;
use openmesh_message::frame::{Command, Start};
use openmesh_message::{Draft, Envelope, Performative};

/// Who says it.
const TICKERS: [usize; 3] = [5, 6, 8];
const TOPICS: [&str; 3] = ["topic:chat/room", "topic:chat/side", HALL];
const PATTERNS: [&str; 5] = ["topic:chat/*", "topic:**", "topic:chat/room", "topic:chat/side", HALL];
/// A topic that is kept at times.
const HALL: &str = "topic:chat/hall";
/// Kinds of messages; those from [`PLAIN`] on are all alike, those from [`JSON`] on before it, too.
const KINDS: u64 = 24;
const MALFORMED: u64 = 7;
const JSON: u64 = 8;
const PLAIN: u64 = 12;
/// Messages said in a row, at most.
const ROW_MAX: u64 = 5;
/// Of messages this large, some have no room with a reader who does not read.
const LARGE_BYTES: usize = 150 * 1024;
const LARGE_ROW: u64 = 6;

impl World {
    /// What happens at each step.
    pub(super) fn tick_along(&mut self) {
        if !self.node.is_up {
            return;
        }
        for ticker in TICKERS {
            if self.ticking.chance(1, 3) {
                self.say_some(ticker);
            }
        }
        let agent = self.ticking.below(9) as usize;
        if self.ticking.chance(1, 6) {
            self.tune(agent);
        }
        if self.ticking.chance(1, 60) {
            let pinned = self.ticking.chance(1, 2);
            let token = Some(ADMIN_TOKEN.to_owned());
            self.give(agent, Command::ConfigureTopic { topic: HALL.to_owned(), pinned, token });
        }
    }

    /// Several messages that are alike, or nearly.
    fn say_some(&mut self, ticker: usize) -> Option<()> {
        let topic = *self.ticking.pick(&TOPICS)?;
        let is_large = self.ticking.chance(1, 200);
        let kind = self.ticking.below(KINDS);
        let row = if is_large { LARGE_ROW } else { 1 + self.ticking.below(ROW_MAX) };
        let mut said = Vec::new();
        for _ in 0..row {
            // One of a row may differ.
            let kind = match kind {
                JSON..PLAIN if self.ticking.chance(1, 4) => MALFORMED,
                _ if self.ticking.chance(1, 12) => self.ticking.below(KINDS),
                _ => kind,
            };
            let bytes = if is_large { LARGE_BYTES } else { 3 };
            let envelope = self.ticks(ticker, topic, kind, bytes)?;
            said.push((LIVE_TAG + self.ticked, envelope));
        }
        self.offer_live(ticker, said)
    }

    fn ticks(&mut self, ticker: usize, topic: &str, kind: u64, bytes: usize) -> Option<Envelope> {
        self.ticked += 1;
        let to = self.address(topic)?;
        let draft = Draft::new(format!("tick-{}", self.ticked), self.time, &to, &Performative::Inform);
        let draft = match kind {
            MALFORMED => draft.json(b"{\"n\":".to_vec()),
            JSON..PLAIN => draft.json(b"{\"n\":1}".to_vec()),
            _ => draft.payload("text/plain", vec![b'x'; bytes]),
        };
        let draft = match kind {
            0 => draft.extension("subject", "pencils"),
            1 => draft.extension("priority", "urgent"),
            2 | 3 => draft.extension("priority", "bulk"),
            4 => draft.expires(self.time.plus_ms(60_000)),
            5 => draft.expires(self.time.plus_ms(-60_000)),
            6 => draft.ack_level("received"),
            _ => draft,
        };
        draft.unsigned(&self.id_of(ticker)?).ok()
    }

    /// Hands messages to the node in one frame, in its connection's order: what is lost or repeated between is the other agents'
    /// to see.
    fn offer_live(&mut self, agent: usize, said: Vec<(u64, Envelope)>) -> Option<()> {
        let sender = self.agents.get_mut(agent)?;
        let (connection, id, now) = (sender.connection?, sender.id(), self.now());
        for _ in 0..said.len() {
            self.census.count(Kind::Traffic, "live messages sent");
        }
        for (_, refused) in self.node.offer(connection, id, said, now) {
            self.census.count(Kind::Refusal, refused.code());
        }
        Some(())
    }

    /// Begins or ceases to listen; numbers are used again.
    fn tune(&mut self, agent: usize) -> Option<()> {
        let subscription = 1 + self.ticking.below(4);
        let command = if self.ticking.chance(2, 5) {
            Command::Unsubscribe { subscription }
        } else {
            let pattern = (*self.ticking.pick(&PATTERNS)?).to_owned();
            Command::Subscribe { subscription, pattern, start: Start::Next }
        };
        self.give(agent, command)
    }

    fn give(&mut self, agent: usize, command: Command) -> Option<()> {
        let sender = self.agents.get_mut(agent)?;
        let (connection, tag) = (sender.connection?, sender.tag());
        // Whether there is room for it is not what is looked at here.
        let _ = self.node.command(Ticket { connection, tag }, command);
        Some(())
    }
}
