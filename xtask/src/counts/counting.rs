//! Running steps under callgrind, each in a process of its own, several at a time.

use super::callgrind::Profile;
use crate::tools::valgrind::Valgrind;
use crate::workspace::output;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The function within which callgrind counts (`bench/src/steps.rs`).
const COUNTED: &str = "--toggle-collect=*counted_from_here*";
/// What is hashing: callgrind's processor has no instructions for it, so that it takes ten times as many as elsewhere.
const HASHING: &str = "sha2";

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
        let left = Mutex::new(names.iter().enumerate());
        let next = || left.lock().ok()?.next();
        let work = || {
            let mut counted = Vec::new();
            while let Some((place, name)) = next() {
                counted.push((place, self.count_one(place, name, top).with_context(|| name.clone())?));
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
        let mut counted = Vec::with_capacity(names.len());
        for ended in ended {
            counted.extend(ended?);
        }
        counted.sort_by_key(|(place, _)| *place);
        Ok(counted.into_iter().map(|(_, counted)| counted).collect())
    }

    fn count_one(&self, place: usize, name: &str, top: usize) -> Result<Counted> {
        let folder = self.scratch.join(place.to_string());
        std::fs::create_dir_all(&folder)?;
        let (messages, profile) = self.run(&folder, name)?;
        ensure!(profile.total() > 0, "nothing was counted: is `counted_from_here` still called so?");
        let sha256 = profile.within(HASHING);
        let count = Count { instructions: (profile.total() - sha256) / messages, sha256: sha256 / messages };
        let top = profile.most(top).into_iter().map(|(function, own)| (function, own / messages)).collect();
        Ok(Counted { name: name.to_owned(), count, top })
    }

    /// Runs a step; how many messages it was done for, and what callgrind wrote.
    fn run(&self, folder: &Path, name: &str) -> Result<(u64, Profile)> {
        let file = folder.join("callgrind.out");
        // What is around a process moves its memory, and so what its allocator does: there is nothing around it.
        let mut command = self.valgrind.command();
        command.args(["-q", "--tool=callgrind", COUNTED]);
        command.arg(format!("--callgrind-out-file={}", file.display()));
        command.arg(&self.program).args(["step", name, "--scratch"]).arg(folder);
        let ended = command.current_dir(folder).output().context("cannot start valgrind")?;
        let complaint = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "{}", complaint.trim());
        let messages = String::from_utf8_lossy(&ended.stdout).trim().parse()?;
        Ok((messages, Profile::read(&std::fs::read_to_string(&file)?)))
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}
