//! What is shown while the demo runs: a bar where somebody looks, plain lines otherwise; all on standard error.

use super::cue::News;
use crate::cli::colour::Colours;
use crate::cli::output::cut;
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

const REDRAW: Duration = Duration::from_millis(120);
const TITLE_CHARS: usize = 32;
const REASON_INDENT: usize = 11;

/// The running commentary.
pub(crate) struct Live {
    bar: Option<ProgressBar>,
    colours: Colours,
    columns: usize,
    /// Number and title by conversation.
    called: BTreeMap<String, (usize, String)>,
}

impl Live {
    /// A commentary on `total` negotiations.
    pub(crate) fn new(total: usize) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = is_terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {wide_bar} {pos}/{len} {msg}");
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.enable_steady_tick(REDRAW);
            bar
        });
        let columns = Term::stderr().size_checked().map_or(usize::MAX, |(_, columns)| columns.into());
        Self { bar, colours: Colours::of(is_terminal), columns, called: BTreeMap::new() }
    }

    /// What the run is doing.
    pub(crate) fn doing(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => self.line(what),
        }
    }

    /// A line that stays.
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }

    /// Shows what an agent said, if it is worth a line.
    pub(crate) fn show(&mut self, name: &str, news: &News) {
        let colours = self.colours;
        match news {
            News::Called { number, conversation, title, budget, currency } => {
                self.called.insert(conversation.clone(), (*number, title.clone()));
                let head = self.head(conversation);
                self.line(&format!("{head} {} up to {budget} {currency}", colours.dim("called   ")));
            }
            News::Awarded { conversation, seller, price, currency } => {
                let head = self.head(conversation);
                let seller = colours.bold(seller);
                self.line(&format!("{head} {} {seller} at {price} {currency}", colours.dim("awarded  ")));
            }
            News::Ended { conversation, outcome } => {
                let text = match outcome.as_str() {
                    "success" => colours.green("signed    by both"),
                    "timeout" => colours.yellow("expired   nobody offered"),
                    "cancelled" => colours.yellow("cancelled no offer within what can be spent"),
                    other => colours.red(other),
                };
                let head = self.head(conversation);
                self.line(&format!("{head} {text}"));
                if let Some(bar) = &self.bar {
                    bar.inc(1);
                }
            }
            News::Refused { deed, code, detail, allowed_next } => {
                let first = format!("{} {name} tried {deed}", colours.red(" ✗ refused"));
                self.line(&format!("{first}: {}", colours.bold(code)));
                let next = match allowed_next.join(", ") {
                    next if next.is_empty() => String::new(),
                    next => format!("; it may: {next}"),
                };
                let reason = cut(&format!("{detail}{next}"), self.columns.saturating_sub(REASON_INDENT));
                self.line(&format!("{:REASON_INDENT$}{}", "", colours.dim(&reason)));
            }
            News::Ready(_) | News::Done(_) => {}
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn head(&self, conversation: &str) -> String {
        match self.called.get(conversation) {
            Some((number, title)) => {
                let title: String = title.chars().take(TITLE_CHARS).collect();
                format!("{number:>3} {title:<TITLE_CHARS$}")
            }
            None => format!("  ? {conversation:<TITLE_CHARS$}"),
        }
    }
}
