//! Running a program with its output streamed, read line by line, and under a time limit.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Lines read ahead of the terminal.
const LINES_AHEAD: usize = 1_024;
/// How often the clock and the program are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long an ended program's own children may hold its output open.
const LINGER: Duration = Duration::from_secs(3);
/// How long a program has between being asked to end and being ended.
const GRACE: Duration = Duration::from_secs(20);

/// A program to run.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) timed_out: bool,
    pub(crate) took: Duration,
}

impl Step {
    pub(crate) fn new<A: AsRef<str>>(program: impl Into<PathBuf>, arguments: &[A]) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.iter().map(|one| one.as_ref().to_owned()).collect(),
            environment: Vec::new(),
        }
    }

    /// The command as a person would type it.
    pub(crate) fn shown(&self) -> String {
        let mut words: Vec<String> =
            self.environment.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let name = self.program.file_name().map(|name| name.to_string_lossy());
        words.extend(name.map(|name| name.into_owned()));
        words.extend(self.arguments.iter().cloned());
        words.join(" ")
    }

    /// Runs it in `folder`, prints and passes on each line, and ends it once `limit` has passed.
    ///
    /// # Errors
    /// When the program cannot be started or waited for.
    pub(crate) fn stream(&self, folder: &Path, limit: Duration, on_line: impl FnMut(&str)) -> Result<Ended> {
        let mut child =
            self.command(folder).spawn().with_context(|| format!("cannot start {}", self.shown()))?;
        let lines = read_lines(&mut child);
        follow(&mut child, &lines, limit, on_line)
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // What cargo told this program about itself would look like a changed environment to build scripts.
        for (key, _) in std::env::vars_os() {
            let name = key.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&key);
            }
        }
        if std::io::stdout().is_terminal() {
            command.env("CARGO_TERM_COLOR", "always");
        }
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
    }
}

fn read_lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = sync_channel(LINES_AHEAD);
    if let Some(stdout) = child.stdout.take() {
        spawn_reader(stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        spawn_reader(stderr, sender);
    }
    receiver
}

fn spawn_reader(source: impl Read + Send + 'static, sender: SyncSender<String>) {
    thread::spawn(move || {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        while matches!(source.read_until(b'\n', &mut line), Ok(count) if count > 0) {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            line.clear();
            if sender.send(text).is_err() {
                return;
            }
        }
    });
}

fn follow(
    child: &mut Child,
    lines: &Receiver<String>,
    limit: Duration,
    mut on_line: impl FnMut(&str),
) -> Result<Ended> {
    let begun = Instant::now();
    let mut asked_to_end: Option<Instant> = None;
    let mut ended: Option<Instant> = None;
    loop {
        match lines.recv_timeout(LOOK_EVERY) {
            Ok(line) => {
                println!("{line}");
                on_line(&line);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if ended.is_none() && child.try_wait()?.is_some() {
            ended = Some(Instant::now());
        }
        if ended.is_some_and(|at| at.elapsed() > LINGER) {
            break;
        }
        if ended.is_none() && begun.elapsed() > limit {
            end(child, asked_to_end)?;
            asked_to_end = asked_to_end.or_else(|| Some(Instant::now()));
        }
    }
    let status = child.wait()?;
    Ok(Ended {
        success: status.success() && asked_to_end.is_none(),
        timed_out: asked_to_end.is_some(),
        took: begun.elapsed(),
    })
}

/// First asks, so that a test runner can end its tests; after a grace period insists.
fn end(child: &mut Child, asked: Option<Instant>) -> Result<()> {
    match asked {
        None => {
            let id = child.id().to_string();
            Command::new("kill").args(["-TERM", &id]).status()?;
        }
        Some(at) if at.elapsed() > GRACE => child.kill()?,
        Some(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Step;
    use std::path::Path;
    use std::time::Duration;

    fn shell(script: &str) -> Step {
        Step::new("sh", &["-c", script])
    }

    #[test]
    fn both_outputs_are_read_and_the_exit_code_counts() {
        let mut lines = Vec::new();
        let ended = shell("echo out; echo err >&2; exit 3")
            .stream(Path::new("."), Duration::from_secs(60), |line| lines.push(line.to_owned()))
            .unwrap();
        lines.sort();
        assert_eq!(lines, ["err", "out"]);
        assert!(!ended.success && !ended.timed_out);
    }

    #[test]
    fn a_program_over_its_limit_is_ended() {
        let ended =
            shell("exec sleep 60").stream(Path::new("."), Duration::from_millis(300), |_| {}).unwrap();
        assert!(ended.timed_out && !ended.success);
        assert!(ended.took < Duration::from_secs(30), "{:?}", ended.took);
    }
}
