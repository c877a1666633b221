//! Manifests of members: the workspace's lints apply, and dependencies come from the workspace's list.

use super::Tidy;

const LINTS: &str = "[lints]\nworkspace = true";

pub(super) fn check(tidy: &mut Tidy) {
    for (path, text) in tidy.with_ending("/Cargo.toml") {
        if !text.contains(LINTS) {
            tidy.find(&path, "lacks `[lints]` with `workspace = true`");
        }
        let mut in_dependencies = false;
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
            } else if in_dependencies && line.contains('=') && !line.contains("workspace = true") {
                let place = format!("{path}:{}", index + 1);
                tidy.find(&place, "take it from [workspace.dependencies]: `name.workspace = true`");
            }
        }
    }
}
