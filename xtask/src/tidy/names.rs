//! Names that say nothing are banned from files, folders, modules and types.

use super::Tidy;

const BANNED: [&str; 15] = [
    "util",
    "utils",
    "common",
    "helper",
    "helpers",
    "misc",
    "base",
    "impl",
    "impls",
    "manager",
    "controller",
    "processor",
    "data",
    "info",
    "prelude",
];

/// What declares a name in Rust.
const DECLARES: [&str; 5] = ["mod ", "struct ", "enum ", "trait ", "type "];

pub(super) fn check(tidy: &mut Tidy) {
    for ending in [".rs", ".py", ".ts", ".tsx"] {
        for (path, text) in tidy.with_ending(ending) {
            check_path(tidy, &path);
            if ending == ".rs" {
                check_types(tidy, &path, &text);
            }
        }
    }
}

fn check_path(tidy: &mut Tidy, path: &str) {
    for part in path.split('/') {
        let stem = part.split('.').next().unwrap_or(part);
        let banned = stem.split(['_', '-']).find(|word| BANNED.contains(word));
        if let Some(word) = banned {
            tidy.find(path, format!("`{word}` says nothing: name what is in it"));
        }
    }
}

fn check_types(tidy: &mut Tidy, path: &str, text: &str) {
    for (index, line) in text.lines().enumerate() {
        let Some(name) = declared_name(line) else {
            continue;
        };
        let mut words = words_of(name).into_iter();
        if words.any(|word| BANNED.contains(&word.as_str())) {
            tidy.find(&format!("{path}:{}", index + 1), format!("`{name}` holds a word that says nothing"));
        }
    }
}

/// The name that a line declares, if its declaration is the first thing on it.
fn declared_name(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
    let line = line.strip_prefix("pub(super) ").unwrap_or(line);
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let rest = DECLARES.iter().find_map(|keyword| line.strip_prefix(keyword))?;
    rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()
}

/// `LogReader` and `log_reader` as `log`, `reader`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_ascii_uppercase() {
            words.push(String::new());
        }
        if let (Some(word), true) = (words.last_mut(), c != '_') {
            word.push(c.to_ascii_lowercase());
        }
    }
    words
}
