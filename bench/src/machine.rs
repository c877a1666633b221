//! What a run ran on, and which versions of what.

use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;
use std::process::Command;

/// The machine, as far as it matters for a figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    /// The file system that the servers keep things on.
    pub(crate) file_system: String,
}

impl Machine {
    pub(crate) fn look(folder: &Path) -> Result<Self> {
        let processors = std::fs::read_to_string("/proc/cpuinfo")?;
        let memory = std::fs::read_to_string("/proc/meminfo")?;
        let name =
            |row: &str| Some(row.strip_prefix("model name")?.trim_start_matches([' ', '\t', ':']).to_owned());
        let kib =
            |row: &str| row.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok();
        let folder = std::fs::canonicalize(folder)?;
        Ok(Self {
            processor: processors.lines().find_map(name).unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: memory.lines().find_map(kib).unwrap_or(0).div_ceil(1024 * 1024),
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            file_system: file_system(&std::fs::read_to_string("/proc/mounts")?, &folder.to_string_lossy()),
        })
    }

    /// As one line.
    pub(crate) fn line(&self) -> String {
        let Self { processor, cores, memory_gib, kernel, file_system } = self;
        format!("{processor}, {cores} cores, {memory_gib} GiB, Linux {kernel}, {file_system}")
    }
}

/// The kind of the file system that holds a folder: of the longest mount that it begins with.
fn file_system(mounts: &str, folder: &str) -> String {
    let holds =
        |point: &str| folder == point || folder.starts_with(&format!("{}/", point.trim_end_matches('/')));
    let rows = mounts.lines().filter_map(|row| {
        let mut words = row.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let found = rows.filter(|(point, _)| holds(point)).max_by_key(|(point, _)| point.len());
    found.map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

/// What a program says of its version: the first line of what it prints.
pub(crate) fn version(program: &Path, argument: &str) -> Result<String> {
    let said =
        Command::new(program).arg(argument).output().with_context(|| format!("{}", program.display()))?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::file_system;

    #[test]
    fn the_longest_mount_that_holds_the_folder_counts() {
        let mounts = "a / ext4 rw 0 0\nb /tmp tmpfs rw 0 0\nc /tmpx xfs rw 0 0\n";
        assert_eq!(file_system(mounts, "/tmp/x"), "tmpfs");
        assert_eq!(file_system(mounts, "/tmpx"), "xfs");
        assert_eq!(file_system(mounts, "/var"), "ext4");
    }
}
