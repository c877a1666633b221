//! What is not kept, on its way from connection to connection: the ways in and out that a node has, shortcuts among them.
//!
//! Nothing of it is simulated but time and who reads when.

use super::hearing::Hearing;
use crate::random::Random;
use crate::violation::{Violation, ensure};
use bytes::Bytes;
use openmesh_adapter::{
    Batch, Matched, Outbox, OutboxReader, Outgoing, Reader, ShortcutsByTopic, WeakOutbox, counted,
};
use openmesh_core::{ConnectionId, Deliver, Plan, Shorten};
use openmesh_message::frame::{
    ClientFrame, Delivery, FrameDecoder, FrameEncoder, Heard, Run, Sent, ServerFrame,
};
use openmesh_message::{Envelope, Priority, Timestamp, TopicPattern};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes that a frame begins with: its length.
const LENGTH_BYTES: usize = 4;
/// One connection in so many reads seldom: once in so many turns.
const LAZY_IN: u64 = 3;
const LAZY_TURNS: u64 = 40;

/// All connections' ways.
pub(crate) struct Live {
    wires: BTreeMap<ConnectionId, Wire>,
    shortcuts: ShortcutsByTopic,
    /// What whoever listens must be handed.
    pub(crate) hearing: Hearing,
    random: Random,
}

/// The ways of one connection.
struct Wire {
    encoder: FrameEncoder,
    decoder: FrameDecoder,
    speaker: FrameEncoder,
    listener: FrameDecoder,
    outbox: Outbox,
    reader: OutboxReader,
    subscriptions: BTreeMap<u64, Arc<Matched>>,
}

/// What a connection was told.
pub(crate) struct Told {
    pub(crate) connection: ConnectionId,
    /// Tags of sends that were passed on.
    pub(crate) passed: Vec<u64>,
    /// Messages that were missed.
    pub(crate) missed: u64,
}

impl Live {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            wires: BTreeMap::new(),
            shortcuts: ShortcutsByTopic::default(),
            hearing: Hearing::default(),
            random: Random::new(seed),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.wires.clear();
        self.shortcuts = ShortcutsByTopic::default();
        self.hearing.clear();
    }

    pub(crate) fn connect(&mut self, connection: ConnectionId) {
        let (outbox, reader) = Outbox::new();
        let wire = Wire {
            encoder: FrameEncoder::default(),
            decoder: FrameDecoder::default(),
            speaker: FrameEncoder::default(),
            listener: FrameDecoder::default(),
            outbox,
            reader,
            subscriptions: BTreeMap::new(),
        };
        self.wires.insert(connection, wire);
    }

    pub(crate) fn disconnect(&mut self, connection: ConnectionId) {
        self.wires.remove(&connection);
        self.hearing.leave(connection);
    }

    /// Messages as they come out of one frame: in runs, as far as they are alike.
    pub(crate) fn carry(
        &mut self,
        connection: ConnectionId,
        messages: Vec<(u64, Envelope)>,
    ) -> Result<Sent, Violation> {
        let by_themselves = |messages| Sent { messages, ..Sent::default() };
        let Some(wire) = self.wires.get_mut(&connection) else { return Ok(by_themselves(messages)) };
        let Some(sent) = wire.carry(&messages) else {
            // They fit no frame: a connection that sends them ends, which is not simulated.
            (wire.encoder, wire.decoder) = (FrameEncoder::default(), FrameDecoder::default());
            return Ok(by_themselves(messages));
        };
        let come = sent.clone().into_messages();
        ensure(come == messages, "a message comes as it was sent", || {
            format!("{messages:?} came as {come:?}")
        })?;
        Ok(sent)
    }

    /// Takes the first runs past the partition, as far as they may; what may not stays.
    pub(crate) fn pass(
        &mut self,
        connection: ConnectionId,
        sent: &mut Sent,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let Some(outbox) = self.wires.get(&connection).map(|wire| wire.outbox.clone()) else { return Ok(()) };
        while let Some((first, run)) = sent.runs.pop_front_if(|(_, run)| outbox.is_shortened(run.form())) {
            let messages: Vec<Envelope> = (0..run.len()).filter_map(|index| run.envelope(index)).collect();
            let rest = outbox.pass(first, run, now);
            let passed = messages.len() - rest.as_ref().map_or(0, Run::len);
            for envelope in messages.iter().take(passed) {
                self.hearing.take(connection, envelope)?;
            }
            if let Some(rest) = rest {
                sent.runs.push_front((first + passed as u64, rest));
                return Ok(());
            }
        }
        Ok(())
    }

    /// A shortcut is given.
    pub(crate) fn shorten(&mut self, shorten: Shorten) {
        let Some(outbox) = self.wires.get(&shorten.connection).map(|wire| wire.outbox.clone()) else {
            return;
        };
        let wires = &mut self.wires;
        self.shortcuts.give(&outbox, shorten, |(connection, subscription)| {
            let wire = wires.get_mut(&connection)?;
            let outbox: WeakOutbox = wire.outbox.downgrade();
            Some(Reader { outbox, subscription, matched: Arc::clone(wire.matched(subscription)) })
        });
    }

    /// Who listens to topics of a pattern has changed.
    pub(crate) fn end_shortcuts(&mut self, pattern: &TopicPattern) {
        self.shortcuts.end(pattern);
    }

    /// What the rules say, or who is known, has changed.
    pub(crate) fn end_every_shortcut(&mut self) {
        self.shortcuts.end_every();
    }

    /// A message that the partition handed over.
    pub(crate) fn deliver(&mut self, deliver: &Deliver) {
        let Some(wire) = self.wires.get_mut(&deliver.connection) else { return };
        let (mut batch, outbox) = (Batch::new(), wire.outbox.clone());
        let matched = wire.matched(deliver.subscription);
        let envelope = Arc::clone(&deliver.envelope);
        matched.offer((&outbox, deliver.subscription), deliver.lane, envelope, &mut batch);
        // A closed outbox belongs to a connection that has ended.
        let _ = outbox.send_of(matched, batch);
    }

    /// A subscription ended.
    pub(crate) fn unsubscribe(&mut self, connection: ConnectionId, subscription: u64) {
        self.hearing.end((connection, subscription));
        let Some(wire) = self.wires.get_mut(&connection) else { return };
        if let Some(matched) = wire.subscriptions.remove(&subscription) {
            matched.end();
        }
        if wire.outbox.forget(subscription) {
            wire.resume();
        }
    }

    /// Who reads, by chance, reads all that waits for it; in the end everybody does.
    pub(crate) fn read(&mut self, is_end: bool) -> Result<Vec<Told>, Violation> {
        let mut told = Vec::new();
        for (connection, wire) in &mut self.wires {
            let is_lazy = connection.0 % LAZY_IN == 0 && !self.random.chance(1, LAZY_TURNS);
            if is_lazy && !is_end {
                continue;
            }
            let mut one = Told { connection: *connection, passed: Vec::new(), missed: 0 };
            while let Some(batch) = wire.reader.waiting() {
                for outgoing in batch {
                    one.take(outgoing, wire, &mut self.hearing)?;
                }
                if wire.reader.written() {
                    wire.resume();
                }
            }
            self.hearing.check(*connection)?;
            told.push(one);
        }
        Ok(told)
    }

    /// Notes what a plan decided of a message to a topic that is not kept.
    pub(crate) fn note_passed(
        &mut self,
        connection: ConnectionId,
        envelope: &Envelope,
        plan: &Plan,
    ) -> Result<(), Violation> {
        let is_passed = |effect: &openmesh_core::Effect| match effect {
            openmesh_core::Effect::Pass { ticket, .. } => ticket.connection == connection,
            openmesh_core::Effect::Accept(ticket, receipt) => {
                ticket.connection == connection && receipt.position.is_none()
            }
            _ => false,
        };
        if plan.effects.iter().any(is_passed) { self.hearing.take(connection, envelope) } else { Ok(()) }
    }

    /// Whether a message is held up until the node has decided what waits and performed none of it.
    pub(crate) fn is_held_up(&mut self) -> bool {
        self.random.chance(1, 4)
    }
}

impl Told {
    fn take(&mut self, outgoing: Outgoing, wire: &mut Wire, hearing: &mut Hearing) -> Result<(), Violation> {
        if let Outgoing::Passed(first, count) = outgoing {
            self.passed.extend(first..first + count);
            return Ok(());
        }
        for delivery in wire.deliver(outgoing)? {
            self.missed += hearing.hear(self.connection, &delivery)?;
        }
        Ok(())
    }
}

impl Wire {
    fn carry(&mut self, messages: &[(u64, Envelope)]) -> Option<Sent> {
        let mut bytes = Vec::new();
        self.encoder.encode_client(&ClientFrame::Send(messages.to_vec()), &mut bytes).ok()?;
        match self.decoder.hear(&Bytes::from(bytes).slice(LENGTH_BYTES..)).ok()? {
            Heard::Sent(sent) => Some(sent),
            _ => None,
        }
    }

    /// What is handed over, as its reader reads it.
    fn deliver(&mut self, outgoing: Outgoing) -> Result<Vec<Delivery>, Violation> {
        let mut bytes = Vec::new();
        let encoded = match outgoing {
            Outgoing::Deliver(_, delivery) => {
                self.speaker.encode_server(&ServerFrame::Deliver(vec![delivery]), &mut bytes)
            }
            Outgoing::DeliverRun(_, run) => self.speaker.encode_run(&run, &mut bytes),
            _ => return Ok(Vec::new()),
        };
        let body = bytes.get(LENGTH_BYTES..).unwrap_or_default();
        match encoded.and_then(|()| self.listener.decode_server(body)) {
            Ok(ServerFrame::Deliver(deliveries)) => Ok(deliveries),
            other => Err(Violation::new("what is handed over can be read", format!("{other:?}"))),
        }
    }

    fn matched(&mut self, subscription: u64) -> &Arc<Matched> {
        self.subscriptions.entry(subscription).or_default()
    }

    /// There is room again: what was missed is told.
    fn resume(&self) {
        for (id, matched) in &self.subscriptions {
            if self.outbox.has_room(Priority::Normal, 0) {
                let gaps = matched.take_gaps(*id);
                let _ =
                    self.outbox.send(gaps.map(|gap| counted(&self.outbox, Priority::Normal, gap)).collect());
            }
        }
    }
}
