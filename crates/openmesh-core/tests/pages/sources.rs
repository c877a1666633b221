//! The workspace's Rust sources, read as text.

use std::path::{Path, PathBuf};

/// The text of every Rust file below these folders of the repository.
pub(crate) fn below(folders: &[&str]) -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut texts = Vec::new();
    for folder in folders {
        read_folder(&root.join(folder), &mut texts);
    }
    assert!(!texts.is_empty(), "no sources in {folders:?}");
    texts
}

#[expect(clippy::disallowed_methods, reason = "the tests read sources, the crate itself reads nothing")]
fn read_folder(folder: &Path, texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_folder(&path, texts);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            texts.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}
