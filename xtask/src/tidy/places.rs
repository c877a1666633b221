//! Nothing in the tree names one machine: no absolute paths of its folders, no registries of its own.

use super::Tidy;

/// Folders of people's machines, without their leading slash so that this file does not hold them.
const MACHINE_FOLDERS: [&str; 5] = ["work", "root", "home", "Users", "workspace"];

/// Where the home folder of a service may be written down.
const DEPLOYMENT: [&str; 2] = ["deploy/", "docs/operating/"];

const CARGO_SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";
const NPM_SOURCE: &str = "https://registry.npmjs.org/";

/// Settings that point a package tool at another registry.
const REGISTRY_SETTINGS: [&str; 4] = [
    concat!("index", "-url"),
    concat!("replace", "-with"),
    concat!("[source", "."),
    concat!("[registries", "."),
];

/// Settings files of package tools, which have no reason to name any address.
const CLIENT_SETTINGS: [&str; 3] = [".npmrc", ".yarnrc.yml", "pip.conf"];

pub(super) fn check(tidy: &mut Tidy) {
    for (path, text) in tidy.with_ending("") {
        let is_deployment = DEPLOYMENT.iter().any(|folder| path.starts_with(folder));
        for (index, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", index + 1);
            if !is_deployment && names_machine(line) {
                tidy.find(&place, "holds an absolute path of one machine");
            }
            if names_registry(&path, line) {
                tidy.find(&place, "names a registry other than the public one");
            }
        }
    }
}

fn names_machine(line: &str) -> bool {
    MACHINE_FOLDERS.iter().any(|folder| {
        let needle = format!("/{folder}/");
        line.match_indices(&needle).any(|(at, _)| begins_path(line, at))
    })
}

/// Whether the slash at `at` is a path's first: nothing before it could belong to a path or an address.
fn begins_path(line: &str, at: usize) -> bool {
    let before = line.get(..at).and_then(|before| before.chars().next_back());
    before.is_none_or(|c| !c.is_alphanumeric() && !"._-*~>}/$".contains(c))
}

fn names_registry(path: &str, line: &str) -> bool {
    let line = line.trim();
    let value = |key: &str| line.strip_prefix(key).map(|rest| rest.trim_matches(['"', ',', ' ']));
    if path.ends_with("Cargo.lock") {
        return value("source = ").is_some_and(|source| source != CARGO_SOURCE);
    }
    if path.ends_with("package-lock.json") {
        return value("\"resolved\": ").is_some_and(|source| !source.starts_with(NPM_SOURCE));
    }
    if CLIENT_SETTINGS.iter().any(|ending| path.ends_with(ending)) {
        return line.contains("://");
    }
    REGISTRY_SETTINGS
        .iter()
        .any(|setting| line.starts_with(setting) || line.starts_with(&format!("--{setting}")))
}
