//! Segments roll without a stall: what the next one needs is made beside the log, however slow the disk.

use std::time::{Duration, Instant};

use super::{PARTITION, assert_verifies, folder, keep, small};
use crate::embedded::disk::Disk;
use crate::embedded::{EmbeddedLog, LogConfig};
use crate::record::EncodedRecord;
use openmesh_message::Position;

const ROLLS: u64 = 20;

#[test]
fn the_log_goes_on_while_the_disk_takes_its_time_for_the_next_segment() {
    const SEGMENT_BYTES: u64 = 16 * 1024;
    const HEADROOM_BYTES: u64 = 2 * 1024;
    let (home, disk) = (folder(), Disk::default());
    let (mut log, _) = EmbeddedLog::open_on(disk.clone(), home.path(), &small(SEGMENT_BYTES)).unwrap();
    for roll in 0..ROLLS {
        let number = log.active.header.number;
        disk.trouble.lock().unwrap().holds_allocations = true;
        let before = disk.trouble.lock().unwrap().allocations;
        // All that is left but the headroom is written while the room of the next segment is still being made.
        while log.end.at() + 2 * HEADROOM_BYTES < SEGMENT_BYTES {
            log.reserve(HEADROOM_BYTES).unwrap();
            keep(&mut log, 1);
        }
        assert_eq!(log.active.header.number, number);
        let until = Instant::now() + Duration::from_secs(10);
        while disk.trouble.lock().unwrap().allocations == before {
            assert!(Instant::now() < until, "roll {roll}: nobody makes room ahead of need");
            std::thread::sleep(Duration::from_millis(1));
        }
        disk.trouble.lock().unwrap().holds_allocations = false;
        while log.active.header.number == number {
            log.reserve(HEADROOM_BYTES).unwrap();
            keep(&mut log, 1);
        }
        assert_eq!(disk.trouble.lock().unwrap().held_too_long, 0, "roll {roll}: the log waited for the disk");
    }
    log.close().unwrap();
    assert_verifies(home.path());
    assert!(!home.path().join("spare.tmp").exists());
}

/// Prints; asserts nothing about a machine it does not know.
#[test]
#[ignore = "measures the disk of the temporary folder: run it alone, with --release --nocapture"]
fn how_long_a_batch_takes_with_and_without_rolls() {
    for (name, segment_bytes, body_bytes) in
        [("256 KiB", 256 * 1024, 1_024), ("64 MiB", LogConfig::new(PARTITION).segment_bytes, 128 * 1024)]
    {
        let rolling = measure(segment_bytes, body_bytes, ROLLS);
        let still = measure(segment_bytes * (ROLLS + 2), body_bytes, 0);
        println!("segments of {name}, batches of {body_bytes} bytes, {ROLLS} rolls: {rolling}");
        println!("one segment as large, no roll:          {still}");
    }
}

fn measure(segment_bytes: u64, body_bytes: usize, rolls: u64) -> String {
    let home = tempfile::TempDir::new().unwrap();
    let (mut log, _) = EmbeddedLog::open(home.path(), &small(segment_bytes)).unwrap();
    let total = if rolls == 0 { segment_bytes * ROLLS / (ROLLS + 2) } else { segment_bytes * rolls };
    let mut latencies = Vec::new();
    for _ in 0..total / body_bytes as u64 {
        let position = Position { partition: PARTITION, epoch: log.epoch(), seq: log.next_seq() };
        let record =
            EncodedRecord { position, header: vec![1; 64], salt: [0; 16], body: vec![7; body_bytes] };
        let began = Instant::now();
        log.append(&[record]).unwrap();
        log.sync().unwrap();
        log.reserve((segment_bytes / 4).min(16 * 1024 * 1024)).unwrap();
        latencies.push(began.elapsed());
    }
    latencies.sort_unstable();
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize].as_micros();
    let rolled = log.active.header.number - 1;
    format!(
        "{} batches, {rolled} rolls: p50 {} us, p99 {} us, p99.9 {} us, worst {} us",
        latencies.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    )
}
