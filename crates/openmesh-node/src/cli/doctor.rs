//! `openmesh doctor`: looks for what is wrong, and says what to do about it.

mod checks;

use super::context::Context;
use super::exit_code::Exit;
use super::failure::Failure;
use super::output::{remark, say};
use anyhow::Result;
use serde_json::json;

/// Looks.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh doctor
  $ openmesh doctor -o json      exit code 1 if something is wrong")]
pub(crate) struct Args {
    /// Leave out checks that read the whole log.
    #[arg(long)]
    quick: bool,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One line of the doctor's report.
#[derive(Clone, Debug)]
struct Finding {
    verdict: Verdict,
    subject: &'static str,
    what: String,
    /// What to do; empty if nothing.
    next: String,
}

impl Finding {
    fn ok(subject: &'static str, what: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, subject, what: what.into(), next: String::new() }
    }

    fn warn(subject: &'static str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, subject, what: what.into(), next: next.into() }
    }

    fn fail(subject: &'static str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, subject, what: what.into(), next: next.into() }
    }
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

pub(crate) fn run(args: Args, context: &Context) -> Result<()> {
    let home = context.home()?;
    let mut findings = vec![checks::home(&home)];
    findings.extend(checks::keys(&home));
    findings.extend(checks::node_folder(&home));
    findings.push(checks::room(&home));
    findings.extend(checks::certificate(&home));
    findings.extend(checks::tls(&home));
    findings.extend(context.run(async { Ok(checks::connection(context).await) })?);
    if !args.quick {
        findings.extend(checks::log(&home));
    }
    report(&findings, context)
}

fn report(findings: &[Finding], context: &Context) -> Result<()> {
    if context.format().is_table() {
        for finding in findings {
            say(&format!("{:<5}{:<13}{}", finding.verdict.as_str(), finding.subject, finding.what))?;
            if !finding.next.is_empty() {
                say(&format!("{:18}next: {}", "", finding.next))?;
            }
        }
    } else {
        let rows: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({
                    "verdict": finding.verdict.as_str(), "subject": finding.subject, "what": finding.what,
                    "next": finding.next,
                })
            })
            .collect();
        context.format().listing(&[], &rows, |_| Vec::new())?;
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    match (count(Verdict::Fail), count(Verdict::Warn)) {
        (0, 0) => Ok(()),
        (0, warnings) => {
            remark(&format!("{warnings} to look at; nothing is broken"));
            Ok(())
        }
        (1, _) => Err(Failure::new(Exit::Failure, "one check failed").into()),
        (failures, _) => Err(Failure::new(Exit::Failure, format!("{failures} checks failed")).into()),
    }
}
