//! The report on a terminal.

use super::{Aim, Figure, Report, Row};

/// Prints the whole report.
pub(crate) fn print(report: &Report) {
    println!("{}", report.machine.line());
    for (program, version) in &report.versions {
        println!("{program}: {version}");
    }
    let Report { settings, .. } = report;
    let size = settings.size.word();
    println!("{size}, {} rounds; median (least..greatest) of the rounds", settings.rounds);
    for row in &report.rows {
        print_row(row);
    }
    println!("\n{}", tally(&report.rows));
}

fn print_row(row: &Row) {
    println!("\n{} {} ({} s)", row.id, row.title, row.seconds);
    for line in &row.how {
        println!("  {line}");
    }
    for part in parts(&row.figures) {
        println!();
        print_aligned(&figures(part));
    }
    if !row.aims.is_empty() {
        println!();
        print_aligned(&aims(&row.aims));
    }
    for why in &row.not_run {
        println!("  not run: {}: {why}", row.id);
    }
}

/// Figures that begin with the same value are one table.
pub(super) fn parts(figures: &[Figure]) -> impl Iterator<Item = &[Figure]> {
    figures.chunk_by(|one, next| names(one).next() == names(next).next())
}

fn names(figure: &Figure) -> impl Iterator<Item = &'static str> {
    figure.values.iter().map(|value| value.name)
}

/// A table of figures, its heads first.
pub(super) fn figures(figures: &[Figure]) -> Vec<Vec<String>> {
    let longest = figures.iter().max_by_key(|figure| figure.values.len());
    let columns: Vec<&str> = longest.into_iter().flat_map(names).collect();
    let head = ["setting", "system"].into_iter().chain(columns.iter().copied());
    let rows = figures.iter().map(|figure| {
        let cells = columns.iter().map(|column| {
            let value = figure.values.iter().find(|value| value.name == *column);
            value.map_or_else(|| "–".to_owned(), |value| value.spread.to_string())
        });
        [figure.setting.clone(), figure.system.clone()].into_iter().chain(cells).collect()
    });
    std::iter::once(head.map(str::to_owned).collect()).chain(rows).collect()
}

/// A table of aims, its heads first.
pub(super) fn aims(aims: &[Aim]) -> Vec<Vec<String>> {
    let head = ["aim", "", "reached", "met"].map(str::to_owned).to_vec();
    let rows = aims.iter().map(|aim| {
        let reached = aim.reached.map_or_else(|| "not run".to_owned(), |spread| spread.to_string());
        let met = match aim.met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        vec![aim.what.clone(), aim.aim.clone(), reached, met.to_owned()]
    });
    std::iter::once(head).chain(rows).collect()
}

fn print_aligned(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// How many aims were met, of those that were measured.
pub(super) fn tally(rows: &[Row]) -> String {
    let met: Vec<bool> = rows.iter().flat_map(|row| row.aims.iter().filter_map(|aim| aim.met)).collect();
    let reached = met.iter().filter(|met| **met).count();
    format!("{reached} of {} aims met", met.len())
}
