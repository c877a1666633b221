//! `openmesh log import`: a node's folder from a backup.

use crate::cli::context::Context;
use crate::cli::exit_code::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{progress, remark};
use crate::identity::kept::KeptFile;
use crate::identity::{Folder, write_private};
use anyhow::{Context as _, Result};
use openmesh_store::Fault;
use openmesh_store::backup::Backup;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Imports.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
All of the backup is checked before anything is written, and the log takes its place last of all: an import that is
interrupted leaves none, and is begun anew. The log goes on under an epoch far above any that the original can have
come to, so that no position is ever used by both. To be the same node, it needs node.key (and custodian.key,
admin.token, domain-*.key), from a backup taken --with-keys or put into the folder by hand.

Examples:
  $ openmesh log import node.backup --data ./restored
  $ openmesh up --data ./restored")]
pub(crate) struct Args {
    /// What `openmesh log export --format backup` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The node's folder; it has no log yet [default: that of the node in the home folder].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let path = args.data.clone().map_or_else(|| context.home().map(|home| home.node()), Ok)?;
    if path.join("log").exists() {
        let what = format!("there is a log in {} already", path.display());
        return Err(Failure::new(Exit::Failure, what).next("name another folder with --data").into());
    }
    let backup = with_bar("checking", |told| Backup::open(&args.file, told))
        .map_err(|fault| explained(fault, &args.file))?;
    let folder = Folder::open(&path)?;
    let missing = missing_files(&path, &backup)?;
    let staged = with_bar("importing", |told| backup.stage(&folder.log(), told))?;
    for (kept, content) in missing {
        write_private(&kept.path(&path), content)?;
    }
    let (epoch, found) = (staged.epoch, staged.report.findings.len());
    let records = staged.report.records;
    staged.commit().context("the log cannot be put into its place: import again")?;
    if found > 0 {
        remark(&format!(
            "the log was damaged when it was backed up ({found} findings): `openmesh log verify`"
        ));
    }
    let is_node = KeptFile::NodeKey.path(&path).exists();
    if !is_node {
        remark(&format!("put node.key into {} before `openmesh up`: the backup has no keys", path.display()));
    }
    let line = format!(
        "imported {records} records up to number {} into {}; it goes on above epoch {epoch}",
        backup.about.last_seq,
        path.display()
    );
    let row = json!({
        "folder": path, "domain": backup.about.owner, "records": records, "last_seq": backup.about.last_seq,
        "epoch": epoch, "findings": found, "has_keys": is_node,
    });
    context.format().outcome(&line, &row)
}

/// What of the backup is not in the folder yet; what is must be the same, but for the rules, which stay.
fn missing_files<'a>(folder: &Path, backup: &'a Backup) -> Result<Vec<(KeptFile, &'a [u8])>> {
    let mut missing = Vec::new();
    for file in &backup.files {
        let Some(kept) = KeptFile::of(file) else { continue };
        let there =
            kept.read(folder).with_context(|| format!("cannot read {}", kept.path(folder).display()))?;
        match there {
            None => missing.push((kept, file.content.as_slice())),
            Some(there) if there == *file || kept == KeptFile::Policy => {}
            Some(_) => {
                let what = format!(
                    "{} is not that of {}, whose backup this is",
                    kept.path(folder).display(),
                    backup.about.owner
                );
                return Err(Failure::new(Exit::Failure, what).next("name another folder with --data").into());
            }
        }
    }
    Ok(missing)
}

fn with_bar<T>(what: &'static str, run: impl FnOnce(&mut dyn FnMut(u64, u64)) -> T) -> T {
    let bar = progress(0, what);
    let done = run(&mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    done
}

fn explained(fault: Fault, file: &Path) -> anyhow::Error {
    match fault {
        Fault::Damaged { .. } => {
            let what = format!("{} is no whole backup: its checksums do not match", file.display());
            Failure::new(Exit::Damaged, what).next("nothing was written; use another copy of it").into()
        }
        other => other.into(),
    }
}
