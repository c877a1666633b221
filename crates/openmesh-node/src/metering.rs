//! Where the node's counts are kept and how they are read: the recorder, the text of `/metrics`, and what is measured
//! from outside the owner's loop: the log's thread, the log's folder, the process.

use anyhow::{Context, Result};
use metrics::{Counter, Histogram, Unit, counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use openmesh_adapter::metrics::{
    CPU_TIME, Kind, LOG_APPENDED, LOG_BATCH, LOG_SEGMENTS, LOG_SIZE, LOG_SYNC, MEMORY_USAGE, METRICS,
    OPEN_FILES, SNAPSHOT_DURATION, SNAPSHOTS_FAILED, UPTIME, describe,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Upper bounds of the buckets of durations, in seconds: from what memory takes to what a slow disk does.
const SECONDS: [f64; 16] =
    [1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Upper bounds of the buckets of counts.
const COUNTS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1_024.0, 4_096.0];
/// How often what gathers is folded, and the log's folder looked at.
const UPKEEP: Duration = Duration::from_secs(5);
/// More than the allocator keeps room for: a piece of this size is let go of at once.
const LARGE_BYTES: usize = 4 * 1024 * 1024;
/// Clock ticks a second in `/proc`; a constant of Linux.
const TICKS_PER_SECOND: u64 = 100;
/// Fields of `/proc/self/stat` between the program's name and `utime`, `stime` (proc_pid_stat(5): 3 to 13).
const FIELDS_BEFORE_TIMES: usize = 11;

/// Counts of this process.
#[derive(Clone)]
pub(crate) struct Metering {
    handle: PrometheusHandle,
    started: Instant,
}

impl Metering {
    /// Begins to count; once a process.
    pub(crate) fn install() -> Result<Self> {
        let mut builder = PrometheusBuilder::new().with_recommended_naming(true);
        for metric in METRICS.iter().filter(|metric| metric.kind == Kind::Histogram) {
            let buckets: &[f64] = if metric.unit == Unit::Seconds { &SECONDS } else { &COUNTS };
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)?;
        }
        let handle = builder.install_recorder().context("cannot count")?;
        describe();
        Ok(Self { handle, started: Instant::now() })
    }

    /// Every count, in the text format of Prometheus.
    pub(crate) fn render(&self) -> String {
        self.look_at_process();
        self.handle.render()
    }

    /// Folds what gathers and looks at the log's folder, until it is dropped.
    pub(crate) async fn keep_up(self, log: PathBuf) {
        loop {
            self.handle.run_upkeep();
            give_back_memory();
            self.look_at_process();
            let log = log.clone();
            let _ = tokio::task::spawn_blocking(move || look_at_log(&log)).await;
            tokio::time::sleep(UPKEEP).await;
        }
    }

    fn look_at_process(&self) {
        gauge!(UPTIME).set(self.started.elapsed().as_secs_f64());
        if let Some(ticks) = cpu_ticks() {
            counter!(CPU_TIME).absolute(ticks / TICKS_PER_SECOND);
        }
        if let Some(bytes) = resident_bytes() {
            gauge!(MEMORY_USAGE).set(bytes as f64);
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            gauge!(OPEN_FILES).set(files.count() as f64);
        }
    }
}

/// Has the allocator give back to the operating system what was freed more than a second ago. It looks when a large piece
/// is freed (mimalloc's `purge_delay`), which in a node at rest none is.
fn give_back_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE_BYTES)));
}

/// Bytes of this process that are resident; near a ceiling, what was freed is given back before.
pub(crate) fn resident_under(ceiling: u64) -> Option<u64> {
    let bytes = resident_bytes()?;
    if bytes < ceiling / 4 * 3 {
        return Some(bytes);
    }
    give_back_memory();
    resident_bytes()
}

fn resident_bytes() -> Option<u64> {
    resident_pages().map(|pages| pages * rustix::param::page_size() as u64)
}

/// User and system time of this process.
fn cpu_ticks() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(FIELDS_BEFORE_TIMES);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn resident_pages() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    statm.split_whitespace().nth(1)?.parse().ok()
}

fn look_at_log(folder: &Path) {
    let Ok(files) = std::fs::read_dir(folder) else { return };
    let (mut bytes, mut segments) = (0, 0_u32);
    for file in files.flatten() {
        bytes += file.metadata().map_or(0, |metadata| metadata.len());
        segments += u32::from(file.file_name().to_string_lossy().starts_with("segment-"));
    }
    gauge!(LOG_SIZE).set(bytes as f64);
    gauge!(LOG_SEGMENTS).set(segments);
}

/// What the log's thread counts.
pub(crate) struct LogMeters {
    batch: Histogram,
    sync: Histogram,
    appended: Counter,
}

impl LogMeters {
    /// Counts of one log.
    pub(crate) fn new() -> Self {
        Self { batch: histogram!(LOG_BATCH), sync: histogram!(LOG_SYNC), appended: counter!(LOG_APPENDED) }
    }

    /// A batch was synced.
    pub(crate) fn note(&self, records: usize, bytes: u64, sync: Duration) {
        self.batch.record(records as f64);
        self.sync.record(sync);
        self.appended.increment(bytes);
    }
}

/// A snapshot was written, or could not be.
pub(crate) fn note_snapshot(is_written: bool, took: Duration) {
    if is_written {
        histogram!(SNAPSHOT_DURATION).record(took);
    } else {
        counter!(SNAPSHOTS_FAILED).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::Metering;
    use metrics::{counter, histogram};
    use openmesh_adapter::metrics::{CPU_TIME, HTTP_REQUESTS, METRICS, PROCESS_DURATION};
    use std::collections::BTreeSet;

    #[test]
    fn names_and_units_are_as_the_table_says() {
        let metering = Metering::install().unwrap();
        histogram!(PROCESS_DURATION).record(0.003);
        counter!(HTTP_REQUESTS, "operation" => "a", "status" => "200").increment(2);
        let text = metering.render();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let known: BTreeSet<_> =
            METRICS.iter().map(|metric| format!("{} {}", metric.prometheus_name(), metric.kind)).collect();
        let shown: Vec<_> = types.collect();
        assert!(shown.len() >= 6, "{text}");
        assert!(shown.iter().all(|shown| known.contains(*shown)), "{text}");
        assert!(text.contains("messaging_process_duration_seconds_bucket{le=\"0.005\"} 1"), "{text}");
        assert!(text.contains("openmesh_http_requests_total{operation=\"a\",status=\"200\"} 2"), "{text}");
        assert!(text.contains("# HELP process_cpu_time_seconds_total Processor time"), "{text}");
        assert!(METRICS.iter().any(|metric| metric.name == CPU_TIME));
    }
}
