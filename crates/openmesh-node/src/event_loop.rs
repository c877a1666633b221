//! The owner of the partition: one task, one queue in, one plan out for each input.
//!
//! Plans gather while a sync is under way; then their records go to the log writer together, and when those
//! are synced their effects are performed in order. Nothing here decides anything.

use crate::decided::Decided;
use crate::journey::Journeys;
use crate::log_writer::{Commit, HEADROOM_BYTES, LogWriter, WriterGone};
use crate::perform::{Performer, Progress};
use crate::snapshots::Snapshots;
use crate::upkeep::Upkeep;
use openmesh_adapter::planted::{self as live, Planted as Live};
use openmesh_adapter::{Arrival, Event, Intake, Load, Queues, now};
use openmesh_core::{ConnectionId, Effect, Input, Partition, Plan, Rejection};
use openmesh_message::Timestamp;
use openmesh_message::frame::{Command, StreamAct};
use openmesh_store::planted::{self, Planted};
use openmesh_store::{Fault, failpoint};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::yield_now;
use tokio::time::sleep;

/// Inputs planned before the loop looks whether a sync has ended.
const INPUTS_AT_ONCE: usize = 64;
/// Bytes of records that may wait for the sync under way; beyond it no more events are taken.
const WAITING_BYTES_MAX: u64 = HEADROOM_BYTES / 4;
/// Plans that may always wait for the sync under way.
pub(crate) const PLANS_AT_ONCE_MIN: usize = 256;
/// And at most.
const PLANS_AT_ONCE_MAX: usize = 4_096;
/// Longest time that what waits is held back.
const HELD_BACK_MAX: Duration = Duration::from_millis(1);
/// About what it takes to write the records of one plan.
const PLAN_WRITTEN: Duration = Duration::from_micros(8);
/// Longest time without a look at the clock, so that a clock set forward is noticed.
const TICK_MAX: Duration = Duration::from_secs(1);

/// Why the loop ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The node was told to stop, and everything planned was performed.
    Stopped,
    /// The log failed: what it did not confirm is unknown, and the partition must be recovered.
    Failed(Option<Fault>),
}

/// The loop's parts.
pub(crate) struct EventLoop {
    /// What should happen.
    pub(crate) partition: Partition,
    /// Keeps records.
    pub(crate) writer: LogWriter,
    /// Lets effects happen.
    pub(crate) performer: Performer,
    /// What is measured and traced.
    pub(crate) journeys: Journeys,
    /// What waits for the sync under way.
    pub(crate) waiting: Decided,
    /// How many of them wait before only what is urgent is taken.
    pub(crate) plans_at_once: usize,
    /// Since when what waits is held back for what is about to come.
    pub(crate) held_back_since: Option<Instant>,
    /// Since when the first of what the log has waits.
    pub(crate) keeping_since: Option<Instant>,
    /// Since when only what is urgent is taken, or nothing, until the disk is done.
    pub(crate) shut_since: Option<Instant>,
    /// How much the node has to do.
    pub(crate) load: Arc<Load>,
    /// Makes snapshots of the state.
    pub(crate) snapshots: Snapshots,
    /// Keeps the log as large as it is to be.
    pub(crate) upkeep: Upkeep,
}

impl EventLoop {
    /// Runs until told to stop or until the log fails.
    pub(crate) async fn run(&mut self, intake: &mut Intake) -> Ended {
        let ended = self.drive(intake).await;
        if let Ended::Failed(_) = ended {
            let waiting = std::mem::take(&mut self.waiting);
            for effect in self.writer.unconfirmed().iter().chain(&waiting.effects) {
                self.performer.give_up(effect);
            }
        }
        ended
    }

    async fn drive(&mut self, intake: &mut Intake) -> Ended {
        let mut stopping = false;
        loop {
            stopping |= self.take_some(intake, stopping);
            if planted::fears(now().millis()) {
                return Ended::Failed(None);
            }
            self.journeys.sample(&self.partition, intake.depth(), self.writer.is_full());
            let holds_back = !stopping && self.holds_back(intake);
            if !holds_back && let Err(WriterGone(fault)) = self.submit() {
                return Ended::Failed(fault);
            }
            if stopping && self.waiting.plans == 0 && !self.writer.is_busy() {
                return Ended::Stopped;
            }
            let (is_busy, until_deadline) = (self.writer.is_busy(), self.until_deadline());
            let from = self.queues();
            self.note_whether_shut(from);
            let has_more = !stopping && intake.has_more(from);
            // However much comes in meanwhile: a full disk may have room again.
            self.writer.note_if_quiet();
            let quiet_in = self.writer.quiet_in();
            let lingers_for = self.performer.write_lingering();
            tokio::select! {
                biased;
                commit = self.writer.next_commit(), if is_busy => match commit {
                    Ok(commit) => if let Err(WriterGone(fault)) = self.confirm(commit, intake) {
                        return Ended::Failed(fault);
                    },
                    Err(WriterGone(fault)) => return Ended::Failed(fault),
                },
                () = sleep(until_deadline), if !stopping => self.handle(Input::Tick),
                () = yield_now(), if has_more => {}
                goes_on = intake.arrive(from), if !stopping && !has_more => stopping |= !goes_on,
                () = sleep(quiet_in.unwrap_or_default()), if quiet_in.is_some() => {}
                () = sleep(HELD_BACK_MAX), if holds_back => {}
                () = sleep(lingers_for.unwrap_or_default()), if lingers_for.is_some() => {}
            }
        }
    }

    /// Takes what waits, up to a bound or something urgent; `true` if the node is to stop.
    fn take_some(&mut self, intake: &mut Intake, stopping: bool) -> bool {
        let mut stopping = stopping;
        for _ in 0..INPUTS_AT_ONCE {
            if stopping {
                break;
            }
            match intake.take(self.queues()) {
                Some(Arrival::Input { mut input, since, is_express }) => {
                    widen_window(&mut input);
                    self.journeys.note_wait(since);
                    self.handle_since(input, since);
                    if is_express {
                        self.waiting.is_urgent = true;
                        break;
                    }
                }
                Some(Arrival::Event(event)) => stopping |= self.take(event),
                None => break,
            }
        }
        stopping
    }

    /// What is decided cannot be overtaken any more: while enough waits for the log, only what is urgent is taken, and nothing
    /// while there is no room.
    const fn queues(&self) -> Queues {
        if self.waiting.bytes >= WAITING_BYTES_MAX {
            Queues::Neither
        } else if self.waiting.plans < self.plans_at_once {
            Queues::Both
        } else {
            Queues::Express
        }
    }

    /// What waits meanwhile waits for the disk.
    fn note_whether_shut(&mut self, from: Queues) {
        match (from, self.shut_since) {
            (Queues::Both, Some(since)) => {
                self.shut_since = None;
                self.load.note_open(since.elapsed());
            }
            (Queues::Express | Queues::Neither, None) => {
                self.shut_since = Some(Instant::now());
                self.load.note_shut();
            }
            _ => {}
        }
    }

    /// Whether what waits should wait for more that is about to come, although the log is free: a write and a sync cost the
    /// same for one record and for many. What comes by itself is never waited for long, and what is urgent waits for nothing.
    fn holds_back(&mut self, intake: &mut Intake) -> bool {
        let plans = self.waiting.plans;
        let is_free = plans > 0 && !self.writer.is_busy();
        let more_comes = intake.expected() > plans || intake.has_more(self.queues());
        if !is_free || self.waiting.is_urgent || plans >= self.plans_at_once || !more_comes {
            self.held_back_since = None;
            return false;
        }
        self.held_back_since.get_or_insert_with(Instant::now).elapsed() < HELD_BACK_MAX
    }

    /// Takes one event; `true` if it says to stop.
    fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Opened { connection, agent, receives, outbox } => {
                self.performer.open(connection, outbox);
                self.handle(Input::Connected { connection, agent, receives });
            }
            Event::Closed(connection) => {
                self.performer.close(connection);
                self.handle(Input::Disconnected { connection });
            }
            // The intake hands out inputs one by one.
            Event::Inputs(_) => {}
            Event::Drained(connection) => self.performer.resume(connection),
            Event::ReadOn { connection, subscription, generation, through_seq, to_the_end } => {
                let progress = Progress { generation, through_seq, to_the_end };
                self.performer.read_on(connection, subscription, progress);
            }
            Event::Stop => return true,
        }
        false
    }

    fn handle(&mut self, input: Input) {
        self.handle_since(input, Instant::now());
    }

    fn handle_since(&mut self, input: Input, since: Instant) {
        let begun = self.journeys.begin(&input, since);
        if self.writer.is_full()
            && let Some(refusal) = refuse_unkept(&input)
        {
            let plan = Plan { effects: vec![refusal], ..Plan::new(now()) };
            let performing = self.journeys.decided(begun, &plan).performing();
            return self.performer.perform(plan.effects, performing);
        }
        if let Some(refusal) = self.planted_refusal(&input) {
            let performing = self.journeys.decided(begun, &Plan::new(now())).performing();
            return self.performer.perform(vec![refusal], performing);
        }
        let sender = sender_of(&input);
        let plan = self.partition.handle(input, now());
        self.charge(sender, &plan);
        let journey = self.journeys.decided(begun, &plan);
        let publishes = |effect: &Effect| *effect == Effect::PublishView || effect.reads_topics();
        if plan.effects.iter().any(publishes) {
            self.performer.publish(self.partition.view());
        }
        if plan.effects.contains(&Effect::PublishView) {
            self.performer.end_shortcuts();
        }
        let is_kept = !plan.records.is_empty() || planted::has(Planted::WaitForDisk);
        if !is_kept && plan.effects.iter().all(Effect::is_live) {
            self.performer.perform(plan.effects, journey.performing());
        } else {
            self.journeys.wait(journey);
            self.waiting.add(plan);
        }
    }

    /// Whether the bug that refuses acknowledgements under load is planted, and this is one.
    fn planted_refusal(&self, input: &Input) -> Option<Effect> {
        let Input::Command { ticket, command } = input else { return None };
        let is_refused = planted::has(Planted::ShedAcks)
            && matches!(**command, Command::Ack { .. })
            && !self.load.is_light();
        is_refused.then(|| Effect::Reply(*ticket, Err(Rejection::Busy)))
    }

    /// Whoever sent what goes to many owes for it.
    fn charge(&self, sender: Option<ConnectionId>, plan: &Plan) {
        let readers = plan.effects.iter().filter(|effect| matches!(effect, Effect::Deliver(_))).count();
        if readers > 1
            && let Some(sender) = sender
        {
            self.performer.charge(sender, readers);
        }
    }

    /// Hands what waits to the log writer, unless it is still syncing what came before.
    fn submit(&mut self) -> Result<(), WriterGone> {
        if self.writer.is_busy() || self.waiting.plans == 0 {
            return Ok(());
        }
        let decided = std::mem::take(&mut self.waiting);
        if decided.records.is_empty() {
            let performing = self.journeys.performing_unkept();
            self.performer.perform(decided.effects, performing);
            return Ok(());
        }
        self.journeys.keeping();
        self.keeping_since = decided.since;
        self.writer.submit(decided)
    }

    /// Performs what is synced, while the log takes what waited for it.
    fn confirm(&mut self, commit: Commit, intake: &mut Intake) -> Result<(), WriterGone> {
        let performing = self.journeys.kept(commit.head_seq);
        if let Some(since) = self.keeping_since.take() {
            self.load.note_commit(since.elapsed());
        }
        self.plans_at_once = plans_in(commit.synced_in);
        let submitted = if self.holds_back(intake) { Ok(()) } else { self.submit() };
        failpoint::reached("receipt.before-perform");
        self.performer.perform(commit.effects, performing);
        failpoint::reached("receipt.performed");
        self.performer.note_head(commit.head_seq);
        self.snapshots.note_head(commit.head_seq);
        self.upkeep.note(self.partition.state().upkeep());
        submitted
    }

    fn until_deadline(&self) -> Duration {
        let until = |deadline: Timestamp| u64::try_from(deadline.since_ms(now())).unwrap_or(0);
        self.partition.next_deadline().map_or(TICK_MAX, |at| Duration::from_millis(until(at)).min(TICK_MAX))
    }
}

/// As many plans as take about as long to write as a sync takes: a slow disk is given large batches, a fast one small
/// ones that soon end.
fn plans_in(sync: Duration) -> usize {
    let count = sync.as_micros() / PLAN_WRITTEN.as_micros();
    usize::try_from(count).unwrap_or(usize::MAX).clamp(PLANS_AT_ONCE_MIN, PLANS_AT_ONCE_MAX)
}

/// Where the bug that ignores credit is planted, a reader of a stream gives more of it.
fn widen_window(input: &mut Input) {
    if let Input::Stream { act: StreamAct::Read { window, .. }, .. } = input
        && live::has(Live::IgnoreCredit)
    {
        *window *= 8;
    }
}

/// Without room, messages are refused and refusals leave no record; leases, acks and timers go on.
fn refuse_unkept(input: &Input) -> Option<Effect> {
    match input {
        Input::Message { ticket, .. } => Some(Effect::Reject(*ticket, Rejection::StoreFull)),
        Input::Refused { ticket, refused } => Some(Effect::Reject(*ticket, refused.rejection.clone())),
        _ => None,
    }
}

const fn sender_of(input: &Input) -> Option<ConnectionId> {
    match input {
        Input::Message { ticket, .. } => Some(ticket.connection),
        _ => None,
    }
}
