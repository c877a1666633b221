//! Sizes: lines a file, lines a crate root, files a folder. Functions are clippy's.

use super::Tidy;
use std::collections::BTreeMap;

/// A file has at most this many lines, inline tests not counted.
const FILE_LINES_MAX: usize = 800;
/// Above this a file is named in a warning.
const FILE_LINES_WARN: usize = 500;
/// `lib.rs` and `main.rs` hold no logic.
const ROOT_LINES_MAX: usize = 120;
/// A folder of code has at most this many files.
const FOLDER_FILES_MAX: usize = 20;

/// Files above [`FILE_LINES_MAX`], each with the lines it has. A number can only fall, and a row only go.
const EXCEPTIONS: &[(&str, usize)] = &[];

const CODE_ENDINGS: [&str; 5] = [".rs", ".py", ".ts", ".tsx", ".sh"];

pub(super) fn check(tidy: &mut Tidy) {
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    for ending in CODE_ENDINGS {
        for (path, text) in tidy.with_ending(ending) {
            check_file(tidy, &path, lines_without_tests(&text));
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            *folders.entry(folder.to_owned()).or_default() += 1;
        }
    }
    for (folder, count) in folders {
        if count > FOLDER_FILES_MAX {
            tidy.find(&folder, format!("{count} files, at most {FOLDER_FILES_MAX} a folder"));
        }
    }
    for (path, _) in EXCEPTIONS {
        if !tidy.texts.contains_key(*path) {
            tidy.find(path, "is gone: remove it from the exceptions");
        }
    }
}

fn check_file(tidy: &mut Tidy, path: &str, lines: usize) {
    let excepted = EXCEPTIONS.iter().find(|(name, _)| *name == path);
    let is_root = path.ends_with("/lib.rs") || path.ends_with("/main.rs");
    let most = match excepted {
        Some((_, most)) => *most,
        None if is_root => ROOT_LINES_MAX,
        None => FILE_LINES_MAX,
    };
    if lines > most {
        tidy.find(path, format!("{lines} lines, at most {most}"));
    } else if excepted.is_some() && lines < most {
        tidy.find(path, format!("{lines} lines: lower its exception of {most}, or remove it"));
    } else if lines > FILE_LINES_WARN {
        tidy.warn(path, format!("{lines} lines, aim for 300"));
    }
}

/// Lines outside `#[cfg(test)] mod … { }`, which rustfmt ends with a brace at the line's start.
fn lines_without_tests(text: &str) -> usize {
    let mut count = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens_tests = line == "#[cfg(test)]"
            && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if opens_tests {
            lines.by_ref().find(|line| *line == "}");
        } else {
            count += 1;
        }
    }
    count
}
