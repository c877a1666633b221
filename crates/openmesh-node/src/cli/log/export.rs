//! `openmesh log export`: records into a file.

use super::backup::{self, Backup};
use super::offline;
use super::shown::{csv_head, csv_row};
use super::sought::Sought;
use crate::cli::context::{Context, Names};
use crate::cli::failure::Failure;
use crate::cli::output::{progress, remark};
use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use openmesh_core::record::to_json;
use openmesh_core::{Matcher, RowFilter};
use openmesh_sdk::{LogFilter, Mesh};
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Records asked for at once.
const PAGE_RECORDS: u32 = 1_000;

/// Exports.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh log export --to june.csv --format csv --since 2026-06-01T00:00:00Z --until 2026-07-01T00:00:00Z
  $ openmesh log export --to - --topic 'market/**' --verdict refused | jq .outcome.code
  $ openmesh log export --to all.jsonl --data ~/.openmesh/node       offline, everything
  $ openmesh log export --format backup --to node.backup --data ~/.openmesh/node    for `openmesh log import`")]
pub(crate) struct Args {
    #[command(flatten)]
    sought: Sought,
    /// The file; `-` is stdout. It is written beside, and takes its name when it is whole.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// How records are written.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ExportFormat,
    /// Read a node's folder, running or not, and see every record.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Put the keys of node and domain, the custodian's secret and the admin token into the backup: whoever has it can be
    /// this node.
    #[arg(long)]
    with_keys: bool,
}

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum ExportFormat {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// A line with the columns, then a line a record.
    Csv,
    /// All of the log up to what is synced, its snapshot, the node's certificate and rules, with checksums; also while the
    /// node runs. Without `--with-keys` another node cannot be made of it.
    Backup,
}

/// Where the records go.
struct Target {
    out: BufWriter<Box<dyn Write>>,
    /// The file under which it is written, and its name when it is whole.
    names: Option<(PathBuf, PathBuf)>,
    format: ExportFormat,
    expression: Option<RowFilter>,
    bar: ProgressBar,
    count: u64,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    if args.format == ExportFormat::Backup {
        if !args.sought.is_everything() {
            return Err(Failure::usage("a backup is of the whole log: no filters").into());
        }
        let (data, to) = (args.data.as_deref(), args.to.as_path());
        return backup::take(&Backup { data, to, with_keys: args.with_keys }, context);
    }
    if args.with_keys {
        return Err(Failure::usage("--with-keys goes with --format backup").into());
    }
    let mut target = Target::make(args)?;
    let lost = match &args.data {
        Some(data) => from_folder(args, data, context, &mut target)?,
        None => context.run(from_node(args, context, &mut target)).map(|()| 0)?,
    };
    let count = target.finish()?;
    if lost > 0 {
        remark(&format!("{lost} records are damaged and left out: `openmesh log verify` says which"));
    }
    remark(&format!("exported {count} records to {}", args.to.display()));
    Ok(())
}

async fn from_node(args: &Args, context: &Context, target: &mut Target) -> Result<()> {
    let mesh = context.connect().await?;
    let names = Names::ask(&mesh).await;
    let filter = args.sought.filter(&names)?;
    target.bar.set_length(newest(&mesh).await?);
    let mut pages = mesh.query_log(filter).page_records_max(PAGE_RECORDS);
    while let Some(page) = pages.next_page().await? {
        page.iter().try_for_each(|record| target.write(record))?;
        target
            .bar
            .set_position(pages.next_after_seq().unwrap_or(u64::MAX).min(target.bar.length().unwrap_or(0)));
    }
    mesh.close().await;
    Ok(())
}

/// The newest record that the agent may read: about where an export ends.
async fn newest(mesh: &Mesh) -> Result<u64> {
    let mut pages = mesh.query_log(LogFilter::default()).newest_first().page_records_max(1);
    let page = pages.next_page().await?.unwrap_or_default();
    Ok(page.first().and_then(|record| record.get("seq")).and_then(Value::as_u64).unwrap_or(0))
}

fn from_folder(args: &Args, data: &Path, context: &Context, target: &mut Target) -> Result<u64> {
    let (log, report) = offline::open(&offline::folder(Some(data), context)?)?;
    let mut names = Names::default();
    offline::records(&log, 1, |record| {
        offline::learn(&mut names, &record);
        Ok(true)
    })?;
    let matcher = Matcher::new(&args.sought.filter(&names)?);
    target.bar.set_length(report.head.map_or(0, |head| head.seq));
    offline::records(&log, 1, |record| {
        if matcher.matches(&record) {
            target.write(&to_json(&record))?;
        }
        target.bar.set_position(record.header.position.seq);
        Ok(true)
    })
}

impl Target {
    fn make(args: &Args) -> Result<Self> {
        let expression = args.sought.expression()?;
        let (out, names): (Box<dyn Write>, _) = if args.to == Path::new("-") {
            (Box::new(io::stdout()), None)
        } else {
            let mut unfinished = args.to.clone().into_os_string();
            unfinished.push(".unfinished");
            let unfinished = PathBuf::from(unfinished);
            let file = File::create(&unfinished)
                .with_context(|| format!("cannot write {}", unfinished.display()))?;
            (Box::new(file), Some((unfinished, args.to.clone())))
        };
        let bar = progress(0, "exporting");
        let mut target =
            Self { out: BufWriter::new(out), names, format: args.format, expression, bar, count: 0 };
        if target.format == ExportFormat::Csv {
            target.line(&csv_head())?;
        }
        Ok(target)
    }

    fn write(&mut self, record: &Value) -> Result<()> {
        if self.expression.as_ref().is_some_and(|expression| !expression.fits(record)) {
            return Ok(());
        }
        self.count += 1;
        match self.format {
            ExportFormat::Jsonl => self.line(&record.to_string()),
            ExportFormat::Csv => self.line(&csv_row(record)),
            ExportFormat::Backup => Ok(()),
        }
    }

    fn line(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.out, "{line}")?)
    }

    fn finish(mut self) -> Result<u64> {
        self.out.flush()?;
        self.bar.finish_and_clear();
        if let Some((unfinished, whole)) = &self.names {
            std::fs::rename(unfinished, whole)
                .with_context(|| format!("cannot write {}", whole.display()))?;
        }
        Ok(self.count)
    }
}
