//! Fuzzing: builds the programs in `fuzz/fuzz_targets` with cargo-fuzz and runs each for a while, under libFuzzer.

mod figures;
mod running;

use crate::command::Step;
use crate::tools::{CARGO_FUZZ, Tool, cache_folder};
use crate::workspace::{metadata, root};
use anyhow::{Result, bail, ensure};
use figures::Figures;
use running::{Programs, Times};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The package of the targets, and its folder.
const PACKAGE: &str = "openmesh-fuzz";
const FOLDER: &str = "fuzz";
/// What the programs of targets need, and others do not.
const FEATURE: &str = "libfuzzer";
/// Longest a build may take.
const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);

/// What is to be run, and for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these targets; all when none is named.
    targets: Vec<String>,
    /// Longest time for each target.
    #[arg(long, default_value_t = 180, value_name = "N")]
    seconds: u64,
    /// Most executions of each target.
    #[arg(long, default_value_t = 2_000_000, value_name = "N")]
    executions: u64,
    /// Targets run at the same time.
    #[arg(long, default_value_t = 1, value_name = "N")]
    jobs: usize,
    /// Print the names of the targets and end.
    #[arg(long)]
    list: bool,
}

/// Runs the targets; tells whether none broke.
///
/// # Errors
/// When a target is unknown, or cargo-fuzz or a program cannot be had.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let root = root();
    let names = chosen(&root, &options.targets)?;
    if options.list {
        names.iter().for_each(|name| println!("{name}"));
        return Ok(true);
    }
    let programs = Programs {
        folder: build(&root, &names)?,
        committed: root.join(FOLDER),
        corpora: cache_folder()?.join("fuzz"),
    };
    let times = Times { seconds: options.seconds, executions: options.executions };
    let all = running::run_all(&programs, &names, times, options.jobs)?;
    println!("\n{}", Figures::HEADING);
    for figures in &all {
        println!("{}", figures.row());
    }
    let broken = all.iter().filter(|figures| figures.broken.is_some()).count();
    let executions: u64 = all.iter().map(|figures| figures.executions).sum();
    println!("{} targets, {executions} executions, {broken} broken", all.len());
    Ok(broken == 0)
}

/// The named targets, or all, in the order of `fuzz/Cargo.toml`.
fn chosen(root: &Path, wanted: &[String]) -> Result<Vec<String>> {
    let known: Vec<String> = metadata(root)?
        .packages
        .into_iter()
        .filter(|package| package.name == PACKAGE)
        .flat_map(|package| package.targets)
        .filter(|target| target.required_features.iter().any(|feature| feature == FEATURE))
        .map(|target| target.name)
        .collect();
    ensure!(!known.is_empty(), "{PACKAGE} has no programs that need the feature {FEATURE}");
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        bail!("no target `{unknown}`; there are {}", known.join(", "));
    }
    Ok(known.into_iter().filter(|name| wanted.is_empty() || wanted.contains(name)).collect())
}

/// Builds one target or all, and tells the folder of the programs.
fn build(root: &Path, names: &[String]) -> Result<PathBuf> {
    let cargo_fuzz = installed(root, &CARGO_FUZZ)?;
    let target = metadata(root)?.target_directory.join(FOLDER);
    let target_text = target.to_string_lossy();
    // No sanitizer: there is no unsafe code of ours for it to watch, and stable Rust does.
    let mut arguments = vec!["build", "--fuzz-dir", FOLDER, "--sanitizer", "none", "--no-cfg-fuzzing"];
    arguments.extend(["--features", FEATURE, "--target-dir", &target_text]);
    if let [only] = names {
        arguments.push(only);
    }
    let step = Step::new(cargo_fuzz, &arguments);
    println!("   {}", step.shown());
    let ended = step.stream(root, BUILD_LIMIT, |_| {})?;
    ensure!(ended.success, "the targets do not build (they need a C++ compiler beside Rust)");
    running::programs_below(&target)
}

fn installed(root: &Path, tool: &Tool) -> Result<PathBuf> {
    match tool.find() {
        Some(program) => Ok(program),
        None => {
            println!("   {}", tool.describe_install());
            tool.install(root)
        }
    }
}
