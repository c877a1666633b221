//! `openmesh log verify`: every byte.

use super::offline;
use crate::cli::context::Context;
use crate::cli::exit_code::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{progress, say};
use crate::stored::record_of;
use anyhow::Result;
use openmesh_core::record::{Body, Outcome};
use openmesh_store::{FIRST_SEQ, StoredRecord, VerifyOptions, VerifyReport, verify};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Findings printed for people; -o json has all.
const FINDINGS_SHOWN: usize = 50;

/// Verifies.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh log verify
  $ openmesh log verify --data ./node -o json     exit code 6 if there is damage")]
pub(crate) struct Args {
    /// The node's folder [default: that of the node in the home folder].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let folder = offline::folder(args.data.as_deref(), context)?;
    let bar = progress(0, "verifying");
    let mut show = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let is_kept = |record: &StoredRecord| is_committed(record) && is_claimed(record);
    let mut options = VerifyOptions { commitment: Some(&is_kept), progress: Some(&mut show) };
    let report = verify(&folder, &mut options)?;
    bar.finish_and_clear();
    let table = context.format().is_table();
    if table {
        for finding in report.findings.iter().take(FINDINGS_SHOWN) {
            say(&finding.to_string())?;
        }
    }
    if !table || report.findings.is_empty() {
        context.format().outcome(&summary(&report), &row(&report))?;
    }
    if report.findings.is_empty() {
        return Ok(());
    }
    let what = format!("{} findings: the log is damaged ({})", report.findings.len(), summary(&report));
    let next =
        "keep a copy of the folder; a node goes on behind the damage, and what was lost is listed above";
    Err(Failure::new(Exit::Damaged, what).next(next).into())
}

fn is_committed(record: &StoredRecord) -> bool {
    openmesh_core::record::is_committed(&record.header, &record.salt, &record.body)
}

/// A checkpoint is signed by the node that it says wrote it.
fn is_claimed(stored: &StoredRecord) -> bool {
    record_of(stored).is_ok_and(|record| match (&record.header.outcome, &record.body) {
        (Outcome::Checkpoint(checkpoint), Body::Claim(claim)) => checkpoint.is_signed(claim),
        (Outcome::Checkpoint(_), _) => false,
        _ => true,
    })
}

fn summary(report: &VerifyReport) -> String {
    let VerifyReport { records, segments, snapshots, bytes, .. } = report;
    let erased = if report.erased > 0 { format!(" ({} erased)", report.erased) } else { String::new() };
    let begins = report.begins_with.filter(|_| report.first_seq > FIRST_SEQ);
    let begins = begins.map_or_else(String::new, |through| {
        format!("; begins with record {}, behind a checkpoint through {through}", report.first_seq)
    });
    let head = report.head.map(|head| format!(", head {head}")).unwrap_or_default();
    let running = if report.writer_running { "; a node is writing it" } else { "" };
    let whole = if report.findings.is_empty() { "verified: " } else { "" };
    format!(
        "{whole}{records} records{erased}, {segments} segments, {snapshots} snapshots, {bytes} bytes{head}{begins}{running}"
    )
}

fn row(report: &VerifyReport) -> Value {
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            json!({"file": finding.file, "offset": finding.offset, "seq": finding.seq, "what": finding.flaw.to_string()})
        })
        .collect();
    json!({
        "ok": report.findings.is_empty(), "records": report.records, "segments": report.segments,
        "erased": report.erased, "first_seq": report.first_seq, "checkpoints": report.checkpoints,
        "begins_with": report.begins_with.map(|through| through.to_string()),
        "snapshots": report.snapshots, "bytes": report.bytes, "clean": report.clean,
        "writer_running": report.writer_running, "head": report.head.map(|head| head.to_string()),
        "head_chain": report.head_chain, "findings": findings,
    })
}
