//! What came of a run: figures by row, and aims beside what was reached.

mod chart;
mod document;
mod table;

pub(crate) use table::print;

use crate::machine::Machine;
use crate::settings::Settings;
use crate::statistics::{Spread, whole};
use anyhow::Result;
use serde::Serialize;
use std::path::Path;

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) command: String,
    pub(crate) date: String,
    pub(crate) machine: Machine,
    /// Programs and what they say of their versions.
    pub(crate) versions: Vec<(String, String)>,
    pub(crate) settings: Settings,
    pub(crate) rows: Vec<Row>,
}

/// One yardstick.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What is done, what is checked while it is, and how each system is configured.
    pub(crate) how: Vec<String>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) aims: Vec<Aim>,
    /// How long it took to play.
    pub(crate) seconds: u64,
    /// Why it, or a part of it, was not run.
    pub(crate) not_run: Vec<String>,
}

/// What was measured of one system in one setting.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) setting: String,
    pub(crate) system: String,
    pub(crate) values: Vec<Value>,
}

/// One measured value.
#[derive(Debug, Serialize)]
pub(crate) struct Value {
    pub(crate) name: &'static str,
    pub(crate) spread: Spread,
    /// Of each round, in order.
    pub(crate) rounds: Vec<f64>,
}

/// What is aimed at, and what was reached.
#[derive(Debug, Serialize)]
pub(crate) struct Aim {
    pub(crate) what: String,
    pub(crate) aim: String,
    pub(crate) reached: Option<Spread>,
    /// None where the value is only printed.
    pub(crate) met: Option<bool>,
}

impl Row {
    pub(crate) fn new(id: &'static str, title: &'static str) -> Self {
        Self { id, title, ..Self::default() }
    }

    /// Adds what was measured of a system; names of values with the value of each round.
    pub(crate) fn add(&mut self, setting: &str, system: &str, values: Vec<(&'static str, Vec<f64>)>) {
        let values = values
            .into_iter()
            .filter_map(|(name, rounds)| Some(Value { name, spread: Spread::of(&rounds)?, rounds }));
        let (setting, system) = (setting.to_owned(), system.to_owned());
        self.figures.push(Figure { setting, system, values: values.collect() });
    }

    /// The rounds of one value.
    pub(crate) fn rounds(&self, setting: &str, system: &str, value: &str) -> &[f64] {
        let mut figures = self.figures.iter();
        let figure = figures.find(|figure| figure.setting == setting && figure.system == system);
        let value = figure.and_then(|figure| figure.values.iter().find(|one| one.name == value));
        value.map(|value| value.rounds.as_slice()).unwrap_or_default()
    }

    /// Adds an aim that is met where the median is at most `limit`.
    pub(crate) fn at_most(
        &mut self,
        what: impl Into<String>,
        limit: f64,
        unit: &str,
        reached: Option<Spread>,
    ) {
        let met = reached.map(|spread| spread.median <= limit);
        let aim = format!("≤ {}{unit}", limit_text(limit));
        self.aims.push(Aim { what: what.into(), aim, reached, met });
    }

    /// Adds an aim that is met where the median is at least `limit`.
    pub(crate) fn at_least(
        &mut self,
        what: impl Into<String>,
        limit: f64,
        unit: &str,
        reached: Option<Spread>,
    ) {
        let met = reached.map(|spread| spread.median >= limit);
        let aim = format!("≥ {}{unit}", limit_text(limit));
        self.aims.push(Aim { what: what.into(), aim, reached, met });
    }

    /// Adds a value that nothing is aimed at.
    pub(crate) fn printed(&mut self, what: impl Into<String>, reached: Option<Spread>) {
        self.aims.push(Aim { what: what.into(), aim: "printed".to_owned(), reached, met: None });
    }
}

/// An aim as people write it: 1.5, 150, 500,000.
fn limit_text(limit: f64) -> String {
    if limit >= 1_000.0 { whole(limit as u64) } else { limit.to_string() }
}

impl Report {
    pub(crate) fn write_json(&self, file: &Path) -> Result<()> {
        Ok(std::fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }

    pub(crate) fn write_documents(&self, folder: &Path) -> Result<()> {
        document::write(self, folder)
    }
}
