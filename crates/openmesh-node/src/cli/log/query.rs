//! `openmesh log query`: finding records.

use super::shown::{HEADS, csv_head, csv_row, row};
use super::sought::Sought;
use super::{building, offline};
use crate::cli::context::{Context, Names};
use crate::cli::output::{Format, remark, say, text};
use anyhow::Result;
use openmesh_core::Matcher;
use openmesh_core::record::to_json;
use serde_json::Value;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Queries.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh log query --newest --limit 20
  $ openmesh log query --verdict refused --since 10m -o jsonl
  $ openmesh log query --topic 'market/**' --agent alice --performative propose
  $ openmesh log query --type market/proposal --where 'message.payload.value.amount > 100' -o csv
  $ openmesh log query --data ~/.openmesh/node --conversation ID     offline, everything")]
pub(crate) struct Args {
    #[command(flatten)]
    sought: Sought,
    /// Newest first.
    #[arg(long)]
    newest: bool,
    /// Begin after this record; with --newest, below it [default: at the end one begins at].
    #[arg(long, default_value_t = 0, value_name = "SEQ", hide_default_value = true)]
    after: u64,
    /// At most so many records.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Read a node's folder, running or not, and see every record.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// What was found; one more than asked for if there is more.
struct Answer {
    records: Vec<Value>,
    names: Names,
    index_building: Option<f64>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let Answer { mut records, names, index_building } = match &args.data {
        Some(data) => offline_records(args, data, context)?,
        None => context.run(records_of_node(args, context))?,
    };
    let limit = args.limit();
    let has_more = records.len() > limit;
    records.truncate(limit);
    if context.format() == Format::Csv {
        say(&csv_head())?;
        records.iter().try_for_each(|record| say(&csv_row(record)))?;
    } else {
        context.format().listing(&HEADS, &records, |record| row(record, &names))?;
    }
    if let Some(last) = records.last().filter(|_| has_more) {
        remark(&format!("there is more: add --after {}, or raise --limit", text(last, "/seq")));
    }
    index_building.map(building).iter().for_each(|said| remark(said));
    Ok(())
}

impl Args {
    fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }
}

async fn records_of_node(args: &Args, context: &Context) -> Result<Answer> {
    let expression = args.sought.expression()?;
    let mesh = context.connect().await?;
    let names = Names::ask(&mesh).await;
    let mut pages = mesh.query_log(args.sought.filter(&names)?).after(args.after);
    if args.newest {
        pages = pages.newest_first();
    }
    let (mut records, mut index_building) = (Vec::new(), None);
    while records.len() <= args.limit()
        && let Some(page) = pages.next_page().await?
    {
        let fits = |record: &Value| expression.as_ref().is_none_or(|expression| expression.fits(record));
        records.extend(page.into_iter().filter(fits));
        index_building = pages.index_building();
    }
    mesh.close().await;
    Ok(Answer { records, names, index_building })
}

fn offline_records(args: &Args, data: &Path, context: &Context) -> Result<Answer> {
    let (log, _) = offline::open(&offline::folder(Some(data), context)?)?;
    let mut names = Names::default();
    offline::records(&log, 1, |record| {
        offline::learn(&mut names, &record);
        Ok(true)
    })?;
    let matcher = Matcher::new(&args.sought.filter(&names)?);
    let expression = args.sought.expression()?;
    let mut found = VecDeque::new();
    let from = if args.newest { 1 } else { args.after.saturating_add(1) };
    let before = if args.newest && args.after > 0 { args.after } else { u64::MAX };
    let lost = offline::records(&log, from, |record| {
        let seq = record.header.position.seq;
        if seq < before && matcher.matches(&record) {
            let row = to_json(&record);
            found.extend(expression.as_ref().is_none_or(|expression| expression.fits(&row)).then_some(row));
        }
        if args.newest && found.len() > args.limit().saturating_add(1) {
            found.pop_front();
        }
        Ok(args.newest || found.len() <= args.limit())
    })?;
    if lost > 0 {
        remark(&format!("{lost} records are damaged and left out: `openmesh log verify` says which"));
    }
    let mut records = Vec::from(found);
    if args.newest {
        records.reverse();
    }
    Ok(Answer { records, names, index_building: None })
}
