//! The end of a run: what held and what did not, the figures, a picture of one negotiation.

use super::agent::Misdeed;
use super::colour::Colours;
use super::cue::Tally;
use super::figures::Figures;
use super::{AUDITOR, Skipped};
use crate::cli::output::{Format, cut};
use crate::diagram::sequence_diagram;
use crate::start::Endpoint;
use anyhow::{Result, bail};
use console::Term;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::Path;

/// Findings named in the error; `openmesh log verify` names all.
const FINDINGS_SHOWN: usize = 5;

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
        let colours = Colours::of(std::io::stdout().is_terminal());
        let mut text = String::new();
        self.draw(&mut text, colours)?;
        self.list(&mut text, colours)?;
        self.say_where(&mut text, colours, kept)?;
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    fn draw(&self, text: &mut String, colours: Colours) -> Result<()> {
        let Some((id, records)) = self.figures.exemplary() else { return Ok(()) };
        writeln!(text, "\n{} {id}\n", colours.bold("One negotiation"))?;
        let diagram = sequence_diagram(&records, &self.figures.names());
        // Wrapped lines would tear the picture.
        let columns = Term::stdout().size_checked().map(|(_, columns)| columns.into());
        for line in diagram.lines() {
            writeln!(text, "{}", cut(line, columns.unwrap_or(usize::MAX)))?;
        }
        Ok(())
    }

    fn list(&self, text: &mut String, colours: Colours) -> Result<()> {
        let figures = self.figures;
        let by_outcome = figures.by_outcome();
        let outcomes = by_outcome.iter().map(|(outcome, count)| format!("{count} {outcome}"));
        let (p50, p99) = self.latencies_ms();
        let verified = match figures.verified.findings.len() {
            0 => format!("{} records, every byte accounted for", figures.verified.records),
            damaged => format!("{damaged} places are damaged"),
        };
        let rows = [
            (
                "negotiations",
                format!("{}: {}", figures.conversations.len(), outcomes.collect::<Vec<_>>().join(", ")),
            ),
            ("messages", figures.messages.to_string()),
            ("refusals", figures.refusals.values().sum::<u64>().to_string()),
            ("send → receipt", format!("{p50:.2} ms median, {p99:.2} ms at the 99th percentile")),
            ("log verified", verified),
            (
                "replayed",
                format!(
                    "{} negotiations, {} steps decided again alike",
                    figures.conversations.len(),
                    figures.steps
                ),
            ),
        ];
        writeln!(text, "\n{} (seed {})\n", colours.bold("Summary"), self.seed)?;
        for (name, value) in rows {
            writeln!(text, "  {name:<16} {value}")?;
            if name == "refusals" {
                for (code, count) in &figures.refusals {
                    let reason = figures.reasons.get(code).map(String::as_str).unwrap_or_default();
                    writeln!(
                        text,
                        "  {:<16} {count} {} {}",
                        "",
                        colours.red(&format!("{code:<26}")),
                        colours.dim(reason)
                    )?;
                }
            }
        }
        Ok(())
    }

    fn say_where(&self, text: &mut String, colours: Colours, kept: Option<&Endpoint>) -> Result<()> {
        let folder = self.folder.display();
        writeln!(text, "\n{} {folder}", colours.bold("The log is in"))?;
        writeln!(text, "  openmesh log query  --data {folder} --kind refused")?;
        writeln!(text, "  openmesh log verify --data {folder}")?;
        if let Some(endpoint) = kept {
            writeln!(
                text,
                "\n{} at {}, domain {}",
                colours.bold("The node is up"),
                endpoint.address,
                endpoint.domain
            )?;
            writeln!(text, "  its agents' keys are in {folder}/agents")?;
            writeln!(text, "  stop it with: kill {}", endpoint.pid)?;
        }
        Ok(())
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
