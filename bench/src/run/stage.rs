//! What every row plays on: programs, sizes, folders that are removed at the end.

use super::Options;
use crate::process::{is_in_haste, make_haste};
use crate::progress;
use crate::report::Row;
use crate::row::history::{FOLDER, History};
use crate::server::{Nats, SyncInterval, Zenoh};
use crate::settings::{Settings, Size};
use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs, sizes and folders.
pub(crate) struct Stage {
    pub(crate) settings: Settings,
    pub(crate) openmesh: PathBuf,
    nats_server: Option<PathBuf>,
    zenoh_python: Option<PathBuf>,
    generator: PathBuf,
    scratch: PathBuf,
    /// What the rows about a long log share.
    pub(crate) history: OnceCell<History>,
}

impl Stage {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let scratch = options.scratch.join(format!("openmesh-bench-{}", std::process::id()));
        if options.size() == Size::Quick {
            make_haste();
        }
        std::fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
        Ok(Self {
            settings: Settings::new(options.size(), options.rounds).with(&options.sizes)?,
            openmesh: options.openmesh.clone(),
            nats_server: options.nats_server.clone(),
            zenoh_python: options.zenoh_python.clone(),
            generator: std::env::current_exe()?,
            scratch,
            history: OnceCell::new(),
        })
    }

    /// A folder of this name.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.scratch.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A nats-server with JetStream, if there is one; else the row says that there is none.
    pub(crate) fn nats(&self, name: &str, sync: SyncInterval, row: &mut Row) -> Result<Option<Nats>> {
        self.any_nats(name, Some(sync), row)
    }

    /// A nats-server without JetStream, if there is one; else the row says that there is none.
    pub(crate) fn core_nats(&self, name: &str, row: &mut Row) -> Result<Option<Nats>> {
        self.any_nats(name, None, row)
    }

    fn any_nats(&self, name: &str, sync: Option<SyncInterval>, row: &mut Row) -> Result<Option<Nats>> {
        let Some(program) = &self.nats_server else {
            row.not_run.push(format!("{name}: there is no nats-server"));
            return Ok(None);
        };
        Nats::start(program, &self.folder(name)?, sync).map(Some)
    }

    /// A Zenoh router, if there is one; else the row says that there is none.
    pub(crate) fn zenoh(&self, name: &str, row: &mut Row) -> Result<Option<Zenoh>> {
        let Some(python) = &self.zenoh_python else {
            row.not_run.push(format!("{name}: there is no Zenoh"));
            return Ok(None);
        };
        Zenoh::start(python, &self.folder(name)?).map(Some)
    }

    /// The program of nats-server, if there is one.
    pub(crate) fn nats_server(&self) -> Option<&Path> {
        self.nats_server.as_deref()
    }

    /// Has the kernel write what earlier turns left in its cache: nobody's turn pays for another's unsynced pages.
    pub(crate) fn settle_disk(&self) -> Result<()> {
        if is_in_haste() {
            return Ok(());
        }
        Ok(rustix::fs::syncfs(std::fs::File::open(&self.scratch)?)?)
    }

    /// Runs a load in a process of its own and reads what it measured.
    pub(crate) fn load<T: DeserializeOwned>(&self, arguments: &[String]) -> Result<T> {
        self.load_by(Command::new(&self.generator).args(arguments))
    }

    /// Runs a load that is a program of its own, and reads what it measured.
    pub(crate) fn load_by<T: DeserializeOwned>(&self, command: &mut Command) -> Result<T> {
        self.settle_disk()?;
        let ended = command.output()?;
        let shown = || format!("{command:?}");
        ensure!(ended.status.success(), "{}: {}", shown(), String::from_utf8_lossy(&ended.stderr).trim());
        serde_json::from_slice(&ended.stdout).with_context(shown)
    }

    /// Says what is being done.
    pub(crate) fn doing(&self, what: &str) {
        progress::doing(what);
    }

    /// Removes a folder of this name.
    pub(crate) fn remove(&self, name: &str) {
        let _ = std::fs::remove_dir_all(self.scratch.join(name));
    }

    /// Removes what the last row left, but for what rows share.
    pub(crate) fn clear(&self) {
        for entry in std::fs::read_dir(&self.scratch).into_iter().flatten().flatten() {
            if entry.file_name() != FOLDER {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}
