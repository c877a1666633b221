//! The end of a run: what held and what did not, the figures, a picture of one negotiation.

use super::agent::Misdeed;
use super::cue::Tally;
use super::figures::Figures;
use super::{AUDITOR, Skipped};
use crate::cli::colour::Colours;
use crate::cli::output::{Format, cut};
use crate::diagram::Diagram;
use crate::start::Endpoint;
use anyhow::{Result, bail};
use console::Term;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::Path;

/// Findings named in the error; `openmesh log verify` names all.
const FINDINGS_SHOWN: usize = 5;
/// The columns of names and codes.
const NAME_CHARS: usize = 16;
const CODE_CHARS: usize = 26;

/// What a run promises, and what of it did not hold.
pub(crate) struct Held {
    broken: Vec<String>,
}

/// All that is printed at the end.
pub(crate) struct Summary<'a> {
    pub(crate) seed: u64,
    pub(crate) figures: &'a Figures,
    pub(crate) tallies: &'a BTreeMap<String, Tally>,
    pub(crate) folder: &'a Path,
    pub(crate) skipped: Vec<Skipped>,
}

impl Held {
    /// Compares the log with what was to happen and with what the agents counted.
    pub(crate) fn check(
        figures: &Figures,
        tallies: &BTreeMap<String, Tally>,
        requests: usize,
        misbehaved: bool,
    ) -> Self {
        let mut broken = Vec::new();
        let mut expect = |what: &str, log: String, expected: String| {
            if log != expected {
                broken.push(format!("{what}: the log says {log}, expected {expected}"));
            }
        };
        expect("negotiations", figures.conversations.len().to_string(), requests.to_string());
        let open = figures.by_outcome().get("open").copied().unwrap_or_default();
        expect("negotiations that did not end", open.to_string(), "0".to_owned());
        let accepted: u64 = tallies.values().map(|tally| tally.accepted).sum();
        expect("messages the agents had taken in", figures.messages.to_string(), accepted.to_string());
        let mut refused = BTreeMap::new();
        for (code, count) in tallies.values().flat_map(|tally| &tally.refused) {
            *refused.entry(code.clone()).or_insert(0) += count;
        }
        let list = |codes: &BTreeMap<String, u64>| format!("{codes:?}");
        expect("refusals the agents met", list(&figures.refusals), list(&refused));
        let misdeeds = Misdeed::ALL.iter().filter(|_| misbehaved);
        let expected = misdeeds.map(|misdeed| (misdeed.code().to_owned(), 1)).collect();
        expect("refusals", list(&figures.refusals), list(&expected));
        let read = tallies.get(AUDITOR).map_or(0, |tally| tally.acts_read);
        expect("acts the auditor read", figures.acts.to_string(), read.to_string());
        let findings = figures
            .verified
            .findings
            .iter()
            .take(FINDINGS_SHOWN)
            .map(|finding| format!("damage in the log: {finding}"));
        broken.extend(findings);
        Self { broken }
    }

    /// An error if anything did not hold.
    pub(crate) fn into_result(self) -> Result<()> {
        if self.broken.is_empty() {
            return Ok(());
        }
        bail!("not all held:\n  {}", self.broken.join("\n  "))
    }
}

impl Summary<'_> {
    /// Prints one JSON object.
    pub(crate) fn print_json(&self, format: Format) -> Result<()> {
        let figures = self.figures;
        let (p50, p99) = self.latencies_ms();
        let object = json!({
            "seed": self.seed,
            "negotiations": {"total": figures.conversations.len(), "by_outcome": figures.by_outcome()},
            "messages": figures.messages,
            "refusals": figures.refusals,
            "latency_ms": {"p50": p50, "p99": p99},
            "verified": figures.verified.findings.is_empty(),
            "replayed": {"conversations": figures.conversations.len(), "steps": figures.steps},
            "folder": self.folder,
            "rfps_skipped": self.skipped,
        });
        format.outcome("", &object)
    }

    /// Prints figures and a picture for people.
    pub(crate) fn print(&self, kept: Option<&Endpoint>) -> Result<()> {
        let mut page = Page::new();
        self.draw(&mut page);
        self.list(&mut page);
        self.say_where(&mut page, kept);
        let mut out = std::io::stdout().lock();
        out.write_all(page.text.as_bytes())?;
        Ok(out.flush()?)
    }

    fn draw(&self, page: &mut Page) {
        let Some((id, records)) = self.figures.exemplary() else { return };
        page.head("One negotiation", &id.to_string());
        for line in Diagram::of(&records, &self.figures.names()).text() {
            page.drawn(&line.text, line.is_refusal);
        }
    }

    fn list(&self, page: &mut Page) {
        let figures = self.figures;
        let by_outcome = figures.by_outcome();
        let outcomes: Vec<_> =
            by_outcome.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        let (p50, p99) = self.latencies_ms();
        let total = figures.conversations.len();
        let verified = match figures.verified.findings.len() {
            0 => format!("{} records, every byte accounted for", figures.verified.records),
            damaged => format!("{damaged} places are damaged"),
        };
        page.head("Summary", &format!("(seed {})", self.seed));
        page.row("negotiations", &format!("{total}: {}", outcomes.join(", ")));
        page.row("messages", &figures.messages.to_string());
        page.row("refusals", &figures.refusals.values().sum::<u64>().to_string());
        for (code, count) in &figures.refusals {
            page.refusal(*count, code, figures.reasons.get(code).map_or("", String::as_str));
        }
        page.row("send → receipt", &format!("{p50:.2} ms median, {p99:.2} ms at the 99th percentile"));
        page.row("log verified", &verified);
        page.row("replayed", &format!("{total} negotiations, {} steps decided again alike", figures.steps));
    }

    fn say_where(&self, page: &mut Page, kept: Option<&Endpoint>) {
        let folder = self.folder.display();
        page.head("The log is in", &folder.to_string());
        page.command(&format!("openmesh log query  --data {folder} --kind refused"));
        page.command(&format!("openmesh log verify --data {folder}"));
        if let Some(Endpoint { address, domain, pid, .. }) = kept {
            page.head("The node is up", &format!("at {address}"));
            let reach = format!("--home {folder} --node {address} --domain {domain}");
            page.command(&format!("openmesh conversation ls --as {AUDITOR} {reach}"));
            page.command(&format!("kill {pid}    # stops it"));
        }
    }

    /// Median and 99th percentile, from the agents' own measurements.
    fn latencies_ms(&self) -> (f64, f64) {
        let mut all: Vec<u64> =
            self.tallies.values().flat_map(|tally| &tally.latencies_us).copied().collect();
        all.sort_unstable();
        let at = |percent: usize| {
            let rank = (all.len() * percent).div_ceil(100).max(1) - 1;
            all.get(rank).map_or(0.0, |latency_us| *latency_us as f64 / 1_000.0)
        };
        (at(50), at(99))
    }
}

/// Text for people: coloured, and cut to the terminal where there is one, since wrapped lines tear a picture.
struct Page {
    text: String,
    colours: Colours,
    columns: usize,
}

impl Page {
    fn new() -> Self {
        let columns = Term::stdout().size_checked().map_or(usize::MAX, |(_, columns)| columns.into());
        Self { text: String::new(), colours: Colours::of(std::io::stdout().is_terminal()), columns }
    }

    fn head(&mut self, title: &str, what: &str) {
        self.text.push_str(&format!("\n{} {what}\n\n", self.colours.bold(title)));
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(&cut(line, self.columns));
        self.text.push('\n');
    }

    fn drawn(&mut self, line: &str, is_refusal: bool) {
        let line = cut(line, self.columns);
        let line = if is_refusal { self.colours.red(&line) } else { line };
        self.text.push_str(&format!("{line}\n"));
    }

    fn row(&mut self, name: &str, value: &str) {
        self.line(&format!("  {name:<NAME_CHARS$} {value}"));
    }

    fn refusal(&mut self, count: u64, code: &str, reason: &str) {
        let before = format!("  {:<NAME_CHARS$} {count:>3} {code:<CODE_CHARS$} ", "");
        let reason = cut(reason, self.columns.saturating_sub(before.chars().count()));
        let line = format!("{}{}", before.replace(code, &self.colours.red(code)), self.colours.dim(&reason));
        self.text.push_str(&line);
        self.text.push('\n');
    }

    /// A command to copy: never cut.
    fn command(&mut self, command: &str) {
        self.text.push_str(&format!("  $ {command}\n"));
    }
}
