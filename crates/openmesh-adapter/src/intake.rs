//! What waits for the owner: an ordinary queue, and an express one for what is urgent of connections that have
//! nothing else waiting.

use crate::load::Load;
use crate::mesh_handle::{Event, Inputs};
use crate::turns::Turns;
use openmesh_core::Input;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::mpsc;

/// How often in a row express inputs go before one of the ordinary queue.
const PATIENCE: u32 = 64;

/// The owner's side of the queues.
#[derive(Debug)]
pub struct Intake {
    ordinary: mpsc::Receiver<Event>,
    express: mpsc::Receiver<Inputs>,
    /// What came by the ordinary queue, until its turn.
    turns: Turns,
    event: Option<Event>,
    inputs: Option<Inputs>,
    hasty: Option<Inputs>,
    passed: u32,
    expected: Arc<AtomicUsize>,
    load: Arc<Load>,
}

/// Which queues may be taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queues {
    /// Neither: what comes waits for its turn.
    Neither,
    /// The express queue alone.
    Express,
    /// Both.
    Both,
}

/// One thing for the owner.
#[derive(Debug)]
pub enum Arrival {
    /// What an agent sent.
    Input {
        /// It.
        input: Input,
        /// Since when it waits.
        since: Instant,
        /// Whether it came by the express queue, and ends its batch: what came together is decided together.
        is_express: bool,
    },
    /// Anything else, inputs never.
    Event(Event),
}

impl Intake {
    pub(crate) fn new(
        ordinary: mpsc::Receiver<Event>,
        express: mpsc::Receiver<Inputs>,
        expected: Arc<AtomicUsize>,
        load: Arc<Load>,
    ) -> Self {
        let turns = Turns::default();
        Self { ordinary, express, turns, event: None, inputs: None, hasty: None, passed: 0, expected, load }
    }

    /// Takes things in the order they came, whoever sent them: a bug to plant.
    pub const fn take_in_order(&mut self) {
        self.turns.take_in_order();
    }

    /// How much the node has to do.
    pub const fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// How many messages are being admitted, and come without anybody's waiting for anything.
    pub fn expected(&self) -> usize {
        self.expected.load(Ordering::Relaxed)
    }

    /// What goes next of those queues that may be taken from, if anything waits.
    pub fn take(&mut self, from: Queues) -> Option<Arrival> {
        if from == Queues::Neither {
            return None;
        }
        self.let_go();
        self.look();
        let waits = from == Queues::Both && (self.inputs.is_some() || self.event.is_some());
        if self.passed < PATIENCE || !waits {
            self.passed += u32::from(waits);
            if let Some((input, since)) = take_one(&mut self.hasty) {
                let is_last = self.hasty.as_ref().is_none_or(Inputs::is_empty);
                return Some(Arrival::Input { input, since, is_express: is_last });
            }
        }
        if !waits {
            return None;
        }
        self.passed = 0;
        if let Some((input, since)) = take_one(&mut self.inputs) {
            return Some(Arrival::Input { input, since, is_express: false });
        }
        self.event.take().map(Arrival::Event)
    }

    /// How many batches wait in the queues.
    pub fn depth(&self) -> usize {
        self.ordinary.len() + self.express.len() + self.turns.len()
    }

    /// Whether anything waits there.
    pub fn has_more(&mut self, from: Queues) -> bool {
        if from == Queues::Neither {
            return false;
        }
        self.let_go();
        self.look();
        self.hasty.is_some() || from == Queues::Both && (self.inputs.is_some() || self.event.is_some())
    }

    /// Waits until something has come that may be taken; `false` when nothing can come any more. Cancel-safe.
    pub async fn arrive(&mut self, from: Queues) -> bool {
        let hurries = from != Queues::Neither && self.hasty.is_none();
        loop {
            tokio::select! {
                biased;
                Some(inputs) = self.express.recv(), if hurries => {
                    inputs.note_taken();
                    self.hasty = Some(inputs);
                    return true;
                }
                event = self.ordinary.recv() => match event {
                    Some(event) => self.turns.add(event),
                    None => return false,
                },
            }
            // What may not be taken is out of the way of what comes: each connection has its own places.
            if from == Queues::Both {
                return true;
            }
        }
    }

    /// Lets go of batches whose last input was taken, and by now decided: their connections may take shortcuts again.
    fn let_go(&mut self) {
        for inputs in [&mut self.inputs, &mut self.hasty] {
            if inputs.as_ref().is_some_and(Inputs::is_empty) {
                *inputs = None;
            }
        }
    }

    fn look(&mut self) {
        while self.hasty.as_ref().is_none_or(Inputs::is_empty)
            && let Ok(inputs) = self.express.try_recv()
        {
            inputs.note_taken();
            self.hasty = Some(inputs);
        }
        while self.inputs.as_ref().is_none_or(Inputs::is_empty)
            && self.event.is_none()
            && let Some(event) = self.next_in_turn()
        {
            self.sort(event);
        }
    }

    /// What came is sorted by connection, unless it is alone.
    fn next_in_turn(&mut self) -> Option<Event> {
        let first = self.ordinary.try_recv().ok();
        if let Some(first) = first {
            let second = self.ordinary.try_recv().ok();
            if second.is_none() && self.turns.is_empty() {
                return Some(first);
            }
            self.turns.add(first);
            second.into_iter().for_each(|second| self.turns.add(second));
            while let Ok(more) = self.ordinary.try_recv() {
                self.turns.add(more);
            }
        }
        self.turns.next()
    }

    fn sort(&mut self, event: Event) {
        match event {
            Event::Inputs(inputs) => {
                inputs.note_taken();
                self.inputs = Some(inputs);
            }
            other => self.event = Some(other),
        }
    }
}

fn take_one(inputs: &mut Option<Inputs>) -> Option<(Input, Instant)> {
    inputs.as_mut().and_then(Inputs::take)
}
