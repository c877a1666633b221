//! How a Rust file is written: its opening, no `mod.rs`, no blanket permissions, no glob imports.

use super::Tidy;

/// Written in two parts, so that this file does not hold what it looks for.
const PERMISSIONS: [&str; 2] = [concat!("#[", "allow("), concat!("#![", "allow(")];

pub(super) fn check(tidy: &mut Tidy) {
    for (path, text) in tidy.with_ending(".rs") {
        if !text.starts_with("//!") {
            tidy.find(&path, "opens with `//!`: one to five lines on what lives here");
        }
        if path.ends_with("/mod.rs") {
            tidy.find(&path, "no mod.rs: write foo.rs beside foo/");
        }
        for (index, line) in text.lines().enumerate() {
            check_line(tidy, &format!("{path}:{}", index + 1), line.trim());
        }
    }
}

fn check_line(tidy: &mut Tidy, place: &str, line: &str) {
    if PERMISSIONS.iter().any(|permission| line.starts_with(permission)) {
        tidy.find(place, "write #[expect(reason = …)], which ends when its cause does");
    }
    let is_use = line.starts_with("use ") || line.starts_with("pub use ");
    if is_use && (line.ends_with("::*;") || line.contains("::*}") || line.contains("::*,")) {
        tidy.find(place, "no glob import: name what is used");
    }
}
