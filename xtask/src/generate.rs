//! Files derived from others: written by `cargo xtask generate`, and found stale by tidy.

use crate::workspace::root;
use anyhow::{Context, Result};
use std::path::Path;

/// The crates that must not reach the world; each gets a `clippy.toml`, which replaces the root's.
pub(crate) const PURE_CRATES: &[&str] =
    &["openmesh-message", "openmesh-schema", "openmesh-policy", "openmesh-core", "openmesh-simulator"];

/// What a pure crate must not reach, continuing the root's list of disallowed methods.
const PURITY: &str = include_str!("generate/purity.toml.part");

/// A file as it should be.
struct Derived {
    path: String,
    text: String,
}

/// Writes every derived file, or with `check` only names the stale ones; tells whether all is well.
///
/// # Errors
/// When a source is missing or a file cannot be written.
pub(crate) fn run(check: bool) -> Result<bool> {
    let root = root();
    let mut fresh = true;
    for file in derive(&root)? {
        if file.is_fresh(&root) {
            continue;
        }
        if check {
            println!("{} is stale: run cargo xtask generate", file.path);
            fresh = false;
        } else {
            std::fs::write(root.join(&file.path), &file.text)?;
            println!("wrote {}", file.path);
        }
    }
    Ok(fresh)
}

/// The derived files that do not say what they should.
///
/// # Errors
/// When a source is missing.
pub(crate) fn stale(root: &Path) -> Result<Vec<String>> {
    let stale = derive(root)?.into_iter().filter(|file| !file.is_fresh(root));
    Ok(stale.map(|file| file.path).collect())
}

fn derive(root: &Path) -> Result<Vec<Derived>> {
    let text = pure_clippy(root)?;
    let of_crate = |name: &&str| Derived { path: format!("crates/{name}/clippy.toml"), text: text.clone() };
    Ok(PURE_CRATES.iter().map(of_crate).collect())
}

fn pure_clippy(root: &Path) -> Result<String> {
    let shared = std::fs::read_to_string(root.join("clippy.toml")).context("clippy.toml")?;
    let (_, shared) = shared.split_once('\n').context("clippy.toml has one line only")?;
    let open_list =
        shared.strip_suffix("]\n").context("clippy.toml does not end with its list of disallowed methods")?;
    Ok(format!(
        "# A pure crate: the root's limits repeated, then what a pure crate must not reach.\n{open_list}{PURITY}"
    ))
}

impl Derived {
    fn is_fresh(&self, root: &Path) -> bool {
        std::fs::read_to_string(root.join(&self.path)).is_ok_and(|have| have == self.text)
    }
}
