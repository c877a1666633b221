//! The long run of schemathesis against the HTTP API of a real node.

use crate::command::Step;
use crate::tools::HTTP_PYTHON;
use crate::workspace::{cargo, metadata, output, root};
use anyhow::Result;
use std::time::Duration;

/// What runs it, for so many seconds.
pub(crate) const SCRIPT: &str = "crates/openmesh-node/tests/http/api.py";
/// What starting, and the last of its runs, may take beyond that.
const MARGIN: Duration = Duration::from_secs(300);

/// Runs it for so long; tells whether nothing was found.
///
/// # Errors
/// When the program cannot be built, or Python cannot be installed or started.
pub(crate) fn run(seconds: u64) -> Result<bool> {
    let root = root();
    output(&root, &cargo(), &["build", "--quiet", "-p", "openmesh-node"])?;
    let program = metadata(&root)?.target_directory.join("debug").join("openmesh");
    let python = HTTP_PYTHON.find().map_or_else(|| HTTP_PYTHON.install(&root), Ok)?;
    let mut step = Step::new(python, &["-B", SCRIPT, &seconds.to_string()]);
    step.environment.push(("OPENMESH_BINARY".into(), program.display().to_string()));
    println!("   {}", step.shown());
    let ended = step.stream(&root, Duration::from_secs(seconds) + MARGIN, |_| {})?;
    Ok(ended.success)
}
