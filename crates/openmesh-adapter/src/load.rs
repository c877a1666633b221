//! How much the node has to do, and what of it is to be shed: see decision 0054.
//!
//! Signs of overload are noted where they show, in counters; every [`LOOK_EVERY`] whoever comes by makes one pressure of them.
//! To read it costs one load of an atomic.

mod shedding;
mod signals;

pub use shedding::{Class, Shedding};
pub use signals::CLASSES;

use crate::metrics::{MEMORY_HELD, MEMORY_MAX, OVERLOAD_PRESSURE};
use metrics::gauge;
use signals::{Judge, Seen, Signs};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the signs are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Looks that are further apart say nothing of how fast the owner is.
const BUSY_LOOKS_WITHIN: Duration = Duration::from_millis(200);
/// How often it is asked how much memory the process has.
const MEMORY_EVERY: Duration = Duration::from_millis(100);
/// Thousandths of a class: pressure is kept as a whole number.
const THOUSAND: f64 = 1_000.0;
/// What may wait for the owner is this part of the memory ceiling,
const WAITING_PART: u64 = 8;
/// but so much at least.
const WAITING_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// What may wait in outboxes is this part of the memory ceiling;
const OUTBOXES_PART: u64 = 4;
/// from this part on, little waits, and less for those who take nothing.
const CROWDED_PART: u64 = 8;

/// Says how many bytes of memory the process has under a ceiling, where that can be known.
pub type Resident = fn(u64) -> Option<u64>;

/// The node's load, as every adapter sees it.
pub struct Load {
    begun: Instant,
    memory_max: u64,
    resident: Resident,
    /// By class, the place in the order of shedding.
    order: [usize; CLASSES],
    /// Batches that the owner took since the last look.
    taken: AtomicU64,
    /// Longest wait since the last look from a decision until it was synced, in microseconds.
    commit_us: AtomicU64,
    /// For how long the owner took nothing since the last look, since it waited for the disk; and whether it does.
    shut_us: AtomicU64,
    is_shut: AtomicBool,
    /// When the owner last took something, or something came after nothing had waited.
    moved_us: AtomicU64,
    waiting_batches: AtomicUsize,
    waiting_bytes: AtomicUsize,
    outbox_bytes: AtomicUsize,
    look_due_us: AtomicU64,
    /// Thousandths of a class.
    pressure: AtomicU32,
    looks: Mutex<Looks>,
}

#[derive(Default)]
struct Looks {
    judge: Judge,
    looked_us: u64,
    memory_asked_us: u64,
    memory: u64,
    /// What was held when it was last asked how much memory the process has.
    held_then: u64,
}

impl Load {
    /// A load under a ceiling of memory, in bytes.
    pub fn under(memory_max: u64, resident: Resident) -> Self {
        Self {
            begun: Instant::now(),
            memory_max: memory_max.max(1),
            resident,
            order: [0, 1, 2, 3],
            taken: AtomicU64::new(0),
            commit_us: AtomicU64::new(0),
            shut_us: AtomicU64::new(0),
            is_shut: AtomicBool::new(false),
            moved_us: AtomicU64::new(0),
            waiting_batches: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            outbox_bytes: AtomicUsize::new(0),
            look_due_us: AtomicU64::new(0),
            pressure: AtomicU32::new(0),
            looks: Mutex::default(),
        }
    }

    /// The same, which sheds what is kept first: a bug to plant.
    pub const fn shedding_kept_first(mut self) -> Self {
        self.order = [3, 2, 1, 0];
        self
    }

    /// The ceiling, in bytes.
    pub const fn memory_max(&self) -> u64 {
        self.memory_max
    }

    /// From 0 to [`CLASSES`]: how many classes are shed, the last in part.
    pub fn pressure(&self) -> f64 {
        f64::from(self.pressure.load(Ordering::Relaxed)) / THOUSAND
    }

    /// Whether nothing is shed, at the cost of one load.
    pub fn is_light(&self) -> bool {
        self.pressure.load(Ordering::Relaxed) == 0
    }

    /// Which part of a class is shed, from 0 to 1.
    pub fn share_of(&self, class: Class) -> f64 {
        let place = self.order.get(class as usize).copied().unwrap_or_default();
        (self.pressure() - place as f64).clamp(0.0, 1.0)
    }

    /// The owner took a batch.
    pub(crate) fn note_taken(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.moved_us.store(micros(self.begun.elapsed()), Ordering::Relaxed);
    }

    /// What was decided so long ago is synced.
    pub fn note_commit(&self, waited: Duration) {
        self.commit_us.fetch_max(micros(waited), Ordering::Relaxed);
    }

    /// From here on the owner takes nothing until the disk is done.
    pub fn note_shut(&self) {
        self.is_shut.store(true, Ordering::Relaxed);
    }

    /// It takes what waits again, after so long.
    pub fn note_open(&self, shut: Duration) {
        self.is_shut.store(false, Ordering::Relaxed);
        self.shut_us.fetch_add(micros(shut), Ordering::Relaxed);
    }

    /// Something waits for the owner.
    pub(crate) fn hold(&self, bytes: usize) {
        if self.waiting_batches.fetch_add(1, Ordering::Relaxed) == 0 {
            self.moved_us.store(micros(self.begun.elapsed()), Ordering::Relaxed);
        }
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// It waits no longer.
    pub(crate) fn let_go(&self, bytes: usize) {
        self.waiting_batches.fetch_sub(1, Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Which part of the room for what waits for the owner is taken.
    pub(crate) fn waiting_share(&self) -> f64 {
        let room = (self.memory_max / WAITING_PART).max(WAITING_BYTES_MIN);
        self.waiting_bytes.load(Ordering::Relaxed) as f64 / room as f64
    }

    /// So many bytes more wait in an outbox, or fewer.
    pub(crate) fn note_outbox(&self, before: usize, after: usize) {
        if after >= before {
            self.outbox_bytes.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.outbox_bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    /// Whether outboxes hold so much together that each is to hold less, and those of slow readers little.
    pub(crate) fn outboxes_are_crowded(&self) -> bool {
        self.outbox_bytes.load(Ordering::Relaxed) as u64 >= self.memory_max / CROWDED_PART
    }

    /// Whether outboxes hold as much as they may together.
    pub(crate) fn outboxes_are_full(&self) -> bool {
        self.outbox_bytes.load(Ordering::Relaxed) as u64 >= self.memory_max / OUTBOXES_PART
    }

    /// Makes one pressure of all signs, if the last look was long enough ago.
    pub fn look(&self, at: Instant) {
        let at_us = micros(at.saturating_duration_since(self.begun));
        let due = self.look_due_us.load(Ordering::Relaxed);
        if at_us < due {
            return;
        }
        let next = at_us + micros(LOOK_EVERY);
        if self.look_due_us.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.look_now(at_us);
        }
    }

    fn look_now(&self, at_us: u64) {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = Duration::from_micros(at_us.saturating_sub(looks.looked_us));
        looks.looked_us = at_us;
        let (owner_wait, whole_wait) = self.waits(elapsed, at_us);
        let seen = Seen {
            owner_wait,
            whole_wait,
            waiting_share: self.waiting_share(),
            memory_share: self.memory(&mut looks, at_us) as f64 / self.memory_max as f64,
        };
        let (pressure, signs) = looks.judge.judge(&seen, elapsed);
        self.pressure.store((pressure * THOUSAND) as u32, Ordering::Relaxed);
        drop(looks);
        self.show(pressure, signs);
    }

    /// How long what comes would wait for the owner, and for owner and disk: by what waits, and what was taken since the last look.
    fn waits(&self, elapsed: Duration, at_us: u64) -> (Duration, Duration) {
        let taken = self.taken.swap(0, Ordering::Relaxed);
        let shut = Duration::from_micros(self.shut_us.swap(0, Ordering::Relaxed));
        let commit = Duration::from_micros(self.commit_us.swap(0, Ordering::Relaxed));
        let waiting = self.waiting_batches.load(Ordering::Relaxed);
        let stands = match waiting {
            0 => Duration::ZERO,
            _ => Duration::from_micros(at_us.saturating_sub(self.moved_us.load(Ordering::Relaxed))),
        };
        if elapsed > BUSY_LOOKS_WITHIN {
            // Too little came for a look, so little waited; or the process stood still.
            return (Duration::ZERO, commit.max(stands));
        }
        let to_take = |open: Duration| open.mul_f64(waiting as f64 / taken.max(1) as f64);
        let owner = match taken {
            0 if self.is_shut.load(Ordering::Relaxed) => Duration::ZERO,
            0 => stands,
            _ => to_take(elapsed.saturating_sub(shut)),
        };
        let whole = if taken == 0 { stands } else { to_take(elapsed) };
        (owner, whole.max(stands).max(commit))
    }

    /// As asked a moment ago, with what is held since.
    fn memory(&self, looks: &mut Looks, at_us: u64) -> u64 {
        let held = self.held();
        if at_us.saturating_sub(looks.memory_asked_us) >= micros(MEMORY_EVERY) {
            looks.memory_asked_us = at_us;
            looks.memory = (self.resident)(self.memory_max).unwrap_or_default();
            looks.held_then = held;
        }
        looks.memory + held.saturating_sub(looks.held_then)
    }

    fn held(&self) -> u64 {
        let waiting = self.waiting_bytes.load(Ordering::Relaxed);
        (waiting + self.outbox_bytes.load(Ordering::Relaxed)) as u64
    }

    fn show(&self, pressure: f64, signs: Signs) {
        shedding::show_counts();
        gauge!(OVERLOAD_PRESSURE, "sign" => "all").set(pressure);
        let Signs { owner, disk, waiting, memory } = signs;
        for (sign, pressure) in [("owner", owner), ("disk", disk), ("waiting", waiting), ("memory", memory)] {
            gauge!(OVERLOAD_PRESSURE, "sign" => sign).set(pressure);
        }
        gauge!(MEMORY_HELD, "in" => "queue").set(self.waiting_bytes.load(Ordering::Relaxed) as f64);
        gauge!(MEMORY_HELD, "in" => "outboxes").set(self.outbox_bytes.load(Ordering::Relaxed) as f64);
        gauge!(MEMORY_MAX).set(self.memory_max as f64);
    }
}

impl Default for Load {
    /// Without a ceiling.
    fn default() -> Self {
        Self::under(u64::MAX, |_| None)
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("pressure", &self.pressure()).finish_non_exhaustive()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Class, Load};
    use std::time::{Duration, Instant};

    const LOOK: Duration = Duration::from_millis(20);

    /// So many looks, between each of which so many batches are taken and as many come.
    fn look(load: &Load, at: &mut Instant, looks: usize, taken: usize) {
        for _ in 0..looks {
            (0..taken).for_each(|_| load.note_taken());
            *at += LOOK;
            load.look(*at);
        }
    }

    #[test]
    fn what_waits_long_by_how_fast_it_is_taken_presses_and_nothing_else_does() {
        let load = Load::default();
        let mut at = load.begun;
        (0..100).for_each(|_| load.hold(1_000));
        look(&load, &mut at, 10, 100);
        assert!(load.is_light(), "20 ms is no wait");
        look(&load, &mut at, 10, 4);
        assert!((load.pressure() - 2.0).abs() < 0.01, "500 ms: {}", load.pressure());
        assert!((load.share_of(Class::PassingOfRegistered) - 1.0).abs() < 0.01);
        assert!(load.share_of(Class::KeptOfStranger) < 0.01);
        (0..100).for_each(|_| load.let_go(1_000));
        at += Duration::from_secs(3);
        load.look(at);
        assert!(load.is_light());
    }

    #[test]
    fn a_wait_for_the_disk_is_none_for_the_owner() {
        let load = Load::default();
        let mut at = load.begun;
        (0..100).for_each(|_| load.hold(1_000));
        for _ in 0..10 {
            load.note_shut();
            load.note_open(Duration::from_millis(19));
            look(&load, &mut at, 1, 4);
        }
        assert!(load.is_light(), "500 ms, of which the owner cost 25: {}", load.pressure());
    }

    #[test]
    fn what_waits_presses_by_its_bytes_and_memory_by_its_share() {
        let load = Load::under(1_000_000_000, |_| Some(870_000_000));
        load.look(load.begun + Duration::from_secs(1));
        assert!((load.pressure() - 2.4).abs() < 0.01, "{}", load.pressure());
        let load = Load::under(1_000_000_000, |_| Some(1));
        load.hold(75_000_000);
        load.look(load.begun + LOOK);
        assert!((load.pressure() - 1.0).abs() < 0.01, "{}", load.pressure());
    }
}
