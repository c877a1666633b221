//! The demo with several seeds: every figure it prints, but latencies, is what an independent query of the log says.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Codes of what the misbehaving seller tries: an illegal act, an invalid payload, a forged signature, another's
/// message, another's name, an offer over budget, a counter out of turn.
const MISDEEDS: [&str; 7] = [
    "message.replayed",
    "protocol.illegal_step",
    "protocol.out_of_turn",
    "protocol.requirement_unmet",
    "schema.invalid",
    "signature.invalid",
    "source.mismatch",
];

/// What the log says, worked out from its JSON lines.
#[derive(Debug, Default, PartialEq)]
struct Counted {
    messages: u64,
    refusals: BTreeMap<String, u64>,
    by_outcome: BTreeMap<String, u64>,
    steps: u64,
}

fn openmesh(arguments: &[&str]) -> Output {
    let ran = Command::new(env!("CARGO_BIN_EXE_openmesh")).args(arguments).output().unwrap();
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "openmesh {arguments:?}\n{}\n{err}", String::from_utf8_lossy(&ran.stdout));
    ran
}

fn demo(folder: &Path, arguments: &[&str]) -> Output {
    let folder = folder.to_str().unwrap();
    openmesh(&[&["demo", "--folder", folder][..], arguments].concat())
}

fn count(folder: &Path) -> Counted {
    let data = folder.to_str().unwrap();
    let ran = openmesh(&["-o", "jsonl", "log", "query", "--data", data, "--limit", "1000000"]);
    let mut counted = Counted::default();
    let mut ended: BTreeMap<String, Option<String>> = BTreeMap::new();
    for line in String::from_utf8(ran.stdout).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let outcome = &record["outcome"];
        match record["kind"].as_str().unwrap() {
            "message" => counted.messages += 1,
            "refused" => {
                *counted.refusals.entry(outcome["code"].as_str().unwrap().to_owned()).or_default() += 1;
            }
            _ => {}
        }
        if let Some(conversation) = outcome["step"]["conversation"].as_str() {
            counted.steps += 1;
            let known = ended.entry(conversation.to_owned()).or_default();
            *known = known.take().or(outcome["step"]["ended"].as_str().map(str::to_owned));
        }
    }
    for outcome in ended.into_values() {
        *counted.by_outcome.entry(outcome.unwrap_or_else(|| "open".into())).or_default() += 1;
    }
    counted
}

fn claimed(summary: &Value) -> Counted {
    let numbers = |value: &Value| serde_json::from_value::<BTreeMap<String, u64>>(value.clone()).unwrap();
    Counted {
        messages: summary["messages"].as_u64().unwrap(),
        refusals: numbers(&summary["refusals"]),
        by_outcome: numbers(&summary["negotiations"]["by_outcome"]),
        steps: summary["replayed"]["steps"].as_u64().unwrap(),
    }
}

/// Runs the demo for machines and compares its figures with the log's.
fn run_and_compare(arguments: &[&str]) -> (Value, Counted) {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("node");
    let ran = demo(&folder, &[&["-o", "json"][..], arguments].concat());
    let summary: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let counted = count(&folder);
    assert_eq!(claimed(&summary), counted, "{arguments:?}");
    assert_eq!(summary["negotiations"]["total"], counted.by_outcome.values().sum::<u64>());
    assert_eq!(summary["verified"], true);
    openmesh(&["log", "verify", "--data", folder.to_str().unwrap()]);
    openmesh(&["log", "replay", "--all", "--data", folder.to_str().unwrap()]);
    assert!(!counted.by_outcome.contains_key("open"), "every negotiation ended: {counted:?}");
    (summary, counted)
}

#[test]
fn three_seeds_print_what_the_log_says_and_differ() {
    let mut seen = Vec::new();
    for seed in ["1", "2", "3"] {
        let (_, counted) = run_and_compare(&["--seed", seed]);
        let codes: Vec<_> = counted.refusals.keys().map(String::as_str).collect();
        assert_eq!(codes, MISDEEDS, "each misdeed is refused, and nothing else");
        println!("seed {seed}: {counted:?}");
        seen.push((counted.messages, counted.by_outcome));
    }
    seen.dedup();
    assert!(seen.len() > 1, "seeds make a difference");
}

#[test]
fn without_misbehaviour_nothing_is_refused() {
    let (_, counted) = run_and_compare(&["--seed", "4", "--misbehave", "off"]);
    assert_eq!(counted.refusals, BTreeMap::new());
}

#[test]
fn what_people_read_is_what_machines_read() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("node");
    let ran = demo(&folder, &["--seed", "5"]);
    let text = String::from_utf8(ran.stdout).unwrap();
    let counted = count(&folder);
    let line = |name: &str| {
        let found = text.lines().find_map(|line| line.trim_start().strip_prefix(name));
        found.unwrap_or_else(|| panic!("no line `{name}` in\n{text}")).trim().to_owned()
    };
    assert_eq!(line("messages "), counted.messages.to_string());
    assert_eq!(line("refusals "), counted.refusals.values().sum::<u64>().to_string());
    let outcomes: Vec<_> =
        counted.by_outcome.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    let total: u64 = counted.by_outcome.values().sum();
    assert_eq!(line("negotiations "), format!("{total}: {}", outcomes.join(", ")));
    assert_eq!(
        line("replayed "),
        format!("{total} negotiations, {} steps decided again alike", counted.steps)
    );
    for code in MISDEEDS {
        assert!(text.contains(code), "the refusal {code} is shown");
    }
}

#[test]
fn public_procurement_releases_become_requests() {
    let Some(data) = std::env::var_os("OPENMESH_TEST_DATA").map(PathBuf::from) else {
        println!("not run: demo on procurement releases (OPENMESH_TEST_DATA is not set)");
        return;
    };
    let mut files: Vec<_> =
        std::fs::read_dir(data.join("ocds")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let files: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let (summary, counted) = run_and_compare(&[&["--rfps"][..], &files].concat());
    assert_eq!(counted.by_outcome.values().sum::<u64>(), 3, "three releases can be tendered");
    assert_eq!(summary["rfps_skipped"].as_array().unwrap().len(), 3, "three lack what a request needs");
}
