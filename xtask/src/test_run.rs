//! The one test command: prints a plan, runs the suites of `suites.rs`, and counts.

use crate::command::Step;
use crate::suites::{SUITES, Suite, Work};
use crate::tally::{Counting, NOT_RUN, Tally};
use crate::tools::valgrind::Valgrind;
use crate::tools::{DENY, HTTP_PYTHON, SDK_PYTHON, Tool, WIRE_PYTHON, on_path};
use crate::workspace::{cargo, metadata, output, root};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The program that the tests of other languages start.
const PROGRAM: &str = "openmesh";
/// A suite that takes this many times its budget fails.
const BUDGETS_MAX: u32 = 2;

/// Runs the named suites, or all, and tells whether everything passed.
///
/// The last line printed is `N passed, N failed, N skipped`.
pub(crate) fn run(names: &[String], install: bool, test_data: Option<PathBuf>) -> Result<bool> {
    let run = Run { root: root(), install, test_data };
    let suites = chosen(names)?;
    run.print_plan(&suites);
    let begun = Instant::now();
    let mut total = Tally::default();
    for suite in suites {
        total.add(run.run_suite(suite));
    }
    println!("\ntook {} in all", clock(begun.elapsed()));
    if !total.not_run.is_empty() {
        println!("{} did not run:", total.not_run.len());
        for line in &total.not_run {
            println!("  {line}");
        }
    }
    println!("{}", total.closing_line());
    Ok(total.failed == 0)
}

fn chosen(names: &[String]) -> Result<Vec<&'static Suite>> {
    let known = || SUITES.iter().map(|suite| suite.name).collect::<Vec<_>>();
    if let Some(unknown) = names.iter().find(|name| !known().contains(&name.as_str())) {
        bail!("no suite `{unknown}`; there are {}", known().join(", "));
    }
    let is_chosen = |suite: &&Suite| names.is_empty() || names.iter().any(|name| name == suite.name);
    Ok(SUITES.iter().filter(is_chosen).collect())
}

/// What is the same for every suite of one run.
struct Run {
    root: PathBuf,
    install: bool,
    test_data: Option<PathBuf>,
}

/// A suite made ready, or the reason it cannot be.
enum Ready {
    Run(Step),
    NotRun(String),
}

impl Run {
    fn print_plan(&self, suites: &[&Suite]) {
        println!("plan (budgets are for a cold build on two cores; twice a budget fails)");
        for suite in suites {
            println!("  {:<14}{:>6}  {}", suite.name, clock(suite.budget), describe(suite.work));
        }
        let total = suites.iter().map(|suite| suite.budget).sum();
        println!("  {:<14}{:>6}", "in all", clock(total));
        let tools = suites.iter().filter_map(|suite| tool_of(suite.work));
        for tool in tools.filter(|tool| self.install && tool.find().is_none()) {
            println!("  {}; --no-install leaves the machine alone", tool.describe_install());
        }
        match &self.test_data {
            Some(folder) => println!("  foreign test data: {}", folder.display()),
            None => println!("  foreign test data: none (OPENMESH_TEST_DATA is not set)"),
        }
    }

    fn run_suite(&self, suite: &Suite) -> Tally {
        let begun = Instant::now();
        println!("\n== {}", suite.name);
        let mut tally = Tally::default();
        let outcome = match self.try_suite(suite, &mut tally) {
            Ok(outcome) => outcome,
            Err(error) => {
                println!("{error:#}");
                Outcome::Failed
            }
        };
        let late = begun.elapsed() > suite.budget * BUDGETS_MAX;
        settle(&mut tally, counting_of(suite.work), outcome, late);
        println!(
            "== {}: {} in {} of {}{}",
            suite.name,
            if tally.failed == 0 {
                tally.closing_line()
            } else {
                format!("FAILED, {}", tally.closing_line())
            },
            clock(begun.elapsed()),
            clock(suite.budget),
            if late { ", over twice its budget" } else { "" },
        );
        tally
    }

    fn try_suite(&self, suite: &Suite, tally: &mut Tally) -> Result<Outcome> {
        let mut step = match self.ready(suite.work)? {
            Ready::Run(step) => step,
            Ready::NotRun(reason) => {
                let line = format!("{NOT_RUN} {} ({reason})", suite.name);
                println!("{line}");
                tally.read(&line, Counting::Whole);
                return Ok(Outcome::NotRun);
            }
        };
        if let Some(folder) = &self.test_data {
            let folder = std::path::absolute(folder)?;
            step.environment.push(("OPENMESH_TEST_DATA".into(), folder.display().to_string()));
        }
        println!("   {}", step.shown());
        let kept = self.kept_output()?;
        if kept.exists() {
            std::fs::remove_file(&kept)?;
        }
        let (limit, counting) = (suite.budget * BUDGETS_MAX, counting_of(suite.work));
        let ended = step.stream(&self.root, limit, |line| tally.read(line, counting))?;
        if kept.exists() {
            tally.read_kept(&std::fs::read_to_string(&kept)?);
        }
        if ended.timed_out {
            println!("ended after {}", clock(ended.took));
        }
        Ok(if ended.success { Outcome::Passed } else { Outcome::Failed })
    }

    fn ready(&self, work: Work) -> Result<Ready> {
        Ok(match work {
            Work::Cargo(arguments) | Work::Libtest(arguments) => Ready::Run(Step::new(cargo(), arguments)),
            Work::Xtask(arguments) => Ready::Run(Step::new(std::env::current_exe()?, arguments)),
            Work::Valgrind(arguments) => self.with_valgrind(arguments)?,
            Work::Tests => Ready::Run(Step::new(cargo(), test_arguments())),
            Work::Deny(arguments) => self.with_tool(&DENY, arguments)?,
            Work::WirePython(arguments) => self.with_tool(&WIRE_PYTHON, arguments)?,
            Work::SdkPython(arguments) => self.with_tool(&SDK_PYTHON, arguments)?,
            Work::SdkPytest(arguments) => self.with_program(self.with_tool(&SDK_PYTHON, arguments)?)?,
            Work::HttpPython(arguments) | Work::HttpPytest(arguments) => {
                self.with_program(self.with_tool(&HTTP_PYTHON, arguments)?)?
            }
        })
    }

    fn with_tool(&self, tool: &Tool, arguments: &[&str]) -> Result<Ready> {
        Ok(match self.program_of(tool)? {
            Ok(program) => Ready::Run(Step::new(program, arguments)),
            Err(reason) => Ready::NotRun(reason),
        })
    }

    /// Valgrind is a package of the system, so its absence never fails a run.
    fn with_valgrind(&self, arguments: &[&str]) -> Result<Ready> {
        if Valgrind::find().is_none() {
            if !self.install {
                return Ok(Ready::NotRun("valgrind is not installed".to_owned()));
            }
            if let Err(error) = Valgrind::install() {
                return Ok(Ready::NotRun(format!("valgrind cannot be installed: {error:#}")));
            }
        }
        Ok(Ready::Run(Step::new(std::env::current_exe()?, arguments)))
    }

    /// Names the program that its tests start, built here if no suite has.
    fn with_program(&self, ready: Ready) -> Result<Ready> {
        let Ready::Run(mut step) = ready else { return Ok(ready) };
        let program = metadata(&self.root)?.target_directory.join("debug").join(PROGRAM);
        if !program.exists() {
            println!("   cargo build -p openmesh-node");
            output(&self.root, &cargo(), &["build", "--quiet", "-p", "openmesh-node"])?;
        }
        step.environment.push(("OPENMESH_BINARY".into(), program.display().to_string()));
        Ok(Ready::Run(step))
    }

    /// On a machine of CI a tool that cannot be installed is a failure, elsewhere it is told and counted.
    fn program_of(&self, tool: &Tool) -> Result<Result<PathBuf, String>> {
        if let Some(program) = tool.find() {
            return Ok(Ok(program));
        }
        if !self.install {
            return Ok(Err(format!("{} is not installed", tool.name)));
        }
        println!("   {}", tool.describe_install());
        match tool.install(&self.root) {
            Err(error) if std::env::var_os("CI").is_none() => Ok(Err(format!("{error:#}"))),
            installed => installed.map(Ok),
        }
    }

    /// Where nextest keeps what tests printed (`.config/nextest.toml`).
    fn kept_output(&self) -> Result<PathBuf> {
        let target = metadata(&self.root)?.target_directory;
        Ok(target.join(Path::new("nextest/default/junit.xml")))
    }
}

/// What a suite needs beside cargo.
fn tool_of(work: Work) -> Option<Tool> {
    match work {
        Work::Deny(_) => Some(DENY),
        Work::WirePython(_) => Some(WIRE_PYTHON),
        Work::SdkPython(_) | Work::SdkPytest(_) => Some(SDK_PYTHON),
        Work::HttpPython(_) | Work::HttpPytest(_) => Some(HTTP_PYTHON),
        Work::Cargo(_) | Work::Xtask(_) | Work::Valgrind(_) | Work::Libtest(_) | Work::Tests => None,
    }
}

/// How the program of a suite ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    NotRun,
}

/// Makes the counts agree with the outcome: no failure goes without a number.
fn settle(tally: &mut Tally, counting: Counting, outcome: Outcome, late: bool) {
    if outcome == Outcome::Passed && counting == Counting::Whole {
        tally.passed += 1;
    }
    if (outcome == Outcome::Failed || late) && tally.failed == 0 {
        tally.failed = 1;
    }
}

fn describe(work: Work) -> String {
    match work {
        Work::Cargo(arguments) | Work::Libtest(arguments) => format!("cargo {}", arguments.join(" ")),
        Work::Xtask(arguments) | Work::Valgrind(arguments) => format!("cargo xtask {}", arguments.join(" ")),
        Work::Deny(arguments) => format!("cargo deny {}", arguments.join(" ")),
        Work::WirePython(arguments)
        | Work::SdkPython(arguments)
        | Work::SdkPytest(arguments)
        | Work::HttpPython(arguments)
        | Work::HttpPytest(arguments) => {
            format!("python {}", arguments.join(" "))
        }
        Work::Tests => format!("cargo {}", test_arguments().join(" ")),
    }
}

fn counting_of(work: Work) -> Counting {
    match work {
        Work::Tests if has_nextest() => Counting::Nextest,
        Work::Tests | Work::Libtest(_) => Counting::Libtest,
        Work::SdkPytest(_) | Work::HttpPytest(_) => Counting::Pytest,
        Work::Cargo(_)
        | Work::Xtask(_)
        | Work::Valgrind(_)
        | Work::Deny(_)
        | Work::WirePython(_)
        | Work::SdkPython(_)
        | Work::HttpPython(_) => Counting::Whole,
    }
}

/// Without nextest the tests' own output is shown, since nothing else keeps their `not run:` lines.
fn test_arguments() -> &'static [&'static str] {
    if has_nextest() {
        &["nextest", "run", "--workspace"]
    } else {
        &["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast", "--", "--show-output"]
    }
}

fn has_nextest() -> bool {
    on_path("cargo-nextest").is_some()
}

/// Minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::{Outcome, settle};
    use crate::tally::{Counting, Tally};

    #[test]
    fn a_failure_always_has_a_number() {
        let counted = |outcome, late, counting| {
            let mut tally = Tally::default();
            settle(&mut tally, counting, outcome, late);
            (tally.passed, tally.failed)
        };
        assert_eq!(counted(Outcome::Failed, false, Counting::Nextest), (0, 1));
        assert_eq!(counted(Outcome::Failed, false, Counting::Whole), (0, 1));
        assert_eq!(counted(Outcome::Passed, true, Counting::Nextest), (0, 1));
        assert_eq!(counted(Outcome::Passed, false, Counting::Whole), (1, 0));
        assert_eq!(counted(Outcome::NotRun, false, Counting::Whole), (0, 0));
    }
}
