//! Every scenario of `sdk/conformance/`, with the Rust SDK, against the real node. The lines are explained there.

mod asking;
mod inboxes;
mod line;
mod listening;
mod questions;
mod sending;
mod stage;

use crate::conformance::line::Line;
use crate::conformance::stage::Stage;
use std::fs;
use std::path::{Path, PathBuf};

const SCENARIOS_MIN: usize = 20;
const QUEUE: u64 = 1_024;

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_sdk_passes_every_scenario() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= SCENARIOS_MIN);
    for path in &scenarios {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut stage = Stage::default();
        for (index, text) in fs::read_to_string(path).unwrap().lines().enumerate() {
            if text.trim().is_empty() || text.starts_with('#') {
                continue;
            }
            let place = format!("{name}:{}: {text}", index + 1);
            let mut line = Line::parse(place, text, &mut stage);
            play(&mut stage, &mut line).await;
            line.done();
        }
        println!("{name}");
    }
}

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/conformance/scenarios");
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    found.sort();
    found
}

async fn play(stage: &mut Stage, line: &mut Line) {
    if line.who == "node" {
        return stage.set_up(line).await;
    }
    match line.verb.as_str() {
        "enter" => stage.enter(line).await,
        "leave" => stage.player(line).mesh.close().await,
        "return" => stage.come_back(&line.who.clone()).await,
        "register" | "pin" | "publish-schema" | "publish-protocol" | "knows" | "shows" | "query"
        | "receipt" | "recalls" => questions::play(stage, line).await,
        "send" | "resend" | "batch" | "replies" => sending::play(stage, line).await,
        "subscribe" | "next" | "gap" | "nothing" | "end" | "hears" => listening::play(stage, line).await,
        "asks" | "gets" | "gathers" | "unanswered" => asking::play(stage, line).await,
        "lease" | "ack" | "nack" | "extend" | "mail" | "empty" | "peeks" | "counts" => {
            inboxes::play(stage, line).await;
        }
        other => panic!("{}: nobody can {other}", line.place),
    }
}
