//! House rules that no compiler checks (STYLE.md). Each file in `tidy/` holds the rules of one kind.

mod budgets;
mod decisions;
mod edges;
mod links;
mod manifests;
mod names;
mod packages;
mod places;
mod source;

use crate::generate::stale;
use crate::workspace::{files, root};
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files under the rules, and what was found.
pub(crate) struct Tidy {
    root: PathBuf,
    /// Text files by path; what is not UTF-8 is left out.
    texts: BTreeMap<String, String>,
    findings: Vec<String>,
    warnings: Vec<String>,
}

/// Prints every finding; tells whether there was none.
///
/// # Errors
/// When git or cargo cannot be asked.
pub(crate) fn run() -> Result<bool> {
    let tidy = check(&root())?;
    for warning in &tidy.warnings {
        println!("warning: {warning}");
    }
    for finding in &tidy.findings {
        println!("tidy: {finding}");
    }
    println!("{} files, {} findings", tidy.texts.len(), tidy.findings.len());
    Ok(tidy.findings.is_empty())
}

/// Applies every rule to the workspace at `root`.
fn check(root: &Path) -> Result<Tidy> {
    let mut tidy = Tidy::new(root, files(root)?);
    tidy.check_texts();
    tidy.check_workspace()?;
    for path in stale(root)? {
        tidy.find(&path, "is stale: run cargo xtask generate");
    }
    Ok(tidy)
}

impl Tidy {
    fn new(root: &Path, paths: Vec<String>) -> Self {
        let text_of = |path: String| {
            let text = std::fs::read_to_string(root.join(&path)).ok()?;
            Some((path, text))
        };
        Self {
            root: root.to_path_buf(),
            texts: paths.into_iter().filter_map(text_of).collect(),
            findings: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The rules that need nothing but the files.
    fn check_texts(&mut self) {
        source::check(self);
        budgets::check(self);
        names::check(self);
        links::check(self);
        manifests::check(self);
        decisions::check(self);
        places::check(self);
    }

    /// The rules that ask cargo.
    fn check_workspace(&mut self) -> Result<()> {
        edges::check(self)?;
        packages::check(self)
    }

    fn find(&mut self, place: &str, what: impl std::fmt::Display) {
        self.findings.push(format!("{place}: {what}"));
    }

    fn warn(&mut self, place: &str, what: impl std::fmt::Display) {
        self.warnings.push(format!("{place}: {what}"));
    }

    /// The files with this ending, copied so that findings can be noted while reading them.
    fn with_ending(&self, ending: &str) -> Vec<(String, String)> {
        let fits = |(path, _): &(&String, &String)| path.ends_with(ending);
        let copied = |(path, text): (&String, &String)| (path.clone(), text.clone());
        self.texts.iter().filter(fits).map(copied).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Tidy, check};
    use crate::workspace::root;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    #[test]
    fn the_workspace_is_tidy() {
        let tidy = check(&root()).unwrap();
        assert!(tidy.findings.is_empty(), "{}", tidy.findings.join("\n"));
    }

    /// What the rules on texts say about one file in an empty workspace.
    fn said(path: &str, text: &str) -> String {
        let mut tidy = Tidy {
            root: PathBuf::from("/nowhere"),
            texts: BTreeMap::from([(path.to_owned(), text.to_owned())]),
            findings: Vec::new(),
            warnings: Vec::new(),
        };
        tidy.check_texts();
        tidy.findings.join("\n")
    }

    #[test]
    fn every_rule_on_texts_finds_its_breach() {
        let long = format!("//! Long.\n{}", "const A: u8 = 1;\n".repeat(801));
        let logic = format!("//! Crate.\n{}", "mod a;\n".repeat(121));
        let allow = format!("//! Opens.\n{}allow(dead_code)]\n", "#[");
        let place = format!("see {}/main\n", ["", "work"].join("/"));
        let cases = [
            ("crates/x/src/a.rs", "fn a() {}\n", "opens with `//!`"),
            ("crates/x/src/a.rs", allow.as_str(), "expect(reason"),
            ("crates/x/src/a/mod.rs", "//! A.\n", "mod.rs"),
            ("crates/x/src/util.rs", "//! A.\n", "`util`"),
            ("crates/x/src/a/helpers/b.rs", "//! A.\n", "`helpers`"),
            ("crates/x/src/a.rs", "//! A.\npub struct LogManager;\n", "`LogManager`"),
            ("crates/x/src/a.rs", "//! A.\nuse a::prelude::*;\n", "glob import"),
            ("crates/x/src/a.rs", long.as_str(), "802 lines"),
            ("crates/x/src/lib.rs", logic.as_str(), "122 lines"),
            ("docs/a.md", "[b](b.md)\n", "`b.md`"),
            ("docs/decisions/1-a.md", "# A\n", "NNNN-title.md"),
            ("docs/decisions/0002-a.md", "# A\n", "0001"),
            ("docs/a.md", place.as_str(), "path of one machine"),
            ("crates/x/Cargo.toml", "[dependencies]\nserde = \"1\"\n", "lacks `[lints]`"),
            ("crates/x/Cargo.toml", "[dependencies]\nserde = \"1\"\n", "[workspace.dependencies]"),
            ("Cargo.lock", "source = \"registry+https://mirror.invalid/index\"\n", "registry"),
            ("x/package-lock.json", "\"resolved\": \"https://mirror.invalid/a.tgz\"\n", "registry"),
        ];
        for (path, text, expected) in cases {
            let said = said(path, text);
            assert!(said.contains(expected), "{path} should give {expected}, gave: {said}");
        }
    }

    #[test]
    fn what_keeps_to_the_rules_gives_no_finding() {
        let inline_tests = format!(
            "//! A.\nfn a() {{}}\n\n#[cfg(test)]\nmod tests {{\n{}}}\n",
            "    // a line\n".repeat(900)
        );
        let cases = [
            ("crates/x/src/a.rs", inline_tests.as_str()),
            ("crates/x/src/database.rs", "//! A.\npub struct Database;\n"),
            ("docs/a.md", "[here](#top) [there](https://example.org) `[b](b.md)`\n```\n[c](c.md)\n```\n"),
            ("docs/decisions/0001-a-choice.md", "# A\n"),
            ("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n"),
        ];
        for (path, text) in cases {
            assert_eq!(said(path, text), "", "{path}");
        }
    }
}
