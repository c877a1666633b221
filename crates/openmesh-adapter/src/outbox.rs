//! The bounded way out to one connection, in lanes: answers first, then deliveries by their priority, streams before
//! what is `normal`.
//!
//! Answers always fit; each lane of deliveries has room of its own, so that a full one takes none from the others. A lane
//! that waits is passed over at most [`PATIENCE`] times in a row by more urgent things.

mod bell;
mod lanes;
mod level;
mod patience;
mod sizes;
#[cfg(test)]
mod tests;

pub(crate) use level::Levels;
pub use level::Room;
pub(crate) use sizes::alike_bytes;
pub use sizes::{delivery_bytes, message_bytes};

use crate::load::Load;
use crate::matched::Matched;
use crate::planted;
use crate::quota::FAN_OUT_COST;
use crate::shortcut::{Shortcut, Shortcuts};
use bell::Bell;
use lanes::{Lanes, Taken, taken_by};
use level::Most;
use openmesh_message::frame::{Delivery, Reply, Run, RunDelivery, SendOutcome, StreamEvent};
use openmesh_message::{Form, Priority, Problem, ReceiptRun, Timestamp};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// How often a lane that waits is passed over before one thing of it goes first.
const PATIENCE: u32 = 64;
/// Answers that wait for a connection; more than its agent's unanswered sends and commands can make.
const ANSWERS_MAX: usize = 16_384;
/// Words and items of streams that wait for a connection; more than the windows of its agent hold of the smallest items.
const STREAM_EVENTS_MAX: usize = 65_536;
/// Bytes that a lane holds where outboxes hold much together.
const CROWDED_BYTES: usize = 256 * 1024;
/// Bytes that it holds where they hold too much, or much and its reader is slow.
const LITTLE_BYTES: usize = 16 * 1024;
/// What waits is told the node's load when it has changed by so many bytes.
const NOTED_BYTES: usize = 32 * 1024;
/// Things taken out at once, so that what is more urgent and comes later does not wait for long.
const TAKEN_MAX: usize = 256;
/// Bytes of deliveries taken out at once, but always one.
const TAKEN_BYTES_MAX: usize = 16 * 1024;

/// One thing for an agent.
#[derive(Debug)]
pub enum Outgoing {
    /// How a send ended.
    Outcome(u64, SendOutcome),
    /// Sends that were accepted in one commit.
    Receipts(ReceiptRun),
    /// How a command ended.
    Reply(u64, Result<Reply, Problem>),
    /// Sends whose tags follow one another were passed on: the first one's tag, and how many.
    Passed(u64, u64),
    /// A message, or a gap, and the lane it takes.
    Deliver(Priority, Delivery),
    /// Messages of a run, and the lane they take.
    DeliverRun(Priority, RunDelivery),
    /// A word about a stream, or an item of it.
    Stream(StreamEvent),
    /// The answer to a ping.
    Pong(u64),
    /// The end of the connection.
    Goodbye(Problem),
}

/// Things for an agent; those of one lane stay in this order.
pub type Batch = Vec<Outgoing>;

/// The owner's side.
#[derive(Clone, Debug)]
pub struct Outbox {
    shared: Arc<Shared>,
    /// Keeps the connection's side waiting for more; whoever only passes on does not.
    _held: Option<Arc<Held>>,
}

/// An outbox, as long as there is one.
#[derive(Clone, Debug)]
pub struct WeakOutbox {
    shared: Weak<Shared>,
    levels: Arc<Levels>,
}

/// The connection's side.
#[derive(Debug)]
pub struct OutboxReader {
    shared: Arc<Shared>,
    taken: Taken,
}

/// Why a batch was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No room for answers.
    Full,
    /// The connection has ended.
    Closed,
}

#[derive(Debug, Default)]
struct Shared {
    lanes: Mutex<Lanes>,
    /// What messages that come from this connection need not be decided for.
    shortcuts: Mutex<Shortcuts>,
    levels: Arc<Levels>,
    noted: Noted,
    /// What its agent owes for what went to many.
    owed: AtomicI64,
    bell: Bell,
    reader_left: AtomicBool,
    owners_left: AtomicBool,
    /// A connection that missed something of a stream is worth nothing to it: it ends, and the stream goes on with another.
    is_cut: AtomicBool,
}

/// What the node's load knows to wait here.
#[derive(Debug, Default)]
struct Noted {
    load: Arc<Load>,
    bytes: AtomicUsize,
}

/// Tells the reader when the last outbox is dropped.
#[derive(Debug)]
struct Held(Arc<Shared>);

impl Shared {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shortcuts(&self) -> MutexGuard<'_, Shortcuts> {
        self.shortcuts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a lane may hold: little where outboxes hold much together, and even less where its reader is slow, but that first.
    fn most(&self, lane: Priority) -> Most {
        let (most, load) = (Most::of(lane), &self.noted.load);
        let is_slow = self.levels.is_slow();
        let holds_little = self.levels.of(lane).bytes() <= LITTLE_BYTES;
        if holds_little && !is_slow || !load.outboxes_are_crowded() {
            return most;
        }
        let bytes = if is_slow || load.outboxes_are_full() { LITTLE_BYTES } else { CROWDED_BYTES };
        Most { bytes, ..most }
    }

    /// Tells the node's load how much waits here, where that has changed by much.
    fn note_load(&self) {
        let after = self.levels.bytes();
        let Noted { load, bytes } = &self.noted;
        let before = bytes.load(Ordering::Relaxed);
        if after.abs_diff(before) >= NOTED_BYTES
            && bytes.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            load.note_outbox(before, after);
        }
    }

    fn sink(&self, gone: Taken) -> bool {
        let mut tells = false;
        for (lane, (deliveries, bytes)) in Priority::ALL.into_iter().zip(gone) {
            let level = self.levels.of(lane);
            level.sink(deliveries, bytes);
            tells |= level.open(self.most(lane));
        }
        tells
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.load.note_outbox(self.bytes.load(Ordering::Relaxed), 0);
    }
}

impl Outbox {
    /// An outbox and its reader; what waits in it counts for no node's load.
    pub fn new() -> (Self, OutboxReader) {
        Self::under(&Arc::default())
    }

    /// An outbox and its reader; what waits in it counts for this load.
    pub fn under(load: &Arc<Load>) -> (Self, OutboxReader) {
        let noted = Noted { load: Arc::clone(load), bytes: AtomicUsize::new(0) };
        let shared = Arc::new(Shared { noted, ..Shared::default() });
        let held = Some(Arc::new(Held(Arc::clone(&shared))));
        let reader = OutboxReader { shared: Arc::clone(&shared), taken: Taken::default() };
        (Self { shared, _held: held }, reader)
    }

    /// The same for those who are not to keep it.
    pub fn downgrade(&self) -> WeakOutbox {
        WeakOutbox { shared: Arc::downgrade(&self.shared), levels: Arc::clone(&self.shared.levels) }
    }

    /// Whether a delivery of this size would be taken; if not, the reader will tell when there is room again.
    pub fn has_room(&self, lane: Priority, bytes: usize) -> bool {
        self.room(lane, std::iter::once(bytes)).for_all
    }

    /// How many deliveries of these sizes would be taken; if not all, the reader will tell when there is room again.
    pub fn room(&self, lane: Priority, sizes: impl Iterator<Item = usize> + Clone) -> Room {
        let level = self.shared.levels.of(lane);
        let room = level.room(self.shared.most(lane), sizes.clone());
        if room.for_all {
            return room;
        }
        level.ask_to_know();
        // The reader may have emptied the lane before it could see the flag.
        level.room(self.shared.most(lane), sizes)
    }

    /// Notes what the agent of this connection owes, for what went to many.
    pub fn owe_for(&self, readers: usize) {
        let further = i64::try_from(readers.saturating_sub(1)).unwrap_or(i64::MAX);
        if further > 0 {
            self.shared.owed.fetch_add(further.saturating_mul(FAN_OUT_COST), Ordering::Relaxed);
        }
    }

    /// What the agent owes, which is then paid.
    pub fn take_owed(&self) -> i64 {
        self.shared.owed.swap(0, Ordering::Relaxed)
    }

    /// Shuts a lane, unless it is half empty: nothing more that is not kept is let in, until the reader tells that it is.
    pub(crate) fn shut(&self, lane: Priority) -> bool {
        let level = self.shared.levels.of(lane);
        // First, so that a reader that empties it now sees that it is to tell.
        level.shut();
        let is_low = level.is_low(self.shared.most(lane));
        if is_low {
            level.reopen();
        }
        !is_low
    }

    /// What waits in its lanes.
    pub(crate) fn levels(&self) -> &Levels {
        &self.shared.levels
    }

    /// Notes that deliveries of these bytes are in a batch about to be sent.
    pub fn count(&self, lane: Priority, deliveries: usize, bytes: usize) {
        self.shared.levels.of(lane).count(deliveries, bytes);
    }

    /// Hands over a batch, whose deliveries were counted.
    pub fn send(&self, batch: Batch) -> Result<(), Refusal> {
        self.send_while(|| true, batch)
    }

    /// Hands over deliveries of one subscription, which were counted, unless it has ended: then they are dropped. Whoever ends it,
    /// and then [forgets](Self::forget) what waits for it, knows that nothing comes under its number any more.
    pub fn send_of(&self, matched: &Matched, batch: Batch) -> Result<(), Refusal> {
        planted::dawdle();
        self.send_while(|| !matched.has_ended(), batch)
    }

    fn send_while(&self, is_wanted: impl FnOnce() -> bool, batch: Batch) -> Result<(), Refusal> {
        if self.is_closed() {
            return Err(Refusal::Closed);
        }
        let (refused, lost) = {
            let mut lanes = self.shared.lanes();
            if !is_wanted() {
                drop(lanes);
                self.shared.sink(taken_by(&batch));
                return Ok(());
            }
            let refused =
                batch.into_iter().map(|outgoing| lanes.push(outgoing)).filter(|taken| !taken).count();
            (refused, lanes.lost_of_a_stream())
        };
        if lost {
            self.shared.is_cut.store(true, Ordering::SeqCst);
        }
        self.shared.note_load();
        self.shared.bell.ring();
        if refused == 0 { Ok(()) } else { Err(Refusal::Full) }
    }

    /// Hands over answers, and wakes nobody; `true` where their reader is to be told of them in time, if it is still quiet since
    /// this number then.
    pub(crate) fn send_quietly(&self, answers: Batch, number: u64) -> bool {
        let mut lanes = self.shared.lanes();
        // They have room as long as their sends were given it.
        answers.into_iter().for_each(|answer| _ = lanes.push(answer));
        drop(lanes);
        self.shared.bell.hush(number)
    }

    /// Whether the reader has not been told of what waits since a number.
    pub(crate) fn is_quiet(&self, number: u64) -> bool {
        self.shared.bell.is_quiet(number)
    }

    /// Tells the reader of what was put there quietly.
    pub(crate) fn end_quiet(&self) {
        self.shared.bell.ring();
    }

    /// Has messages of a form that come from this connection take a shortcut.
    pub fn shorten(&self, form: Arc<Form>, shortcut: Arc<Shortcut>) {
        self.shared.shortcuts().add(form, shortcut);
    }

    /// Whether messages of a form take a shortcut.
    pub fn is_shortened(&self, form: &Arc<Form>) -> bool {
        self.shared.shortcuts().of(form).is_some()
    }

    /// Passes on the first messages of a run that came from this connection, which bear tags from one on, as far as they take a
    /// shortcut; gives back those that do not.
    pub fn pass(&self, first: u64, run: Run, now: Timestamp) -> Option<Run> {
        let shortcut = self.shared.shortcuts().of(run.form()).cloned();
        let Some(shortcut) = shortcut else { return Some(run) };
        let (passed, rest) = shortcut.pass(run, now);
        if passed > 0 {
            self.owe_for(shortcut.readers() * usize::try_from(passed).unwrap_or(usize::MAX));
            // Answers have room as long as their sends were given it.
            let _ = self.send(vec![Outgoing::Passed(first, passed)]);
        }
        rest
    }

    /// Drops what waits for a subscription that ended; `true` if there is room again where there was none.
    pub fn forget(&self, subscription: u64) -> bool {
        let gone = self.shared.lanes().forget(subscription);
        self.shared.sink(gone)
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.reader_left.load(Ordering::SeqCst)
    }
}

impl WeakOutbox {
    /// The outbox, unless its connection has ended.
    pub fn upgrade(&self) -> Option<Outbox> {
        let outbox = Outbox { shared: self.shared.upgrade()?, _held: None };
        (!outbox.is_closed()).then_some(outbox)
    }

    /// What waits in its lanes, or did at the end.
    pub(crate) fn levels(&self) -> &Levels {
        &self.levels
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.owners_left.store(true, Ordering::SeqCst);
        self.0.bell.ring();
    }
}

impl OutboxReader {
    /// What is to be written next; `None` when the owner let go of the connection and all is taken.
    pub async fn next(&mut self) -> Option<Batch> {
        loop {
            let owners_left = self.shared.owners_left.load(Ordering::SeqCst);
            if self.shared.is_cut.load(Ordering::SeqCst) {
                return None;
            }
            if let Some(batch) = self.waiting() {
                return Some(batch);
            }
            if owners_left {
                return None;
            }
            self.shared.bell.rung().await;
        }
    }

    /// What is to be written next, if anything waits.
    pub fn waiting(&mut self) -> Option<Batch> {
        let batch = self.shared.lanes().take(&mut self.taken);
        Some(batch).filter(|batch| !batch.is_empty())
    }

    /// Whether so much waits for all connections together that little is to be taken at once.
    pub fn is_crowded(&self) -> bool {
        self.shared.noted.load.outboxes_are_crowded()
    }

    /// Notes that what was taken is written; `true` if someone who found a lane full should be told of the room.
    pub fn written(&mut self) -> bool {
        self.shared.levels.note_slow(false);
        let tells = self.shared.sink(std::mem::take(&mut self.taken));
        self.shared.note_load();
        tells
    }
}

impl Drop for OutboxReader {
    fn drop(&mut self) {
        self.shared.reader_left.store(true, Ordering::SeqCst);
    }
}
