//! Runs the programs of targets, some at a time, each with its corpus in the cache folder.

use super::figures::Figures;
use anyhow::{Context, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Largest input libFuzzer makes; larger seeds are taken as they are.
const INPUT_BYTES_MAX: u32 = 8_192;
/// One input that takes longer is a fault.
const INPUT_SECONDS_MAX: u32 = 20;
/// More memory is a fault.
const MEMORY_MIB_MAX: u32 = 2_048;
/// How much longer than asked a program may take before it is ended: the inputs to begin with are always run.
const LINGER: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Where programs and inputs are.
pub(super) struct Programs {
    pub(super) folder: PathBuf,
    /// Holds `seeds/` and `regressions/`.
    pub(super) committed: PathBuf,
    /// Holds a folder for each target, outside the checkout.
    pub(super) corpora: PathBuf,
}

/// How long each target runs: whichever is first.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) seconds: u64,
    pub(super) executions: u64,
}

/// The folder below cargo's target folder that holds the programs: `<triple>/release`.
pub(super) fn programs_below(target: &Path) -> Result<PathBuf> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let folder = target.join(triple).join("release");
    folder.is_dir().then_some(folder).with_context(|| format!("no programs below {}", target.display()))
}

/// Runs the targets, `jobs` at a time; their figures in the same order.
pub(super) fn run_all(
    programs: &Programs,
    names: &[String],
    times: Times,
    jobs: usize,
) -> Result<Vec<Figures>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(name) = names.get(place) else {
                        return;
                    };
                    let figures = run(programs, name, times);
                    if let Ok(figures) = &figures {
                        println!("{}", figures.row());
                    }
                    if let Ok(mut done) = done.lock() {
                        done.push((place, figures));
                    }
                }
            });
        }
    });
    let _ = std::fs::remove_dir(programs.committed.join("regressions"));
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, figures)| figures).collect()
}

fn run(programs: &Programs, name: &str, times: Times) -> Result<Figures> {
    let corpus = programs.corpora.join(name);
    std::fs::create_dir_all(&corpus)?;
    let regressions = programs.committed.join("regressions").join(name);
    let begins = [programs.committed.join("seeds").join(name), regressions.clone()];
    let begins: Vec<&PathBuf> = begins.iter().filter(|folder| folder.is_dir()).collect();
    std::fs::create_dir_all(&regressions)?;
    let printed = programs.corpora.join(format!("{name}.log"));
    let output = File::create(&printed)?;
    let mut command = Command::new(programs.folder.join(name));
    command
        .arg(format!("-max_total_time={}", times.seconds))
        .arg(format!("-runs={}", times.executions))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-report_slow_units={INPUT_SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg(format!("-artifact_prefix={}/", regressions.display()))
        .arg("-print_final_stats=1")
        .arg(&corpus)
        .args(&begins)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let begun = Instant::now();
    let success = wait(&mut command, Duration::from_secs(times.seconds) + LINGER)
        .with_context(|| format!("the program of {name}"))?;
    let took = begun.elapsed();
    // Only what broke the target stays there.
    let _ = std::fs::remove_dir(&regressions);
    let printed = std::fs::read(&printed)?;
    Ok(Figures::read(name, &String::from_utf8_lossy(&printed), success, took))
}

fn wait(command: &mut Command, limit: Duration) -> Result<bool> {
    let mut child = command.spawn()?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if begun.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        thread::sleep(LOOK_EVERY);
    }
}
