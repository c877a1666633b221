//! One run: the machine looked at, the rows played, the report printed and written.

mod stage;

pub(crate) use stage::Stage;

use crate::machine::{Machine, version};
use crate::process::raise_open_files;
use crate::progress;
use crate::report::{self, Report, Row};
use crate::row::PLAYS;
use crate::server::installed;
use crate::settings::Size;
use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::time::Instant;

/// What to run, and where to write what came of it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Small sizes: over in a minute.
    #[arg(long)]
    quick: bool,
    /// The sizes that the aims name: over in about an hour.
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// Only these rows, such as P2; all when none is named.
    #[arg(long = "row", value_name = "ROW")]
    rows: Vec<String>,
    /// How often each system has its turn.
    #[arg(long)]
    rounds: Option<usize>,
    /// Another size of something, as the report's JSON names it: `history=1000000`.
    #[arg(long = "size", value_name = "NAME=VALUE")]
    pub(crate) sizes: Vec<String>,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as a page with its chart into this folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Write the page into the documents: docs/benchmarks.md.
    #[arg(long, conflicts_with = "out", requires = "documents")]
    write_docs: bool,
    /// Where the documents are.
    #[arg(long, value_name = "FOLDER")]
    documents: Option<PathBuf>,
    /// The program under test.
    #[arg(long, value_name = "FILE")]
    openmesh: PathBuf,
    /// The peer; without it rows are compared with nothing.
    #[arg(long, value_name = "FILE")]
    nats_server: Option<PathBuf>,
    /// A Python that has Zenoh's library; without it there is no Zenoh to compare with.
    #[arg(long, value_name = "FILE")]
    zenoh_python: Option<PathBuf>,
    /// Where servers keep things while the run lasts: on a real disk.
    #[arg(long, value_name = "FOLDER")]
    scratch: PathBuf,
    /// The command that the report names.
    #[arg(long, default_value = "openmesh-bench run")]
    command: String,
}

impl Options {
    const fn size(&self) -> Size {
        match (self.quick, self.full) {
            (true, _) => Size::Quick,
            (_, true) => Size::Full,
            _ => Size::Usual,
        }
    }
}

/// Runs what is asked for.
///
/// # Errors
/// When a row is not known, or the report cannot be written; a row that fails is named in the report.
pub(crate) fn run(options: &Options) -> Result<()> {
    let known = |name: &String| PLAYS.iter().any(|play| play.id.eq_ignore_ascii_case(name));
    let ids: Vec<&str> = PLAYS.iter().map(|play| play.id).collect();
    for name in &options.rows {
        ensure!(known(name), "there is no row {name}: there are {}", ids.join(" "));
    }
    raise_open_files();
    let stage = Stage::new(options)?;
    let asked =
        |id: &str| options.rows.is_empty() || options.rows.iter().any(|name| id.eq_ignore_ascii_case(name));
    let rows = PLAYS.iter().filter(|play| asked(play.id)).map(|play| {
        let begun = Instant::now();
        let played = (play.play)(&stage);
        stage.clear();
        let mut row = played.unwrap_or_else(|error| failed(play.id, &error));
        row.seconds = begun.elapsed().as_secs();
        row
    });
    let rows: Vec<Row> = rows.collect();
    progress::done();
    let report = Report {
        command: options.command.clone(),
        date: today()?,
        machine: Machine::look(&options.scratch)?,
        versions: versions(options)?,
        settings: stage.settings.clone(),
        rows,
    };
    report::print(&report);
    if let Some(file) = &options.json {
        report.write_json(file)?;
    }
    let documents = options.documents.as_ref().filter(|_| options.write_docs);
    if let Some(folder) = options.out.as_ref().or(documents) {
        report.write_documents(folder)?;
    }
    Ok(())
}

fn failed(id: &'static str, error: &anyhow::Error) -> Row {
    let mut row = Row::new(id, "");
    row.not_run.push(format!("{error:#}"));
    row
}

fn versions(options: &Options) -> Result<Vec<(String, String)>> {
    let mut versions = vec![("openmesh".to_owned(), version(&options.openmesh, "--version")?)];
    if let Some(program) = &options.nats_server {
        versions.push(("nats-server".to_owned(), version(program, "--version")?));
    }
    if let Some(python) = &options.zenoh_python {
        let asks = "-cimport importlib.metadata as m; print(m.version('eclipse-zenoh'))";
        versions.push(("eclipse-zenoh".to_owned(), version(python, asks)?));
    }
    for (name, argument) in [("mosquitto", "-h"), ("redis-server", "--version")] {
        if let Some(program) = installed(name) {
            versions.push((name.to_owned(), version(&program, argument)?));
        }
    }
    Ok(versions)
}

fn today() -> Result<String> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now = openmesh_message::Timestamp::from_millis(i64::try_from(since.as_millis())?).to_string();
    Ok(now.split('T').next().unwrap_or_default().to_owned())
}
