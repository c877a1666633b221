//! Shortcuts: what the owner decided of one message is done with those alike on the task of the connection they come from,
//! until something changes that the decision rests on.

mod by_topic;

pub use by_topic::ShortcutsByTopic;

use crate::matched::{Matched, PassedBy};
use crate::metrics::{SENT, SYSTEM};
use crate::outbox::{Batch, WeakOutbox};
use crate::planted::{self, Planted};
use metrics::{Counter, counter};
use openmesh_core::admit::is_sound_again;
use openmesh_message::frame::Run;
use openmesh_message::{Form, Priority, Timestamp};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

/// Shortcuts that a connection has at a time.
const SHORTCUTS_MAX: usize = 8;

/// Messages that took one, made at the first.
static PASSED: LazyLock<Counter> = LazyLock::new(|| {
    let labels = [
        ("messaging.system", SYSTEM),
        ("messaging.operation.name", "send"),
        ("messaging.destination.template", "topic/{path}"),
        ("openmesh.outcome", "passed"),
        ("error.type", ""),
    ];
    counter!(SENT, &labels)
});

/// Where messages of one form go.
#[derive(Debug)]
pub struct Shortcut {
    lane: Priority,
    readers: Vec<Reader>,
    has_ended: AtomicBool,
}

/// One subscription that takes them in.
#[derive(Debug)]
pub struct Reader {
    /// The way to it.
    pub outbox: WeakOutbox,
    /// Its number.
    pub subscription: u64,
    /// What it has had.
    pub matched: Arc<Matched>,
}

/// The shortcuts of one connection, the latest first.
#[derive(Debug, Default)]
pub struct Shortcuts(VecDeque<(Arc<Form>, Arc<Shortcut>)>);

impl Shortcut {
    /// A shortcut to some readers.
    pub const fn new(lane: Priority, readers: Vec<Reader>) -> Self {
        Self { lane, readers, has_ended: AtomicBool::new(false) }
    }

    /// What comes from here on is to be decided again.
    pub fn end(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
    }

    /// Whether messages are to be decided again.
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
    }

    /// How many subscriptions take them in.
    pub(crate) const fn readers(&self) -> usize {
        self.readers.len()
    }

    /// Hands the first messages of a run over, as far as they are sound; how many, and those from the first that is not.
    pub(crate) fn pass(&self, mut run: Run, now: Timestamp) -> (u64, Option<Run>) {
        let sound = run.iter().take_while(|message| is_sound_again(message, now)).count();
        let rest = (sound < run.len()).then(|| run.split_off(sound));
        if sound > 0 {
            self.hand_over(&Arc::new(run));
            PASSED.increment(sound as u64);
        }
        (sound as u64, rest)
    }

    fn hand_over(&self, run: &Arc<Run>) {
        self.readers.iter().for_each(|reader| reader.hand_over(self.lane, run));
    }
}

impl Reader {
    fn hand_over(&self, lane: Priority, run: &Arc<Run>) {
        let Self { outbox, subscription, matched } = self;
        let passed_by = matched.pass_by((outbox.levels(), lane), run.len());
        if passed_by == PassedBy::Yes {
            return;
        }
        // One that has closed belongs to a connection whose end is on its way to the owner.
        let Some(outbox) = outbox.upgrade() else { return };
        let (to, mut batch) = ((&outbox, *subscription), Batch::with_capacity(1));
        if passed_by == PassedBy::Late {
            matched.tell_missed(to, lane, &mut batch);
        } else {
            matched.offer_run(to, lane, run, &mut batch);
        }
        if !batch.is_empty() {
            let _ = outbox.send_of(matched, batch);
        }
    }
}

impl Shortcuts {
    /// Notes a shortcut, in the place of an earlier one of its form.
    pub fn add(&mut self, form: Arc<Form>, shortcut: Arc<Shortcut>) {
        self.0.retain(|(known, shortcut)| !Arc::ptr_eq(known, &form) && !shortcut.has_ended());
        self.0.truncate(SHORTCUTS_MAX - 1);
        self.0.push_front((form, shortcut));
    }

    /// The shortcut of a form, unless it has ended.
    pub fn of(&self, form: &Arc<Form>) -> Option<&Arc<Shortcut>> {
        let is_its = |known: &Arc<Form>| Arc::ptr_eq(known, form) || planted::has(Planted::TakeAnyShortcut);
        let known = self.0.iter().find(|(known, _)| is_its(known));
        known.map(|(_, shortcut)| shortcut).filter(|shortcut| !shortcut.has_ended())
    }
}
