//! Benchmarks: builds what is measured and the program that measures, installs peers, and runs it.

use crate::tools::{NATS_SERVER, ZENOH_PYTHON};
use crate::workspace::{cargo, metadata, output, root};
use anyhow::{Context, Result};
use std::process::Command;

/// Where the report goes that belongs to the documents.
const DOCUMENTS: &str = "docs";

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Options of `openmesh-bench run`, such as --quick, --row P2 or --help.
    #[arg(value_name = "OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Builds, installs and measures; false where the measuring itself failed, never for what it found.
///
/// # Errors
/// When something cannot be built or started.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let root = root();
    let build =
        ["build", "--quiet", "--release", "--package", "openmesh-node", "--package", "openmesh-bench"];
    output(&root, &cargo(), &build)?;
    let target = metadata(&root)?.target_directory;
    let programs = target.join("release");
    let mut command = Command::new(programs.join("openmesh-bench"));
    command.arg("run").args(&options.words);
    command.arg("--openmesh").arg(programs.join("openmesh")).arg("--scratch").arg(&target);
    command.arg("--documents").arg(root.join(DOCUMENTS));
    for (tool, option) in [(NATS_SERVER, "--nats-server"), (ZENOH_PYTHON, "--zenoh-python")] {
        match tool.find().map_or_else(|| tool.install(&root), Ok) {
            Ok(program) => drop(command.arg(option).arg(program)),
            Err(error) => println!("not run: {}: {error:#}", tool.name),
        }
    }
    command.args(["--command", &options.shown()]);
    let status = command.status().context("cannot start openmesh-bench")?;
    Ok(status.success())
}

impl Options {
    /// The command, as a reader may repeat it.
    fn shown(&self) -> String {
        let words = ["cargo", "xtask", "bench"].into_iter().chain(self.words.iter().map(String::as_str));
        words.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn every_word_is_passed_on_and_the_command_can_be_repeated() {
        let words = ["--quick", "--row", "P2", "--size=history=1000", "--write-docs", "--help"];
        let line = Line::parse_from(["bench"].into_iter().chain(words));
        assert_eq!(line.options.words, words);
        assert_eq!(
            line.options.shown(),
            "cargo xtask bench --quick --row P2 --size=history=1000 --write-docs --help"
        );
    }
}
