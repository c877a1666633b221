//! Why a policy file was refused, with the place and what to write there.

use crate::suggestion::nearest;
use crate::word::NotAWord;
use std::fmt;

/// A policy file that was refused; nothing of it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The line of the file, from 1.
    pub line: Option<usize>,
    /// The name of the rule, when the trouble is in one.
    pub rule: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What would be accepted.
    pub hint: Option<String>,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("policy")?;
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        if let Some(rule) = &self.rule {
            write!(f, ", rule `{rule}`")?;
        }
        write!(f, ": {}", self.problem)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PolicyError {}

/// A problem without its place.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    problem: String,
    hint: Option<String>,
}

impl Refused {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The words of another type's error.
    pub(crate) fn display(error: impl fmt::Display) -> Self {
        Self::new(error.to_string())
    }

    /// Names a further thing that would be accepted.
    pub(crate) fn or_hint(mut self, more: &str) -> Self {
        self.hint = Some(match self.hint {
            Some(hint) => format!("{hint} (or {more})"),
            None => more.to_owned(),
        });
        self
    }

    /// A word of `kind` that is none of `words`, with the nearest of them.
    pub(crate) fn unknown(kind: &str, text: &str, words: &[&str]) -> Self {
        let hint = match nearest(text, words) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", words.join(", ")),
        };
        Self::new(format!("unknown {kind} `{text}`")).hint(hint)
    }

    pub(crate) fn at(self, line: Option<usize>, rule: Option<&str>) -> PolicyError {
        PolicyError { line, rule: rule.map(str::to_owned), problem: self.problem, hint: self.hint }
    }
}

impl From<NotAWord> for Refused {
    fn from(refused: NotAWord) -> Self {
        Self::unknown("word", &refused.text, refused.words)
    }
}

impl From<Refused> for PolicyError {
    fn from(refused: Refused) -> Self {
        refused.at(None, None)
    }
}
