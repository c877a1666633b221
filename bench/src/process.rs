//! Processes that are measured: started, looked at through /proc, ended by their own id.

use crate::progress;
use crate::settings::{QUIET_SHARE, QUIET_WAIT};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What `/proc/PID/stat` says after the name and before the times: state, parents, terminal, faults (proc(5)).
const FIELDS_BEFORE_TIMES: usize = 11;

/// How long a server has between being asked to end and being ended.
const END_WAIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a server may take until it serves.
const READY_WAIT: Duration = Duration::from_secs(120);
const READY_LOOK_EVERY: Duration = Duration::from_millis(2);
/// Over which time a server's share of a core is taken.
const QUIET_WINDOW: Duration = Duration::from_millis(200);
/// How long a server rests before its memory is read.
const REST: Duration = Duration::from_secs(7);
/// How long a server is waited for to be quiet where figures are not to be quoted.
const HASTY_WAIT: Duration = Duration::from_millis(50);

/// As much of what a server said is shown when it ended by itself.
const SAID_BYTES: u64 = 2_048;

/// Whether figures are not to be quoted: servers are then waited for hardly at all.
static IN_HASTE: AtomicBool = AtomicBool::new(false);

/// A server; killed when dropped.
pub(crate) struct Process {
    child: Child,
    name: &'static str,
    errors: PathBuf,
    /// By us.
    is_ended: bool,
}

impl Process {
    /// Starts a server; what it says of errors goes to a file.
    pub(crate) fn start(name: &'static str, command: &mut Command, errors: PathBuf) -> Result<Self> {
        let said = File::create(&errors).with_context(|| format!("cannot write {}", errors.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, name, errors, is_ended: false })
    }

    /// Waits until `look` finds what it looks for, or the server has ended.
    pub(crate) fn wait_ready<T>(&mut self, mut look: impl FnMut(&Self) -> Result<Option<T>>) -> Result<T> {
        let until = Instant::now() + READY_WAIT;
        loop {
            if let Some(ended) = self.ended_by_itself()? {
                bail!("{ended}");
            }
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            ensure!(Instant::now() < until, "{} was not ready in {READY_WAIT:?}", self.name);
            std::thread::sleep(READY_LOOK_EVERY);
        }
    }

    /// How it ended, and the last that it said, where it does not run any more.
    fn ended_by_itself(&mut self) -> Result<Option<String>> {
        let Some(status) = self.child.try_wait()? else { return Ok(None) };
        Ok(Some(format!("{} ended by itself ({status}): {}", self.name, said_last(&self.errors))))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server does nothing of its own any more, or for as long as it is worth; tells the processor time
    /// that it took meanwhile, in microseconds.
    pub(crate) fn settle(&self) -> Result<f64> {
        let (wait, window) =
            if is_in_haste() { (HASTY_WAIT, HASTY_WAIT) } else { (QUIET_WAIT, QUIET_WINDOW) };
        let until = Instant::now() + wait;
        let begun = cpu_us(self.id())?;
        let mut before = begun;
        while Instant::now() < until {
            std::thread::sleep(window);
            let after = cpu_us(self.id())?;
            let share = (after - before) / window.as_micros() as f64;
            before = after;
            if share <= QUIET_SHARE {
                break;
            }
        }
        Ok(before - begun)
    }

    /// Waits until the server is quiet, and then for as long as servers take that give back what they do not use.
    pub(crate) fn rest(&self) -> Result<()> {
        self.settle()?;
        if !is_in_haste() {
            std::thread::sleep(REST);
        }
        Ok(())
    }

    /// The memory it has, in MiB.
    pub(crate) fn memory_mib(&self) -> Result<f64> {
        Ok(memory_bytes(self.id(), "VmRSS")? as f64 / (1024.0 * 1024.0))
    }

    /// The most memory it ever had, in MiB.
    pub(crate) fn peak_mib(&self) -> Result<f64> {
        Ok(memory_bytes(self.id(), "VmHWM")? as f64 / (1024.0 * 1024.0))
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.is_ended = true;
        Ok(())
    }

    /// SIGTERM, and waits until it has ended.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.stop_by(Signal::TERM)
    }

    /// The signal by which it ends in the way that is meant, and waits until it has ended.
    pub(crate) fn stop_by(&mut self, signal: Signal) -> Result<()> {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)?;
        let until = Instant::now() + END_WAIT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                return self.kill();
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.is_ended = true;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_ended
            && let Ok(Some(ended)) = self.ended_by_itself()
        {
            progress::note(&ended);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From now on servers are waited for hardly at all.
pub(crate) fn make_haste() {
    IN_HASTE.store(true, Ordering::Relaxed);
}

/// Whether servers are waited for hardly at all.
pub(crate) fn is_in_haste() -> bool {
    IN_HASTE.load(Ordering::Relaxed)
}

/// The end of a file of text; nothing where it cannot be read.
fn said_last(file: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(file) {
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(SAID_BYTES)));
        let _ = file.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// Lets this process, and those it starts, open as many files as it may.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where it cannot be raised, connections beyond it fail, and say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// User and system time of a process so far, in microseconds, in steps of a clock tick.
pub(crate) fn cpu_us(id: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let ticks = cpu_ticks(&text).with_context(|| format!("/proc/{id}/stat cannot be read"))?;
    Ok(ticks as f64 * 1e6 / rustix::param::clock_ticks_per_second() as f64)
}

/// User and system time out of a process's `stat` (proc(5)): its 14th and 15th items.
fn cpu_ticks(stat: &str) -> Option<u64> {
    // The second item is a name in brackets, which may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut items = rest.split_whitespace().skip(FIELDS_BEFORE_TIMES);
    let user: u64 = items.next()?.parse().ok()?;
    let system: u64 = items.next()?.parse().ok()?;
    Some(user + system)
}

/// Bytes of a process's memory, by the name of the line in its `status`: `VmRSS`, `VmHWM`.
pub(crate) fn memory_bytes(id: u32, line: &str) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    status_bytes(&text, line).with_context(|| format!("/proc/{id}/status has no {line}"))
}

fn status_bytes(status: &str, line: &str) -> Option<u64> {
    let found = status.lines().find_map(|row| row.strip_prefix(line)?.strip_prefix(':'))?;
    let kib: u64 = found.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Bytes of the files in a folder, as they lie on the disk.
pub(crate) fn folder_bytes(folder: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Process, cpu_ticks, status_bytes};
    use std::process::Command;

    #[test]
    fn what_a_server_said_last_is_told_when_it_ends() {
        let errors = std::env::temp_dir().join(format!("openmesh-bench-said-{}", std::process::id()));
        let mut shell = Command::new("sh");
        let mut process =
            Process::start("shell", shell.args(["-c", "echo no room >&2; exit 7"]), errors.clone()).unwrap();
        let ended = process.wait_ready(|_| Ok(None::<()>)).unwrap_err().to_string();
        std::fs::remove_file(errors).unwrap();
        assert!(ended.starts_with("shell ended by itself") && ended.ends_with("7): no room"), "{ended}");
    }

    #[test]
    fn the_times_of_a_process_are_read_whatever_its_name() {
        let stat = "7 (a b) c)) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 99 1 2";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn the_memory_of_a_process_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(status_bytes(status, "VmHWM"), Some(2 * 1024 * 1024));
        assert_eq!(status_bytes(status, "VmSwap"), None);
    }
}
