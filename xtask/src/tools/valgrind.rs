//! Valgrind: of the system, or Debian's package unpacked into the cache folder, which needs no rights.

use super::{cache_folder, on_path};
use crate::workspace::output;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

const NAME: &str = "valgrind";
/// Where the package has its program and its tools.
const PROGRAM: &str = "usr/bin/valgrind";
const TOOLS: &str = "usr/libexec/valgrind";
/// Stands in the folder once everything is unpacked.
const COMPLETE: &str = "complete";

/// A valgrind that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Valgrind {
    program: PathBuf,
    /// Where its tools are, unless where it was built to be.
    tools: Option<PathBuf>,
}

impl Valgrind {
    /// One that is there.
    pub(crate) fn find() -> Option<Self> {
        if let Some(program) = on_path(NAME) {
            let tools = std::env::var_os("VALGRIND_LIB").map(PathBuf::from);
            return Some(Self { program, tools });
        }
        let folder = cache_folder().ok()?.join(NAME);
        let unpacked = Self { program: folder.join(PROGRAM), tools: Some(folder.join(TOOLS)) };
        folder.join(COMPLETE).is_file().then_some(unpacked)
    }

    /// Unpacks the package of the Debian that this runs on.
    ///
    /// # Errors
    /// When this is no Debian, or its archive is not there.
    pub(crate) fn install() -> Result<()> {
        let folder = cache_folder()?.join(NAME);
        std::fs::create_dir_all(&folder)?;
        let apt = on_path("apt-get").context("apt-get is not there")?;
        println!("   will unpack Debian's {NAME} into {}", folder.display());
        output(&folder, &apt, &["-q", "download", NAME])?;
        let is_package = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "deb");
        let mut files = std::fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path()));
        let package = files.find(is_package).context("apt-get downloaded nothing")?;
        let dpkg = on_path("dpkg-deb").context("dpkg-deb is not there")?;
        output(&folder, &dpkg, &["-x", &package.to_string_lossy(), "."])?;
        Ok(std::fs::write(folder.join(COMPLETE), "")?)
    }

    /// A command that starts it, with nothing else in its environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(self.tools.as_ref().map(|folder| ("VALGRIND_LIB", folder)));
        command
    }
}
