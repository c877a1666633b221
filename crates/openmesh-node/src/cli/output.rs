//! Output: tables for people, JSON for programs; progress bars where somebody looks.

use anyhow::Result;
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::io::{self, IsTerminal, Write};

/// Lengths from which a cell is cut; every id and pinned name is shorter.
const CELL_CHARS_MAX: usize = 130;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON value; streams print one a line.
    Json,
    /// One JSON value a line.
    Jsonl,
    /// Comma-separated values, for the log's records; anything else as JSON.
    Csv,
}

/// Prints a line.
pub(crate) fn say(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Prints bytes as they are, ended by a line break.
pub(crate) fn say_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    if !bytes.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Prints a remark for people where it is in nobody's way.
pub(crate) fn remark(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

impl Format {
    /// Whether a person reads along.
    pub(crate) const fn is_table(self) -> bool {
        matches!(self, Self::Table)
    }

    /// Prints the outcome of a command: a line for people, or the value.
    pub(crate) fn outcome(self, line: &str, value: &Value) -> Result<()> {
        match self {
            Self::Table => say(line),
            Self::Json => say(&serde_json::to_string_pretty(value)?),
            Self::Jsonl | Self::Csv => say(&value.to_string()),
        }
    }

    /// Prints a listing; `cells` are the columns of one row.
    pub(crate) fn listing(
        self,
        heads: &[&str],
        rows: &[Value],
        cells: impl Fn(&Value) -> Vec<String>,
    ) -> Result<()> {
        match self {
            Self::Table if rows.is_empty() => {
                remark("none");
                Ok(())
            }
            Self::Table => say(&table(heads, rows.iter().map(cells))),
            Self::Json => say(&serde_json::to_string_pretty(rows)?),
            Self::Jsonl | Self::Csv => rows.iter().try_for_each(|row| say(&row.to_string())),
        }
    }

    /// Prints one item of a stream.
    pub(crate) fn item(self, line: impl FnOnce() -> String, value: &Value) -> Result<()> {
        match self {
            Self::Table => say(&line()),
            Self::Json | Self::Jsonl | Self::Csv => say(&value.to_string()),
        }
    }
}

/// A table without frames, one line a row, so that cells can be selected and copied.
pub(crate) fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().map(|head| head.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| cut(cell, CELL_CHARS_MAX)));
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The first characters of a text.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A text at a key of a row; empty if there is none.
pub(crate) fn text(row: &Value, pointer: &str) -> String {
    match row.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

/// A bar on stderr; invisible unless stderr is a terminal.
pub(crate) fn progress(total: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
    if io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}
