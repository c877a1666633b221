//! What waits for the owner: an ordinary queue, and an express one for what is urgent of connections that have
//! nothing else waiting.

use crate::mesh_handle::{Event, Inputs};
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
    event: Option<Event>,
    inputs: Option<Inputs>,
    hasty: Option<Inputs>,
    passed: u32,
    expected: Arc<AtomicUsize>,
}

/// Which queues may be taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queues {
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
    pub(crate) const fn new(
        ordinary: mpsc::Receiver<Event>,
        express: mpsc::Receiver<Inputs>,
        expected: Arc<AtomicUsize>,
    ) -> Self {
        Self { ordinary, express, event: None, inputs: None, hasty: None, passed: 0, expected }
    }

    /// How many messages are being admitted, and come without anybody's waiting for anything.
    pub fn expected(&self) -> usize {
        self.expected.load(Ordering::Relaxed)
    }

    /// What goes next of those queues that may be taken from, if anything waits.
    pub fn take(&mut self, from: Queues) -> Option<Arrival> {
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
        self.ordinary.len() + self.express.len()
    }

    /// Whether anything waits there.
    pub fn has_more(&mut self, from: Queues) -> bool {
        self.let_go();
        self.look();
        self.hasty.is_some() || from == Queues::Both && (self.inputs.is_some() || self.event.is_some())
    }

    /// Waits until something has come; `false` when nothing can come any more. Cancel-safe.
    pub async fn arrive(&mut self, from: Queues) -> bool {
        let may_look = from == Queues::Both && self.event.is_none() && self.inputs.is_none();
        tokio::select! {
            biased;
            Some(inputs) = self.express.recv(), if self.hasty.is_none() => self.hasty = Some(inputs),
            event = self.ordinary.recv(), if may_look => match event {
                Some(event) => self.sort(event),
                None => return false,
            },
        }
        true
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
            self.hasty = Some(inputs);
        }
        while self.inputs.as_ref().is_none_or(Inputs::is_empty)
            && self.event.is_none()
            && let Ok(event) = self.ordinary.try_recv()
        {
            self.sort(event);
        }
    }

    fn sort(&mut self, event: Event) {
        match event {
            Event::Inputs(inputs) => self.inputs = Some(inputs),
            other => self.event = Some(other),
        }
    }
}

fn take_one(inputs: &mut Option<Inputs>) -> Option<(Input, Instant)> {
    inputs.as_mut().and_then(Inputs::take)
}
