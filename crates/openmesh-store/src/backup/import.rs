//! Makes a log from a backup: all of it is checked first, then written beside its place, checked again, and takes its name
//! last of all.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::blocks::{BlockReader, Kind};
use super::{BackupAbout, BackupFile, StateKind};
use crate::embedded::bytes::{u32_at, u64_at};
use crate::embedded::frozen::segment_file_name;
use crate::embedded::{EmbeddedLog, LogConfig, VerifyOptions, VerifyReport, verify};
use crate::failpoint;
use crate::fault::{Cause, Fault};
use crate::planted::{self, Planted};

/// Larger segments than any node makes are not believed.
const SEGMENT_BYTES_MAX: u64 = 1 << 40;

/// A backup all of which checks.
pub struct Backup {
    path: PathBuf,
    /// What it is of.
    pub about: BackupAbout,
    /// What was kept beside the log.
    pub files: Vec<BackupFile>,
    bytes: u64,
}

/// A log written from a backup that is not in its place yet. Nothing opens it before `commit`; whoever imports again
/// begins anew.
#[derive(Debug)]
pub struct StagedImport {
    staged: PathBuf,
    log: PathBuf,
    /// The epoch that begins with it.
    pub epoch: u32,
    /// What a look at every byte found.
    pub report: VerifyReport,
}

/// Where an import into this log's folder was begun and not ended.
pub fn unfinished_import(log: &Path) -> Option<PathBuf> {
    Some(staging_of(log)).filter(|staged| staged.exists())
}

impl Backup {
    /// Reads all of a backup and checks it. `progress` is told the bytes read and in all. Errors: `Damaged` (also what
    /// is no backup), `Newer`, `Io`.
    pub fn open(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, Fault> {
        let mut reader = open(path)?;
        let bytes = std::fs::metadata(path).map_err(|error| Fault::io("look at", path, &error))?.len();
        let about = match reader.next()? {
            Some((Kind::About, content)) => BackupAbout::decode(&content),
            _ => None,
        };
        let about = about.ok_or_else(|| reader.damaged())?;
        let mut files = Vec::new();
        let mut awaited = Awaited::default();
        while let Some((kind, content)) = reader.next()? {
            awaited.take(kind, &content).ok_or_else(|| reader.damaged())?;
            if kind == Kind::File {
                let code = u32_at(&content, 0).ok_or_else(|| reader.damaged())?;
                files.push(BackupFile { code, content: content.get(4..).unwrap_or_default().to_vec() });
            }
            progress(reader.read_bytes, bytes);
        }
        if awaited.segments != about.segments || awaited.segments == 0 {
            return Err(reader.damaged());
        }
        Ok(Self { path: path.to_owned(), about, files, bytes })
    }

    /// Writes the log beside `log`, where there must be none, looks at every byte of it, and begins an epoch in it far
    /// above any that the original can have come to. Errors: `Io` (also where there is a log), `Full`, as `open`.
    pub fn stage(&self, log: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<StagedImport, Fault> {
        if log.exists() {
            let there = Cause { errno: None, text: "there is a log already".to_owned() };
            return Err(Fault::Io { doing: "import into", path: log.to_owned(), cause: there });
        }
        let staged = staging_of(log);
        let fault = |doing| {
            let staged = staged.clone();
            move |error: std::io::Error| Fault::io(doing, &staged, &error)
        };
        if staged.exists() {
            std::fs::remove_dir_all(&staged).map_err(fault("remove"))?;
        }
        std::fs::create_dir_all(&staged).map_err(fault("make"))?;
        sync_parent(&staged).map_err(fault("sync"))?;
        failpoint::reached("import.begun");
        self.write_files(&staged, progress)?;
        File::open(&staged).and_then(|folder| folder.sync_all()).map_err(fault("sync"))?;
        failpoint::reached("import.written");
        let report = verify(&staged, &mut VerifyOptions::default())?;
        let config = LogConfig { adopt: true, ..LogConfig::new(self.about.partition) };
        let (written, opened) = EmbeddedLog::open(&staged, &config)?;
        // Not closed: the node that opens it begins an epoch of its own, and says so in a record.
        drop(written);
        failpoint::reached("import.epoch-begun");
        Ok(StagedImport { staged, log: log.to_owned(), epoch: opened.epoch, report })
    }

    fn write_files(&self, staged: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Fault> {
        let mut reader = open(&self.path)?;
        let mut writing: Option<(File, PathBuf)> = None;
        while let Some((kind, content)) = reader.next()? {
            let begins = match kind {
                Kind::Segment => {
                    segment_head(&content).map(|(number, bytes, _)| (segment_file_name(number), bytes))
                }
                Kind::State => state_head(&content).map(|(kind, seq, bytes)| (kind.file_name(seq), bytes)),
                _ => None,
            };
            if let Some((name, bytes)) = begins {
                finish(writing.take())?;
                let path = staged.join(name);
                let file = create(&path).and_then(|file| file.set_len(bytes).map(|()| file));
                writing = Some((file.map_err(|error| Fault::io("write", &path, &error))?, path));
            } else if kind == Kind::Piece
                && let Some((file, path)) = &mut writing
            {
                file.write_all(&content).map_err(|error| Fault::io("write", path, &error))?;
            }
            progress(reader.read_bytes, self.bytes);
        }
        finish(writing)
    }
}

impl StagedImport {
    /// Puts the log into its place. Errors: `Io`, and then there is none.
    pub fn commit(self) -> Result<(), Fault> {
        failpoint::reached("import.before-rename");
        let fault = |error: std::io::Error| Fault::io("rename", &self.staged, &error);
        std::fs::rename(&self.staged, &self.log).map_err(fault)?;
        failpoint::reached("import.renamed");
        sync_parent(&self.log).map_err(fault)
    }
}

/// What must follow: the bytes of what began last.
#[derive(Default)]
struct Awaited {
    bytes: u64,
    segments: u32,
}

impl Awaited {
    fn take(&mut self, kind: Kind, content: &[u8]) -> Option<()> {
        if kind == Kind::Piece {
            self.bytes = self.bytes.checked_sub(content.len() as u64)?;
            return Some(());
        }
        if self.bytes > 0 {
            return None;
        }
        match kind {
            Kind::Segment => {
                self.bytes = segment_head(content)?.2;
                self.segments += 1;
            }
            Kind::State => self.bytes = state_head(content)?.2,
            Kind::File | Kind::End => {}
            Kind::About | Kind::Piece => return None,
        }
        Some(())
    }
}

/// Number, length of the file, bytes that follow.
fn segment_head(content: &[u8]) -> Option<(u64, u64, u64)> {
    let (number, bytes, kept) = (u64_at(content, 0)?, u64_at(content, 8)?, u64_at(content, 16)?);
    (kept <= bytes && bytes <= SEGMENT_BYTES_MAX).then_some((number, bytes, kept))
}

fn state_head(content: &[u8]) -> Option<(StateKind, u64, u64)> {
    let kind = StateKind::of_code(u32_at(content, 0)?)?;
    Some((kind, u64_at(content, 4)?, u64_at(content, 12)?))
        .filter(|(_, _, bytes)| *bytes <= SEGMENT_BYTES_MAX)
}

fn open(path: &Path) -> Result<BlockReader<BufReader<File>>, Fault> {
    let file = File::open(path).map_err(|error| Fault::io("open", path, &error))?;
    BlockReader::begin(BufReader::new(file), &path.display().to_string())
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn finish(written: Option<(File, PathBuf)>) -> Result<(), Fault> {
    written.map_or(Ok(()), |(file, path)| file.sync_all().map_err(|error| Fault::io("sync", &path, &error)))
}

fn staging_of(log: &Path) -> PathBuf {
    if planted::has(Planted::ImportInPlace) {
        return log.to_owned();
    }
    log.with_extension("importing")
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
