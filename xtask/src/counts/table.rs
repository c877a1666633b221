//! The kept table: what each step took when it was last written.

use super::counting::{Count, Counted};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// A step may take so much more than is kept, in percent: less than a slip costs, more than code that only moves.
const MORE_PERCENT_MAX: u64 = 5;

/// Counts by step.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Table {
    /// Compiler and processor that the counts belong to.
    pub(super) machine: String,
    pub(super) steps: BTreeMap<String, Count>,
}

/// What was found of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It takes more.
    More(String),
    /// It takes so much less that the table should say so.
    Less(String),
    /// It is not in the table.
    NotKept(String),
    /// It is in the table alone.
    Gone(String),
}

impl Table {
    /// The table of a file; an empty one where there is none.
    pub(super) fn read(file: &Path) -> Result<Self> {
        match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("{}", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{}", file.display())),
        }
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        Ok(std::fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// Takes over what was counted: of all steps, or of some of a table made alike.
    pub(super) fn take(&mut self, counted: &[Counted], machine: String, all: bool) -> Result<()> {
        ensure!(all || self.machine == machine, "the table was made with {}: write all of it", self.machine);
        if all {
            self.steps.clear();
        }
        self.machine = machine;
        self.steps.extend(counted.iter().map(|one| (one.name.clone(), one.count)));
        Ok(())
    }

    pub(super) fn compare(&self, counted: &[Counted], all: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        for Counted { name, count, .. } in counted {
            let Some(kept) = self.steps.get(name) else {
                findings.push(Finding::NotKept(name.clone()));
                continue;
            };
            for (what, now, kept) in [
                ("instructions", count.instructions, kept.instructions),
                ("instructions of SHA-256", count.sha256, kept.sha256),
            ] {
                let said = || format!("{name}: {now} {what}, kept {kept} ({})", difference(now, kept));
                if is_more(now, kept) {
                    findings.push(Finding::More(said()));
                } else if is_more(kept, now) {
                    findings.push(Finding::Less(said()));
                }
            }
        }
        let is_gone = |name: &&String| all && !counted.iter().any(|one| one.name == **name);
        findings.extend(self.steps.keys().filter(is_gone).cloned().map(Finding::Gone));
        findings
    }
}

/// Whether one count is beyond the other by more than may be.
const fn is_more(count: u64, than: u64) -> bool {
    count * 100 > than * (100 + MORE_PERCENT_MAX)
}

/// How far one count is from another: `+1.2 %`.
pub(super) fn difference(now: u64, kept: u64) -> String {
    match (now, kept) {
        (now, kept) if now == kept => "=".to_owned(),
        (_, 0) => "new".to_owned(),
        (now, kept) => format!("{:+.1} %", (now as f64 / kept as f64 - 1.0) * 100.0),
    }
}

impl Finding {
    pub(super) const fn fails(&self) -> bool {
        !matches!(self, Self::Less(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WRITE: &str = "cargo xtask counts --write";
        match self {
            Self::More(said) => {
                write!(f, "MORE {said}: make it less, or say why in the commit that does {WRITE}")
            }
            Self::Less(said) => write!(f, "less {said}: {WRITE} holds it there"),
            Self::NotKept(name) => write!(f, "NOT KEPT {name}: {WRITE}"),
            Self::Gone(name) => write!(f, "GONE {name}: no such step, {WRITE}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, Counted, Finding, Table, difference};
    use std::collections::BTreeMap;

    fn counted(name: &str, instructions: u64, sha256: u64) -> Counted {
        Counted { name: name.to_owned(), count: Count { instructions, sha256 }, top: Vec::new() }
    }

    fn table() -> Table {
        let kept = [("a", 1_000, 0), ("b", 1_000, 200)];
        let steps =
            kept.map(|(name, instructions, sha256)| (name.to_owned(), Count { instructions, sha256 }));
        Table { machine: "here".to_owned(), steps: BTreeMap::from(steps) }
    }

    #[test]
    fn a_step_fails_beyond_five_percent_and_only_there() {
        let found = |a, b, hashing| table().compare(&[counted("a", a, 0), counted("b", b, hashing)], true);
        assert_eq!(found(1_050, 960, 200), []);
        assert!(
            matches!(found(1_051, 1_000, 200).as_slice(), [Finding::More(said)] if said.starts_with("a: 1051 "))
        );
        assert!(
            matches!(found(1_000, 1_000, 211).as_slice(), [Finding::More(said)] if said.contains("SHA-256"))
        );
        let less = found(900, 1_000, 200);
        assert!(matches!(less.as_slice(), [Finding::Less(_)]) && !less[0].fails());
        assert!(matches!(table().compare(&[counted("a", 1_000, 1)], false).as_slice(), [Finding::More(_)]));
    }

    #[test]
    fn a_step_that_is_on_one_side_alone_fails() {
        let found = table().compare(&[counted("a", 1_000, 0), counted("c", 1, 0)], true);
        assert_eq!(found, [Finding::NotKept("c".to_owned()), Finding::Gone("b".to_owned())]);
        assert!(found.iter().all(Finding::fails));
        assert_eq!(table().compare(&[counted("a", 1_000, 0)], false), []);
    }

    #[test]
    fn a_table_takes_some_steps_only_of_the_same_machine() {
        let mut table = table();
        assert!(table.take(&[counted("a", 1, 1)], "there".to_owned(), false).is_err());
        table.take(&[counted("a", 1, 1)], "here".to_owned(), false).unwrap();
        assert_eq!((table.steps.len(), table.steps["a"].instructions), (2, 1));
        table.take(&[counted("c", 1, 1)], "there".to_owned(), true).unwrap();
        assert_eq!(table.steps.keys().collect::<Vec<_>>(), ["c"]);
        assert_eq!((difference(103, 100), difference(1, 1)), ("+3.0 %".into(), "=".into()));
    }
}
