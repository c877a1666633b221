//! The report as a page of the documents.

use super::table::{aims, figures, parts, tally};
use super::{Report, Row};
use anyhow::Result;
use std::fmt::Write;
use std::path::Path;

/// The page's name in its folder.
const PAGE: &str = "benchmarks.md";
/// The picture beside it.
const CHART: &str = "benchmarks.svg";

pub(super) fn write(report: &Report, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let page = folder.join(PAGE);
    std::fs::write(&page, text(report)?)?;
    std::fs::write(folder.join(CHART), super::chart::draw(report))?;
    Ok(())
}

fn text(report: &Report) -> Result<String> {
    let mut page = String::new();
    let Report { command, date, machine, settings, .. } = report;
    writeln!(page, "# Benchmarks\n")?;
    writeln!(
        page,
        "Written by `{command}` on {date}; how it is done stands in [operating/benchmarks.md](operating/benchmarks.md).\n"
    )?;
    writeln!(page, "* {}", machine.line())?;
    for (program, version) in &report.versions {
        writeln!(page, "* {program}: {version}")?;
    }
    writeln!(
        page,
        "* {} sizes, {} rounds; each value is the median of the rounds (least..greatest)",
        settings.size.word(),
        settings.rounds
    )?;
    writeln!(page, "* {}", tally(&report.rows))?;
    writeln!(page, "\n![Bars: the first value of each figure below]({CHART})")?;
    for row in &report.rows {
        write_row(&mut page, row)?;
    }
    Ok(page)
}

fn write_row(page: &mut String, row: &Row) -> Result<()> {
    writeln!(page, "\n## {} {}\n", row.id, row.title)?;
    for line in &row.how {
        writeln!(page, "* {line}")?;
    }
    for part in parts(&row.figures) {
        write_table(page, &figures(part))?;
    }
    if !row.aims.is_empty() {
        write_table(page, &aims(&row.aims))?;
    }
    for why in &row.not_run {
        writeln!(page, "\nNot run: {why}.")?;
    }
    Ok(())
}

fn write_table(page: &mut String, rows: &[Vec<String>]) -> Result<()> {
    writeln!(page)?;
    for (place, row) in rows.iter().enumerate() {
        writeln!(page, "| {} |", row.join(" | "))?;
        if place == 0 {
            writeln!(page, "|{}", "---|".repeat(row.len()))?;
        }
    }
    Ok(())
}
