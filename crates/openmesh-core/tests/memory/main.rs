//! What inboxes cost at full size, by the memory of this process: it runs alone in a binary of its own.
#![cfg(test)]

mod crowd;

use crowd::{Crowd, agent};
use openmesh_message::AgentId;
use openmesh_message::frame::Command;
use std::time::{Duration, Instant};

const MANY: u64 = 1_000_000;
const IDLE_INBOX_BYTES_MAX: u64 = 200;
const BACKLOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
const FIRST_LEASE_MAX: Duration = Duration::from_millis(50);
const RESTORE_MAX: Duration = Duration::from_secs(10);

/// Each measurement has a process of its own: what one gives back would be used again by the next.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test starts itself")]
fn a_million_idle_inboxes_and_a_million_messages_are_small() {
    if resident().is_none() {
        return println!(
            "not run: a_million_idle_inboxes_and_a_million_messages_are_small: no /proc/self/statm"
        );
    }
    for measurement in ["measure_a_backlog", "measure_idle_inboxes"] {
        let mut itself = std::process::Command::new(std::env::current_exe().unwrap());
        let run = itself.args(["--ignored", "--exact", measurement, "--nocapture"]).output().unwrap();
        println!("{}", String::from_utf8_lossy(&run.stdout).trim());
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
}

/// One recipient, one sender: what the inbox holds and what is remembered of the sender's ids.
#[test]
#[ignore = "runs in a process of its own, started by the test above"]
fn measure_a_backlog() {
    let mut crowd = Crowd::new();
    let before = resident().unwrap();
    let recipient = agent(0);
    crowd.register(recipient, "recipient");
    (0..MANY).for_each(|_| crowd.send(&[recipient]));
    let used = resident().unwrap() - before;
    println!("a backlog of {MANY} messages: {:.1} MiB, {} B each", mib(used), used / MANY);
    assert!(used <= BACKLOG_BYTES_MAX, "{:.1} MiB", mib(used));

    let (first, took) = timed(|| crowd.lease(recipient, 1_024));
    println!("the first lease: {first} messages in {took:?}");
    assert!(first >= 256 && took <= FIRST_LEASE_MAX, "{first} messages in {took:?}");

    let bytes = crowd.partition.snapshot().unwrap();
    let (restored, took) = timed(|| crowd.restored(&bytes));
    println!("a snapshot of {:.1} MiB, restored in {took:?}", mib(bytes.len() as u64));
    assert!(restored.state() == crowd.partition.state() && took < RESTORE_MAX);
    drop((restored, bytes));

    let (drained, took) = timed(|| drain(&mut crowd, recipient));
    let left = mib(resident().unwrap() - before);
    println!("drained at {} ns a message; {left:.1} MiB are left", took.as_nanos() / u128::from(MANY));
    assert_eq!((first + drained) as u64, MANY);
}

/// Leases and acknowledges all that is there, after a lease that was not acknowledged.
fn drain(crowd: &mut Crowd, recipient: AgentId) -> usize {
    let mut drained = 0;
    for token in 1.. {
        crowd.command(recipient, Command::Ack { token, numbers: Vec::new() });
        match crowd.lease(recipient, 1_024) {
            0 => return drained,
            leased => drained += leased,
        }
    }
    drained
}

#[expect(clippy::disallowed_methods, reason = "a test that measures")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let done = work();
    (done, begun.elapsed())
}

/// Agents that had mail and have none.
#[test]
#[ignore = "runs in a process of its own, started by the test above"]
fn measure_idle_inboxes() {
    let mut crowd = Crowd::new();
    let before = resident().unwrap();
    let agents: Vec<_> = (0..MANY).map(agent).collect();
    let ids = resident().unwrap() - before;
    let before = resident().unwrap();
    for some in agents.chunks(1_000) {
        crowd.send(some);
        some.iter().for_each(|agent| crowd.settle_first(*agent));
    }
    let used = resident().unwrap() - before;
    println!(
        "{MANY} idle inboxes: {:.1} MiB, {} B each (their ids here: {:.1} MiB)",
        mib(used),
        used / MANY,
        mib(ids)
    );
    let counts: Vec<_> = crowd.partition.state().inboxes().map(|(_, inbox)| inbox.counts()).collect();
    assert!(counts.iter().all(|counts| (counts.acknowledged, counts.pending) == (1, 0)));
    assert_eq!(counts.len() as u64, MANY);
    assert!(used / MANY <= IDLE_INBOX_BYTES_MAX, "{} B", used / MANY);
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1024 * 1024)
}

/// Bytes of this process that are in memory.
#[expect(clippy::disallowed_methods, reason = "a test looks at its own process")]
fn resident() -> Option<u64> {
    const PAGE_BYTES: u64 = 4_096;
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    pages.split(' ').nth(1)?.parse::<u64>().ok().map(|pages| pages * PAGE_BYTES)
}
