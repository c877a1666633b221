//! Scenarios: input lines and the outputs they must give, one text file each. A further case is a further file.
//!
//! A line is a comment (`#`), an output that is expected (`> …`) or an input; `stage.rs` lists the inputs.
#![cfg(test)]

mod making;
mod shown;
mod stage;

use openmesh_core::Rejection;
use stage::Stage;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Codes that no scenario gives, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("protocol.timer_due", "timers that are due are fired first"),
    ("protocol.custodial_signature", "contracts take many acts; the simulator gets there"),
    ("custody.unavailable", "said by the node, whose custodian's secret was replaced"),
    ("token.scope", "said by the HTTP listener, where tokens are shown"),
    ("protocol.too_many_agents", "a conversation takes 1,024; the simulator gathers them"),
    ("store.full", "said by the node, which knows its disk"),
];
/// Codes of streams, whose acts and events are no lines here: `route/stream/tests.rs`.
const OF_STREAMS: &str = "stream.";

#[test]
fn every_scenario_goes_as_written() {
    let mut seen = BTreeSet::new();
    for (name, text) in scenarios() {
        seen.extend(check(&name, &text));
    }
    let expected = Rejection::codes()
        .filter(|code| !code.starts_with(OF_STREAMS) && ELSEWHERE.iter().all(|(other, _)| other != code));
    let missing: Vec<_> = expected.filter(|code| !seen.contains(*code)).collect();
    assert!(missing.is_empty(), "no scenario is refused with {missing:?}");
}

/// Plays a scenario; the codes it was refused with.
fn check(name: &str, text: &str) -> BTreeSet<String> {
    let mut stage = Stage::default();
    let mut played = String::new();
    for line in text.lines().filter(|line| !line.starts_with("> ")) {
        played.push_str(line);
        played.push('\n');
        if !line.is_empty() && !line.starts_with('#') {
            for output in stage.play(line) {
                played.push_str(&format!("> {output}\n"));
            }
        }
    }
    assert!(played.trim() == text.trim(), "{name} goes otherwise; as played:\n{played}");
    let refused = text.lines().filter_map(|line| line.strip_prefix("> refused "));
    refused.filter_map(|rest| rest.split([' ', ',']).next()).map(str::to_owned).collect()
}

#[expect(clippy::disallowed_methods, reason = "a test reads its own folder")]
fn scenarios() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
    files.sort();
    let read = |path: PathBuf| (path.display().to_string(), std::fs::read_to_string(&path).unwrap());
    files.into_iter().map(read).collect()
}
