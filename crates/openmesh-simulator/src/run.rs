//! Runs: one seed, or many on all processors.

use crate::census::Census;
use crate::node::NodeBug;
use crate::violation::Violation;
use crate::world::World;
use openmesh_message::Digest;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Fixes everything that happens.
    pub seed: u64,
    /// How long it goes on.
    pub steps: u64,
    /// Something the node gets wrong on purpose.
    pub bug: Option<NodeBug>,
}

/// What came of a run that kept every promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// What happened how often.
    pub census: Census,
    /// Records kept.
    pub records: u64,
    /// SHA-256 over everything the node kept and did.
    pub trace: Digest,
}

impl Options {
    /// A run of usual length without planted bugs.
    pub const fn new(seed: u64) -> Self {
        Self { seed, steps: 360, bug: None }
    }
}

/// Runs one seed.
pub fn run(options: &Options) -> Result<Report, Violation> {
    let mut world = World::new(options.seed, options.bug)?;
    world.run(options.steps)?;
    Ok(Report {
        seed: options.seed,
        records: world.node.log.head(),
        trace: world.node.trace,
        census: world.census,
    })
}

/// Runs `count` seeds from `first` on, on so many threads; the reports in order, or the broken seeds.
#[expect(clippy::disallowed_methods, reason = "runs know nothing of each other; each stays on its thread")]
pub fn run_many(first: u64, count: u64, threads: usize) -> Result<Vec<Report>, Vec<(u64, Violation)>> {
    let next = AtomicU64::new(0);
    let (done, broken) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        return;
                    }
                    let seed = first.wrapping_add(place);
                    match run(&Options::new(seed)) {
                        Ok(report) => push(&done, report),
                        Err(violation) => push(&broken, (seed, violation)),
                    }
                }
            });
        }
    });
    let mut broken = broken.into_inner().unwrap_or_default();
    if broken.is_empty() {
        let mut done = done.into_inner().unwrap_or_default();
        done.sort_by_key(|report| report.seed);
        return Ok(done);
    }
    broken.sort_by_key(|(seed, _)| *seed);
    Err(broken)
}

fn push<T>(list: &Mutex<Vec<T>>, item: T) {
    if let Ok(mut list) = list.lock() {
        list.push(item);
    }
}
