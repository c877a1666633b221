//! Running steps under callgrind: those of one kind after each other in a process, several processes at a time.

use super::callgrind::Profile;
use crate::tools::valgrind::Valgrind;
use crate::workspace::output;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Callgrind counts within this function (`bench/src/steps.rs`), and writes a profile whenever it is left. The two patterns
/// differ because callgrind keeps only one such property for a pattern.
const COUNTED: [&str; 2] =
    ["--toggle-collect=*counted_from_here*", "--dump-after=*steps::counted_from_here*"];
/// What is hashing: callgrind's processor has no instructions for it, so that it takes ten times as many as elsewhere.
const HASHING: &str = "sha2";
/// What callgrind writes to; a dot and the step's place follow.
const PROFILE: &str = "callgrind.out";

/// Instructions a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Count {
    /// But for SHA-256.
    pub(super) instructions: u64,
    /// Of SHA-256, in software.
    pub(super) sha256: u64,
}

/// What one step took.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) name: String,
    pub(super) count: Count,
    /// Functions with their own instructions a message, the most first.
    pub(super) top: Vec<(String, u64)>,
}

/// Valgrind, the program with the steps, and a folder that is removed at the end.
pub(super) struct Counter {
    valgrind: Valgrind,
    program: PathBuf,
    scratch: PathBuf,
}

impl Counter {
    pub(super) fn new(valgrind: Valgrind, program: PathBuf, target: PathBuf) -> Result<Self> {
        let scratch = target.join(format!("counts-{}", std::process::id()));
        std::fs::create_dir_all(&scratch)?;
        Ok(Self { valgrind, program, scratch })
    }

    /// The names of all steps.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        Ok(output(&self.scratch, &self.program, &["step"])?.lines().map(str::to_owned).collect())
    }

    /// Counts these steps, with `top` functions of each.
    pub(super) fn count(&self, names: &[String], top: usize) -> Result<Vec<Counted>> {
        let kinds: Vec<&[String]> = names.chunk_by(|one, next| kind(one) == kind(next)).collect();
        let left = Mutex::new(kinds.iter().enumerate());
        let next = || left.lock().ok()?.next();
        let work = || {
            let mut counted = Vec::new();
            while let Some((place, names)) = next() {
                counted.push((place, self.count_kind(place, names, top)?));
            }
            Ok(counted)
        };
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let ended: Vec<Result<Vec<_>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let ended = threads.into_iter().map(|thread| thread.join());
            ended
                .map(|ended| ended.unwrap_or_else(|_| Err(anyhow::anyhow!("a worker ended early"))))
                .collect()
        });
        let mut counted = Vec::with_capacity(kinds.len());
        for ended in ended {
            counted.extend(ended?);
        }
        counted.sort_by_key(|(place, _)| *place);
        Ok(counted.into_iter().flat_map(|(_, counted)| counted).collect())
    }

    fn count_kind(&self, place: usize, names: &[String], top: usize) -> Result<Vec<Counted>> {
        let folder = self.scratch.join(place.to_string());
        std::fs::create_dir_all(&folder)?;
        let messages = self.run(&folder, names).with_context(|| names.join(", "))?;
        ensure!(messages.len() == names.len(), "{} of {} steps were done", messages.len(), names.len());
        let steps = (1..).zip(names.iter().zip(messages));
        steps.map(|(number, (name, messages))| counted(&folder, number, name, messages, top)).collect()
    }

    /// Runs steps; how many messages each was done for.
    fn run(&self, folder: &Path, names: &[String]) -> Result<Vec<u64>> {
        // What is around a process moves its memory, and so what its allocator does: there is nothing around it.
        let mut command = self.valgrind.command();
        command.args(["-q", "--tool=callgrind"]).args(COUNTED);
        command.arg(format!("--callgrind-out-file={}", folder.join(PROFILE).display()));
        command.arg(&self.program).arg("step").args(names).arg("--scratch").arg(folder);
        let ended = command.current_dir(folder).output().context("cannot start valgrind")?;
        let complaint = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "{}", complaint.trim());
        let messages =
            String::from_utf8_lossy(&ended.stdout).lines().map(str::parse).collect::<Result<_, _>>();
        Ok(messages?)
    }
}

/// What a step does, without what it does it with: steps of one kind share most of their code, which callgrind has to
/// translate once for each process.
fn kind(name: &str) -> &str {
    name.split_once('/').map_or(name, |(kind, _)| kind)
}

/// Reads what callgrind wrote of one step.
fn counted(folder: &Path, number: usize, name: &str, messages: u64, top: usize) -> Result<Counted> {
    let file = folder.join(format!("{PROFILE}.{number}"));
    let text = std::fs::read_to_string(&file).with_context(|| format!("{name}: {}", file.display()))?;
    let profile = Profile::read(&text);
    ensure!(profile.total() > 0, "{name}: nothing was counted: is `counted_from_here` still called so?");
    let sha256 = profile.within(HASHING);
    let count = Count { instructions: (profile.total() - sha256) / messages, sha256: sha256 / messages };
    let top = profile.most(top).into_iter().map(|(function, own)| (function, own / messages)).collect();
    Ok(Counted { name: name.to_owned(), count, top })
}

impl Drop for Counter {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}
