//! The table of suites that `cargo xtask test` runs, one row each. A further suite is a further row.

use std::time::Duration;

/// One row.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    /// Cold, on two cores; twice as long is a failure.
    pub(crate) budget: Duration,
    pub(crate) work: Work,
    /// Whether `cargo xtask check` runs it.
    pub(crate) quick: bool,
}

/// What a suite runs.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// Cargo with these arguments.
    Cargo(&'static [&'static str]),
    /// This program with these arguments.
    Xtask(&'static [&'static str]),
    /// cargo-deny with these arguments, installed when it is not there.
    Deny(&'static [&'static str]),
    /// Python with these arguments and the packages of the vectors' check, installed when they are not there.
    WirePython(&'static [&'static str]),
    /// Python with these arguments and what the Python SDK's checks import, installed when it is not there.
    SdkPython(&'static [&'static str]),
    /// pytest over the Python SDK, against the program that cargo built.
    SdkPytest(&'static [&'static str]),
    /// Python with these arguments and what the tests of HTTP import, against the program that cargo built.
    HttpPython(&'static [&'static str]),
    /// pytest over the tests of HTTP that are Python's, against the program that cargo built.
    HttpPytest(&'static [&'static str]),
    /// This program with these arguments, where valgrind is there or can be had.
    Valgrind(&'static [&'static str]),
    /// Cargo with these arguments, its tests counted by libtest's lines.
    Libtest(&'static [&'static str]),
    /// Every test of the workspace: by nextest where it is installed.
    Tests,
}

/// Longest a cold run of everything may take.
#[cfg(test)]
const TOTAL_BUDGET: Duration = Duration::from_secs(45 * 60);

/// The tests of HTTP that are Python's.
const HTTP_TESTS: &str = "crates/openmesh-node/tests/http";

/// Optional features are compiled here, where they cost least; the tests are built without.
const LINTS: &[&str] =
    &["clippy", "--workspace", "--all-targets", "--features", "openmesh-node/otlp", "--", "-D", "warnings"];

/// Every suite, in the order they run: what fails fast comes first.
pub(crate) const SUITES: &[Suite] = &[
    quick("format", 30, Work::Cargo(&["fmt", "--all", "--check"])),
    quick("tidy", 30, Work::Xtask(&["tidy"])),
    slow("dependencies", 90, Work::Deny(&["check", "--hide-inclusion-graph", "bans", "licenses", "sources"])),
    slow("wire", 30, Work::WirePython(&["-B", "spec/vectors/check.py"])),
    quick("lints", 300, Work::Cargo(LINTS)),
    slow("tests", 1_350, Work::Tests),
    slow("counts", 180, Work::Valgrind(&["counts"])),
    slow("python-lints", 90, Work::SdkPython(&["-B", "sdk/python/check.py"])),
    slow(
        "python",
        180,
        Work::SdkPytest(&["-B", "-m", "pytest", "-q", "-c", "sdk/python/pyproject.toml", "sdk/python/tests"]),
    ),
    slow("http", 60, Work::HttpPytest(&["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", HTTP_TESTS])),
    slow("http-api", 120, Work::HttpPython(&["-B", "crates/openmesh-node/tests/http/api.py", "45"])),
    slow("doc-tests", 240, Work::Libtest(&["test", "--workspace", "--doc"])),
];

const fn quick(name: &'static str, budget_s: u64, work: Work) -> Suite {
    Suite { name, budget: Duration::from_secs(budget_s), work, quick: true }
}

const fn slow(name: &'static str, budget_s: u64, work: Work) -> Suite {
    Suite { name, budget: Duration::from_secs(budget_s), work, quick: false }
}

/// The names of the suites of `cargo xtask check`.
pub(crate) fn quick_names() -> Vec<String> {
    let quick = SUITES.iter().filter(|suite| suite.quick);
    quick.map(|suite| suite.name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::{SUITES, TOTAL_BUDGET};
    use crate::workspace::root;

    #[test]
    fn the_docs_name_every_suite() {
        let page = std::fs::read_to_string(root().join("docs/contributing/testing.md")).unwrap();
        for suite in SUITES {
            assert!(page.contains(&format!("| `{}` |", suite.name)), "{}", suite.name);
        }
    }

    #[test]
    fn the_budgets_add_up_to_no_more_than_allowed() {
        let total = SUITES.iter().map(|suite| suite.budget).sum();
        assert!(TOTAL_BUDGET >= total, "{total:?}");
    }
}
