//! P13: how long a start takes, how large the program is, and what it takes at rest.

use crate::process::Process;
use crate::report::Row;
use crate::run::Stage;
use crate::server::Node;
use crate::settings::Size;
use crate::statistics::Spread;
use anyhow::Result;
use std::path::Path;
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
        "memory: resident, once the server does nothing any more".to_owned(),
    ];
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=stage.settings.rounds {
        stage.doing(&format!("P13 round {round}"));
        let folder = stage.folder(&format!("p13-openmesh-{round}"))?;
        let begun = Instant::now();
        let node = Node::start(&stage.openmesh, &folder, &[])?;
        ours.push(started(stage, begun, &node.process, round == 1)?);
        drop(node);
        let begun = Instant::now();
        if let Some(nats) = stage.core_nats(&format!("p13-nats-{round}"), &mut row)? {
            theirs.push(started(stage, begun, &nats.process, round == 1)?);
        }
    }
    add(&mut row, OPENMESH, &stage.openmesh, &ours)?;
    if let Some(program) = stage.nats_server() {
        add(&mut row, NATS, program, &theirs)?;
    }
    for (value, limit, unit) in
        [(READY, READY_MS_MAX, " ms"), (PROGRAM, PROGRAM_MB_MAX, " MB"), (MEMORY, MEMORY_MIB_MAX, " MiB")]
    {
        let reached = Spread::of(row.rounds(SETTING, OPENMESH, value));
        row.at_most(value, limit, unit, reached);
    }
    Ok(row)
}

fn started(stage: &Stage, begun: Instant, process: &Process, is_first: bool) -> Result<Started> {
    let ready_ms = begun.elapsed().as_secs_f64() * 1e3;
    if !is_first {
        return Ok(Started { ready_ms, memory_mib: None });
    }
    if stage.settings.size == Size::Quick {
        process.settle()?;
    } else {
        process.rest()?;
    }
    Ok(Started { ready_ms, memory_mib: Some(process.memory_mib()?) })
}

fn add(row: &mut Row, system: &str, program: &Path, rounds: &[Started]) -> Result<()> {
    let size = std::fs::metadata(program)?.len() as f64 / 1e6;
    let values = vec![
        (READY, rounds.iter().map(|one| one.ready_ms).collect()),
        (PROGRAM, vec![size]),
        (MEMORY, rounds.iter().filter_map(|one| one.memory_mib).collect()),
    ];
    row.add(SETTING, system, values);
    Ok(())
}
