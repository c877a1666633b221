//! `openmesh log export --format backup`: all of a log in one file, also while its node runs.

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{progress, remark};
use crate::identity::kept::KeptFile;
use anyhow::{Context as _, Result};
use openmesh_adapter::now;
use openmesh_message::Certificate;
use openmesh_store::backup::{BackupFile, BackupTaken, back_up};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What is to be backed up, and where to.
pub(super) struct Backup<'a> {
    /// The node's folder; that of the home folder without.
    pub(super) data: Option<&'a Path>,
    /// The file.
    pub(super) to: &'a Path,
    /// Whether secrets go into it.
    pub(super) with_keys: bool,
}

pub(super) fn take(backup: &Backup<'_>, context: &Context) -> Result<()> {
    if backup.to == Path::new("-") {
        return Err(Failure::usage("a backup goes into a file: --to FILE").into());
    }
    let folder =
        backup.data.map_or_else(|| context.home().map(|home| home.node()), |data| Ok(data.to_owned()))?;
    if !folder.join("log").is_dir() {
        let what = format!("there is no node's folder at {}", folder.display());
        return Err(Failure::not_found(what).next("name it with --data").into());
    }
    let certificate = std::fs::read(KeptFile::Certificate.path(&folder)).with_context(|| {
        format!("{} has no node.certificate: no node was ever started in it", folder.display())
    })?;
    let certificate: Certificate =
        minicbor::decode(&certificate).context("node.certificate cannot be read")?;
    let files = files(&folder, backup.with_keys)?;
    let unfinished = unfinished(backup.to);
    let (taken, bytes) = write(&folder, &certificate.domain().to_string(), &files, &unfinished)?;
    std::fs::rename(&unfinished, backup.to)
        .with_context(|| format!("cannot write {}", backup.to.display()))?;
    let parent = backup.to.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())?;
    if taken.damaged > 0 {
        remark(&format!(
            "{} places of the log are damaged and are so in the backup: `openmesh log verify`",
            taken.damaged
        ));
    }
    if !backup.with_keys {
        remark(
            "the node's keys are not in it: to go on as this node, keep node.key, custodian.key, admin.token and domain-*.key \
             elsewhere, or take it --with-keys",
        );
    }
    context.format().outcome(&summary(backup.to, &taken, bytes), &row(backup, &taken, bytes))
}

fn files(folder: &Path, with_keys: bool) -> Result<Vec<BackupFile>> {
    let wanted = KeptFile::ALL.into_iter().filter(|kept| with_keys || !kept.is_secret());
    let read = wanted.map(|kept| {
        kept.read(folder).with_context(|| format!("cannot read {}", kept.path(folder).display()))
    });
    Ok(read.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn write(folder: &Path, domain: &str, files: &[BackupFile], to: &Path) -> Result<(BackupTaken, u64)> {
    let failed = || format!("cannot write {}", to.display());
    // What is in it is nobody else's business.
    let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to);
    let mut out = BufWriter::new(options.with_context(failed)?);
    let bar = progress(0, "backing up");
    let taken = back_up(&folder.join("log"), (domain, now().millis()), files, &mut out, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let taken = taken.inspect_err(|_| drop(std::fs::remove_file(to)))?;
    out.flush().with_context(failed)?;
    let file = out.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(failed)?;
    file.sync_all().with_context(failed)?;
    Ok((taken, file.metadata()?.len()))
}

fn unfinished(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".unfinished");
    PathBuf::from(name)
}

fn summary(to: &Path, taken: &BackupTaken, bytes: u64) -> String {
    let BackupTaken { about, records, digest, .. } = taken;
    format!(
        "backed up {records} records up to number {} into {}: {bytes} bytes, digest {digest}",
        about.last_seq,
        to.display()
    )
}

fn row(backup: &Backup<'_>, taken: &BackupTaken, bytes: u64) -> Value {
    let BackupTaken { about, records, damaged, digest } = taken;
    json!({
        "file": backup.to, "bytes": bytes, "domain": about.owner, "records": records, "last_seq": about.last_seq,
        "epoch": about.epoch, "chain": about.chain, "segments": about.segments, "damaged": damaged,
        "with_keys": backup.with_keys, "digest": digest,
    })
}
