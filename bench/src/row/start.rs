//! P13: how long a start takes, how large the program is, and what it takes at rest.

use crate::process::Process;
use crate::report::Row;
use crate::run::Stage;
use crate::server::Node;
use crate::statistics::Spread;
use anyhow::{Context, Result, ensure};
use std::process::Command;
use std::time::Instant;

const OPENMESH: &str = "OpenMesh";
const NATS: &str = "nats-server";
const SETTING: &str = "a start on an empty folder";
const READY: &str = "ready after ms";
const PROGRAM: &str = "program MB";
const MEMORY: &str = "idle memory MiB";
const READY_MS_MAX: f64 = 300.0;
const PROGRAM_MB_MAX: f64 = 60.0;
const MEMORY_MIB_MAX: f64 = 40.0;

/// What was seen of one start.
struct Started {
    ready_ms: f64,
    /// Of the first start alone: a server is waited for until it rests.
    memory_mib: Option<f64>,
}

pub(crate) fn play(stage: &Stage) -> Result<Row> {
    let mut row = Row::new("P13", "start: process to ready, size of the program, memory at rest");
    row.how = vec![
        "ready: OpenMesh has made its domain, its keys and its log, listens, and says so in its folder; nats-server (without JetStream) accepts \
         a connection; looked for every 2 ms"
            .to_owned(),
        "program: without symbols, as it is shipped, whatever the build at hand kept; nats-server's as its package has it".to_owned(),
        "memory: resident, once the server does nothing any more".to_owned(),
    ];
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=stage.settings.rounds {
        stage.doing(&format!("P13 round {round}"));
        let folder = stage.folder(&format!("p13-openmesh-{round}"))?;
        let begun = Instant::now();
        let node = Node::start(&stage.openmesh, &folder, &[])?;
        ours.push(started(begun, &node.process, round == 1)?);
        drop(node);
        let begun = Instant::now();
        if let Some(nats) = stage.core_nats(&format!("p13-nats-{round}"), &mut row)? {
            theirs.push(started(begun, &nats.process, round == 1)?);
        }
    }
    match shipped_bytes(stage) {
        Ok(bytes) => add(&mut row, OPENMESH, bytes, &ours),
        Err(error) => {
            row.not_run.push(format!("the program without symbols: {error:#}"));
            add(&mut row, OPENMESH, std::fs::metadata(&stage.openmesh)?.len(), &ours);
        }
    }
    if let Some(program) = stage.nats_server() {
        add(&mut row, NATS, std::fs::metadata(program)?.len(), &theirs);
    }
    for (value, limit, unit) in
        [(READY, READY_MS_MAX, " ms"), (PROGRAM, PROGRAM_MB_MAX, " MB"), (MEMORY, MEMORY_MIB_MAX, " MiB")]
    {
        let reached = Spread::of(row.rounds(SETTING, OPENMESH, value));
        row.at_most(value, limit, unit, reached);
    }
    Ok(row)
}

fn started(begun: Instant, process: &Process, is_first: bool) -> Result<Started> {
    let ready_ms = begun.elapsed().as_secs_f64() * 1e3;
    if !is_first {
        return Ok(Started { ready_ms, memory_mib: None });
    }
    process.rest()?;
    Ok(Started { ready_ms, memory_mib: Some(process.memory_mib()?) })
}

/// Bytes of a copy of the program from which `strip` has taken what a release does not have.
fn shipped_bytes(stage: &Stage) -> Result<u64> {
    let copy = stage.folder("p13-program")?.join("openmesh");
    let mut strip = Command::new("strip");
    let ended = strip.arg("--strip-all").arg("-o").arg(&copy).arg(&stage.openmesh).output();
    let ended = ended.context("cannot start strip")?;
    ensure!(ended.status.success(), "strip: {}", String::from_utf8_lossy(&ended.stderr).trim());
    Ok(std::fs::metadata(&copy)?.len())
}

fn add(row: &mut Row, system: &str, program_bytes: u64, rounds: &[Started]) {
    let size = program_bytes as f64 / 1e6;
    let values = vec![
        (READY, rounds.iter().map(|one| one.ready_ms).collect()),
        (PROGRAM, vec![size]),
        (MEMORY, rounds.iter().filter_map(|one| one.memory_mib).collect()),
    ];
    row.add(SETTING, system, values);
}
