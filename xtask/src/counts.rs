//! Instructions of the steps of a message's path, counted by callgrind and held against a kept table: a ratchet where times
//! cannot be trusted. The steps are `openmesh-bench step`'s.

mod callgrind;
mod counting;
mod table;

use crate::tally::NOT_RUN;
use crate::tools::valgrind::Valgrind;
use crate::workspace::{cargo, metadata, output, root};
use anyhow::{Context, Result, ensure};
use counting::{Counted, Counter};
use std::path::{Path, PathBuf};
use std::process::Command;
use table::{Finding, Table};

/// The kept table.
const TABLE: &str = "bench/counts.json";

/// Crates whose code is counted: they are built as a release is, and what they depend on as the tests have it.
const COUNTED_CRATES: [&str; 6] = [
    "openmesh-message",
    "openmesh-schema",
    "openmesh-policy",
    "openmesh-core",
    "openmesh-store",
    "openmesh-bench",
];
const AS_RELEASED: [&str; 4] =
    ["opt-level=3", "debug-assertions=false", "overflow-checks=false", "codegen-units=1"];

/// What to count.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Only steps whose names begin so; all when none is named.
    steps: Vec<String>,
    /// Write what was counted into the kept table.
    #[arg(long)]
    write: bool,
    /// Show the functions in which most instructions are, this many of each step.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    top: usize,
    /// Count the program as it is released, and compare with nothing.
    #[arg(long, conflicts_with = "write")]
    release: bool,
}

/// Counts, prints what there is beside what is kept, and tells whether nothing costs more.
///
/// # Errors
/// When the steps cannot be built or run, or the table cannot be read or written.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let root = root();
    let Some(valgrind) = Valgrind::find() else {
        println!("{NOT_RUN} counts (valgrind is not installed)");
        return Ok(true);
    };
    let program = build(&root, options.release)?;
    let counter = Counter::new(valgrind, program, metadata(&root)?.target_directory)?;
    let names = chosen(&counter, &options.steps)?;
    let counted = counter.count(&names, options.top)?;
    if options.release {
        print(&counted, None);
        return Ok(true);
    }
    let (file, machine) = (root.join(TABLE), machine(&root)?);
    let mut table = Table::read(&file)?;
    let comparable = table.machine == machine;
    print(&counted, comparable.then_some(&table));
    if options.write {
        let all = options.steps.is_empty();
        table.take(&counted, machine, all)?;
        table.write(&file)?;
        println!("{TABLE} is written");
        return Ok(true);
    }
    if !comparable {
        println!("{NOT_RUN} counts against {TABLE} (made with {}, here is {machine})", table.machine);
        return Ok(true);
    }
    Ok(judge(&table, &counted, options.steps.is_empty()))
}

fn judge(table: &Table, counted: &[Counted], all: bool) -> bool {
    let findings = table.compare(counted, all);
    for finding in &findings {
        println!("{finding}");
    }
    !findings.iter().any(Finding::fails)
}

fn chosen(counter: &Counter, asked: &[String]) -> Result<Vec<String>> {
    let mut names = counter.names()?;
    names.retain(|name| asked.is_empty() || asked.iter().any(|begin| name.starts_with(begin.as_str())));
    ensure!(!names.is_empty(), "no step begins with {}", asked.join(" or "));
    Ok(names)
}

/// Builds the steps beside what the tests were built from, which is used again.
fn build(root: &Path, release: bool) -> Result<PathBuf> {
    let mut arguments = vec!["build".to_owned(), "--quiet".to_owned(), "--package=openmesh-bench".to_owned()];
    if release {
        arguments.push("--release".to_owned());
    } else {
        let settings = COUNTED_CRATES.iter().flat_map(|name| {
            AS_RELEASED.iter().map(move |setting| format!("--config=profile.dev.package.{name}.{setting}"))
        });
        arguments.extend(settings);
    }
    let built =
        Command::new(cargo()).args(&arguments).env("CARGO_INCREMENTAL", "0").current_dir(root).status();
    ensure!(built.context("cannot start cargo")?.success(), "the steps cannot be built");
    let profile = if release { "release" } else { "debug" };
    Ok(metadata(root)?.target_directory.join(profile).join("openmesh-bench"))
}

/// What decides how many instructions the same source takes: the compiler, and what the processor has.
fn machine(root: &Path) -> Result<String> {
    let compiler = output(root, Path::new("rustc"), &["--version"])?;
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let vectors = if processor.contains(" avx2") { "avx2" } else { "no avx2" };
    Ok(format!("{}, {}, {vectors}", compiler.trim(), std::env::consts::ARCH))
}

fn print(counted: &[Counted], table: Option<&Table>) {
    println!(
        "instructions a message; SHA-256 apart, which callgrind runs without the processor's own instructions"
    );
    println!("{:<28}{:>12}{:>12}{:>9}{:>12}{:>12}{:>9}", "step", "now", "kept", "", "SHA-256", "kept", "");
    for Counted { name, count, top } in counted {
        let kept = table.and_then(|table| table.steps.get(name));
        let pair = |now: u64, kept: Option<u64>| {
            let kept_text = kept.map_or_else(|| "–".to_owned(), |kept| kept.to_string());
            let difference = kept.map_or_else(String::new, |kept| table::difference(now, kept));
            format!("{now:>12}{kept_text:>12}{difference:>9}")
        };
        let own = pair(count.instructions, kept.map(|kept| kept.instructions));
        let hashing = pair(count.sha256, kept.map(|kept| kept.sha256));
        println!("{name:<28}{own}{hashing}");
        for (function, instructions) in top {
            println!("    {instructions:>10}  {function}");
        }
    }
}
