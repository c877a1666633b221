//! Benchmarks: builds what is measured and the program that measures, installs the peer, and runs it.

use crate::tools::NATS_SERVER;
use crate::workspace::{cargo, metadata, output, root};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the report goes that belongs to the documents.
const DOCUMENTS: &str = "docs";

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Small sizes: over in a minute, once everything is built.
    #[arg(long)]
    quick: bool,
    /// Only these rows, such as P2; all when none is named.
    #[arg(long = "row", value_name = "ROW")]
    rows: Vec<String>,
    /// How often each system has its turn.
    #[arg(long)]
    rounds: Option<usize>,
    /// Another size of something, as the report's JSON names it: `history=1000000`.
    #[arg(long = "size", value_name = "NAME=VALUE")]
    sizes: Vec<String>,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as a page with its chart into this folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Write the page into the documents: docs/benchmarks.md.
    #[arg(long, conflicts_with = "out")]
    write_docs: bool,
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
    command.arg("run").arg("--openmesh").arg(programs.join("openmesh")).arg("--scratch").arg(&target);
    match NATS_SERVER.find().map_or_else(|| NATS_SERVER.install(&root), Ok) {
        Ok(program) => drop(command.arg("--nats-server").arg(program)),
        Err(error) => println!("not run: nats-server: {error:#}"),
    }
    command.args(options.passed_on(&root));
    command.args(["--command", &options.shown()]);
    let status = command.status().context("cannot start openmesh-bench")?;
    Ok(status.success())
}

impl Options {
    fn passed_on(&self, root: &Path) -> Vec<String> {
        let mut words = self.words();
        let out = if self.write_docs { Some(root.join(DOCUMENTS)) } else { self.out.clone() };
        words.extend(out.map(|folder| format!("--out={}", folder.display())));
        words.extend(self.json.iter().map(|file| format!("--json={}", file.display())));
        words
    }

    /// The command, as a reader may repeat it.
    fn shown(&self) -> String {
        let mut words = vec!["cargo xtask bench".to_owned()];
        words.extend(self.words());
        words.extend(self.write_docs.then(|| "--write-docs".to_owned()));
        words.join(" ")
    }

    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(self.quick.then(|| "--quick".to_owned()));
        words.extend(self.rows.iter().map(|row| format!("--row={row}")));
        words.extend(self.rounds.map(|rounds| format!("--rounds={rounds}")));
        words.extend(self.sizes.iter().map(|size| format!("--size={size}")));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn the_command_that_is_named_can_be_repeated() {
        let options = Options {
            quick: true,
            rows: vec!["P2".to_owned(), "P5".to_owned()],
            rounds: Some(2),
            sizes: vec!["history=1000".to_owned()],
            json: None,
            out: None,
            write_docs: true,
        };
        assert_eq!(
            options.shown(),
            "cargo xtask bench --quick --row=P2 --row=P5 --rounds=2 --size=history=1000 --write-docs"
        );
    }
}
