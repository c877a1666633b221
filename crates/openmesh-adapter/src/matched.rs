//! What matched a subscription: counted, handed over, or missed and reported. By the owner, by tasks that read the log, and by
//! shortcuts, at the same time.

use crate::metrics::{CONSUMED, MISSED, SYSTEM};
use crate::outbox::{Batch, Levels, Outbox, Outgoing, alike_bytes, delivery_bytes};
use crate::planted::{self, Planted};
use metrics::{Counter, counter};
use openmesh_message::frame::{Delivery, Run, RunDelivery};
use openmesh_message::{Envelope, Priority};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// Messages handed over, made at the first one.
static DELIVERED: LazyLock<Counter> = LazyLock::new(|| {
    let labels = [("messaging.system", SYSTEM), ("messaging.operation.name", "deliver")];
    counter!(CONSUMED, &labels)
});
static MISSED_COUNT: LazyLock<Counter> = LazyLock::new(|| counter!(MISSED));

/// The first and the last number of some in a row that were missed.
type Missed = Option<(u64, u64)>;

/// Whether messages were counted as missed without being offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassedBy {
    /// Their lane is not shut, and they are to be offered.
    No,
    /// They were, and whoever opens the lane tells of them.
    Yes,
    /// They were, and the lane was opened meanwhile: they are to be told of here.
    Late,
}

/// What a subscription has had.
#[derive(Debug, Default)]
pub struct Matched {
    /// Counts what matched.
    numbers: AtomicU64,
    /// What matched and was missed while its lane was shut, and has no number yet.
    passed_by: AtomicU64,
    /// Numbers in a row that were missed and not reported.
    missed: Mutex<Missed>,
    has_ended: AtomicBool,
}

impl Matched {
    /// The subscription has ended: whoever still hands over what is of it finds that it has no place any more.
    pub fn end(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
    }

    /// Whether the subscription has ended.
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst) && !planted::has(Planted::HandToEnded)
    }

    /// The number of a message that matches.
    pub fn next_number(&self) -> u64 {
        self.next_numbers(1)
    }

    /// The first number of some that match.
    fn next_numbers(&self, messages: u64) -> u64 {
        self.numbers.fetch_add(messages, Ordering::Relaxed) + 1
    }

    /// Counts messages as missed where their lane is shut, at the cost of a look: whoever opens it tells of them. `false` where
    /// it is not shut.
    pub(crate) fn pass_by(&self, (levels, lane): (&Levels, Priority), messages: usize) -> PassedBy {
        if !levels.is_shut(lane) {
            return PassedBy::No;
        }
        if !planted::has(Planted::ForgetMissed) {
            self.passed_by.fetch_add(messages as u64, Ordering::SeqCst);
        }
        // Whoever opened it meanwhile may have told what was missed before these were counted.
        if levels.is_shut(lane) { PassedBy::Yes } else { PassedBy::Late }
    }

    /// Adds a message to what is sent next, whose room is taken, behind word of what was missed before; or counts it as missed,
    /// where there is no room.
    pub fn offer(&self, to: (&Outbox, u64), lane: Priority, envelope: Arc<Envelope>, batch: &mut Batch) {
        let (outbox, subscription) = to;
        if self.is_passed_by(to, lane, 1, batch) {
            return;
        }
        let mut message = Delivery::Message { subscription, number: 0, envelope };
        if !outbox.has_room(lane, delivery_bytes(&message)) {
            return self.note_missed(to, lane, 1, batch);
        }
        self.tell_missed(to, lane, batch);
        if let Delivery::Message { number, .. } = &mut message {
            *number = self.next_number();
        }
        batch.push(counted(outbox, lane, message));
    }

    /// The same of a run: its first messages are handed over as far as there is room, the others are missed.
    pub fn offer_run(&self, to: (&Outbox, u64), lane: Priority, run: &Arc<Run>, batch: &mut Batch) {
        let (outbox, subscription) = to;
        if self.is_passed_by(to, lane, run.len(), batch) {
            return;
        }
        let room = outbox.room(lane, run.sizes().map(alike_bytes));
        let taken = room.deliveries;
        if taken > 0 {
            self.tell_missed(to, lane, batch);
            let number = self.next_numbers(taken as u64);
            outbox.count(lane, taken, room.bytes);
            DELIVERED.increment(taken as u64);
            // A few do not hold the bytes of many.
            let run = if taken < run.len() / 2 { Arc::new(run.first(taken)) } else { Arc::clone(run) };
            let delivery = RunDelivery { subscription, number, run, messages: taken };
            batch.push(Outgoing::DeliverRun(lane, delivery));
        }
        if !room.for_all {
            self.note_missed(to, lane, run.len() - taken, batch);
        }
    }

    fn is_passed_by(&self, to: (&Outbox, u64), lane: Priority, messages: usize, batch: &mut Batch) -> bool {
        let passed_by = self.pass_by((to.0.levels(), lane), messages);
        if passed_by == PassedBy::Late {
            self.tell_missed(to, lane, batch);
        }
        passed_by != PassedBy::No
    }

    /// Counts missed messages. Word of them is given when the reader tells of room; it may have told since there was none, so one
    /// looks again.
    fn note_missed(&self, to: (&Outbox, u64), lane: Priority, messages: usize, batch: &mut Batch) {
        let (outbox, subscription) = to;
        // Reported without a look at the room: something was handed over between this run and the one before.
        let before = self.miss(&mut self.missed(), messages as u64);
        batch.extend(before.map(|run| counted(outbox, lane, gap(subscription, run))));
        if !outbox.shut(lane) {
            self.tell_missed(to, lane, batch);
        }
    }

    /// Adds word of what was missed, if that was not said yet.
    pub(crate) fn tell_missed(&self, to: (&Outbox, u64), lane: Priority, batch: &mut Batch) {
        let (outbox, subscription) = to;
        batch.extend(self.take_gaps(subscription).map(|gap| counted(outbox, lane, gap)));
    }

    /// Word of what was missed, if that was not said yet: mostly one gap, or two where something was handed over between.
    pub fn take_gaps(&self, subscription: u64) -> impl Iterator<Item = Delivery> + use<> {
        let mut missed = self.missed();
        let passed_by = match self.passed_by.load(Ordering::SeqCst) {
            0 => 0,
            _ => self.passed_by.swap(0, Ordering::SeqCst),
        };
        let before = if passed_by > 0 { self.miss(&mut missed, passed_by) } else { None };
        before.into_iter().chain(missed.take()).map(move |run| gap(subscription, run))
    }

    /// Counts missed messages; returns the run before, if others were handed over since.
    fn miss(&self, missed: &mut Missed, messages: u64) -> Missed {
        if planted::has(Planted::ForgetMissed) {
            return None;
        }
        let number = self.next_numbers(messages);
        let until = number + messages - 1;
        if let Some((_, last)) = missed
            && *last + 1 == number
        {
            *last = until;
            return None;
        }
        missed.replace((number, until))
    }

    fn missed(&self) -> MutexGuard<'_, Missed> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn gap(subscription: u64, (first, last): (u64, u64)) -> Delivery {
    Delivery::Gap { subscription, first, last }
}

/// Messages were missed, as a gap tells.
pub(crate) fn count_missed(messages: u64) {
    MISSED_COUNT.increment(messages);
}

/// A delivery whose room in the outbox is taken.
pub fn counted(outbox: &Outbox, lane: Priority, delivery: Delivery) -> Outgoing {
    match &delivery {
        Delivery::Message { .. } => DELIVERED.increment(1),
        Delivery::Gap { first, last, .. } => count_missed(last.saturating_sub(*first) + 1),
    }
    outbox.count(lane, 1, delivery_bytes(&delivery));
    Outgoing::Deliver(lane, delivery)
}

#[cfg(test)]
mod tests {
    use super::Matched;
    use crate::load::Load;
    use crate::outbox::{Outbox, OutboxReader, Outgoing, alike_bytes};
    use bytes::Bytes;
    use openmesh_message::frame::{ClientFrame, Delivery, FrameDecoder, FrameEncoder, Heard, Run};
    use openmesh_message::{Attributes, Envelope, Priority, Transit};
    use std::sync::Arc;

    /// A run of messages with payloads of this size.
    fn run(messages: u64, bytes: usize) -> Arc<Run> {
        let mut attributes = Attributes::default();
        for (name, value) in [("id", "m"), ("to", "there"), ("time", "now")] {
            attributes.set(name, value).unwrap();
        }
        let envelope =
            Envelope { attributes, payload: vec![1; bytes].into(), proof: None, transit: Transit::default() };
        let (mut encoder, mut decoder) = (FrameEncoder::default(), FrameDecoder::default());
        let mut hear = |messages| {
            let sent = ClientFrame::Send((0..messages).map(|tag| (tag, envelope.clone())).collect());
            let mut frame = Vec::new();
            encoder.encode_client(&sent, &mut frame).unwrap();
            decoder.hear(&Bytes::from(frame).slice(4..)).unwrap()
        };
        hear(3);
        let Heard::Sent(mut sent) = hear(messages) else { panic!("no sends") };
        Arc::new(sent.runs.pop_front().unwrap().1)
    }

    /// Offers a run of what is bulk, so many times.
    fn offer(matched: &Matched, outbox: &Outbox, run: &Arc<Run>, count: usize) {
        for _ in 0..count {
            let mut batch = Vec::new();
            matched.offer_run((outbox, 1), Priority::Bulk, run, &mut batch);
            outbox.send(batch).unwrap();
        }
    }

    /// What was handed over and what was reported as missed, as first and last numbers.
    fn handed(reader: &mut OutboxReader) -> Vec<(bool, u64, u64)> {
        let numbers = |outgoing| match outgoing {
            Outgoing::DeliverRun(_, run) => (true, run.number, run.number + run.messages as u64 - 1),
            Outgoing::Deliver(_, Delivery::Gap { first, last, .. }) => (false, first, last),
            other => panic!("{other:?}"),
        };
        let mut handed = Vec::new();
        while let Some(batch) = reader.waiting() {
            handed.extend(batch.into_iter().map(numbers));
            reader.written();
        }
        handed
    }

    #[test]
    fn of_a_run_as_much_is_handed_over_as_there_is_room_for_and_the_rest_is_missed() {
        let (matched, (outbox, mut reader)) = (Matched::default(), Outbox::new());
        let run = run(100, 1_000);
        let size = run.sizes().map(alike_bytes).next().unwrap();
        let fit = (1024 * 1024 / size) as u64;
        let offer = |count| offer(&matched, &outbox, &run, count);
        offer(20);
        let handed_over = handed(&mut reader);
        let handed_over = handed_over.iter().fold(0, |until, (is_handed, first, last)| {
            assert!(*is_handed && *first == until + 1, "{handed_over:?}");
            *last
        });
        assert_eq!(handed_over, fit);
        offer(1);
        assert_eq!(handed(&mut reader), [(false, fit + 1, 2_000), (true, 2_001, 2_100)]);
    }

    #[test]
    fn what_is_handed_over_of_a_run_counts_as_much_as_it_gives_back() {
        let (matched, (outbox, mut reader)) = (Matched::default(), Outbox::new());
        let (run, lane) = (run(100, 1_000), Priority::Bulk);
        for _ in 0..50 {
            offer(&matched, &outbox, &run, 1);
            handed(&mut reader);
        }
        assert_eq!(matched.next_number(), 5_001);
        let room = outbox.room(lane, run.sizes().map(alike_bytes));
        assert!(room.for_all && room.deliveries == 100, "{room:?}");
    }

    #[test]
    fn what_waits_for_a_slow_reader_is_missed_where_others_need_the_memory_and_told_when_it_reads() {
        let load = Arc::new(Load::under(4 * 1024 * 1024, |_| None));
        let (matched, (outbox, mut reader)) = (Matched::default(), Outbox::under(&load));
        let (run, lane) = (run(100, 1_000), Priority::Bulk);
        let offer = |count| offer(&matched, &outbox, &run, count);
        offer(3);
        reader.note_slow();
        assert_eq!(
            handed(&mut reader),
            [(true, 1, 100), (true, 101, 200), (true, 201, 300)],
            "there is memory"
        );
        offer(5);
        let being_written = reader.waiting().unwrap();
        assert_eq!(being_written.len(), 1);
        reader.note_slow();
        let (_, held) = outbox.levels().waiting(lane);
        assert!(held < 128 * 1024, "what is being written, and word of what was missed: {held}");
        reader.written();
        offer(1);
        assert_eq!(handed(&mut reader), [(false, 401, 800), (true, 801, 900)]);
        assert_eq!(outbox.levels().waiting(lane), (0, 0));
    }

    #[test]
    fn what_is_missed_while_there_is_room_for_word_of_it_is_told_at_once() {
        let (outbox, _reader) = Outbox::new();
        let (matched, mut batch) = (Matched::default(), Vec::new());
        let mut offer = |bytes: usize| {
            let payload = vec![7; bytes].into();
            let (attributes, transit) = (Attributes::default(), Transit::default());
            let envelope = Arc::new(Envelope { attributes, payload, proof: None, transit });
            matched.offer((&outbox, 1), Priority::Bulk, envelope, &mut batch);
        };
        offer(400 * 1024);
        offer(700 * 1024);
        offer(1);
        let told = batch.iter().map(|outgoing| match outgoing {
            Outgoing::Deliver(_, Delivery::Gap { first, last, .. }) => (*first, *last),
            Outgoing::Deliver(_, Delivery::Message { number, .. }) => (*number, *number),
            other => panic!("{other:?}"),
        });
        assert_eq!(told.collect::<Vec<_>>(), [(1, 1), (2, 2), (3, 3)]);
        assert!(matches!(&batch[1], Outgoing::Deliver(_, Delivery::Gap { .. })), "{:?}", batch[1]);
    }
}
