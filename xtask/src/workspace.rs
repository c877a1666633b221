//! Where the workspace is, which files belong to it, and what cargo says of its packages.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `cargo metadata` says, as far as it is read here.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

/// One package of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<BuildTarget>,
}

/// One library, program or test of a package.
#[derive(Deserialize)]
pub(crate) struct BuildTarget {
    pub(crate) name: String,
    #[serde(default, rename = "required-features")]
    pub(crate) required_features: Vec<String>,
}

/// One dependency as its manifest declares it.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// None for a normal one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// The folder of the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    // The run-time value first: a target folder may be shared by several checkouts.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file())
        .map_or(manifest.clone(), Path::to_path_buf)
}

/// The cargo this program was started by.
pub(crate) fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// Every file that is tracked or could be, relative to the root, sorted.
pub(crate) fn files(root: &Path) -> Result<Vec<String>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let mut listed: Vec<String> = output(root, Path::new("git"), &list)?
        .split('\0')
        .filter(|path| !path.is_empty() && root.join(path).is_file())
        .map(str::to_owned)
        .collect();
    listed.sort();
    listed.dedup();
    Ok(listed)
}

/// Cargo's view of the workspace, without its dependencies.
pub(crate) fn metadata(root: &Path) -> Result<Metadata> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps"];
    let json = output(root, &cargo(), &arguments)?;
    serde_json::from_str(&json).context("cargo metadata printed something else than its format")
}

/// What a program prints when it ends well.
pub(crate) fn output(root: &Path, program: &Path, arguments: &[&str]) -> Result<String> {
    let shown = || format!("{} {}", program.display(), arguments.join(" "));
    let ended = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .output()
        .with_context(|| format!("cannot start {}", shown()))?;
    let complaint = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "{} failed: {complaint}", shown());
    String::from_utf8(ended.stdout).with_context(|| format!("{} printed no text", shown()))
}
