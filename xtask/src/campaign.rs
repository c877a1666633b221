//! Long counts: runs no test run has time for, one row each, and the simulator by hand.

use crate::command::Step;
use crate::tools::{NATS_SERVER, OTLP_PYTHON, Tool};
use crate::workspace::{cargo, root};
use anyhow::{Result, bail};
use std::time::Duration;

/// Longest a campaign or simulation may run.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// One row: cargo with arguments, under an environment that sets the counts.
struct Campaign {
    name: &'static str,
    what: &'static str,
    /// Cargo's arguments, none of which has a space in it.
    cargo: &'static str,
    environment: &'static [(&'static str, &'static str)],
    /// A program that the test is told of by this variable.
    tool: Option<(&'static str, Tool)>,
}

/// Every campaign. A further one is a further row.
const CAMPAIGNS: &[Campaign] = &[
    Campaign {
        name: "policy-laws",
        what: "the laws of policies on 100,000 generated ones each",
        cargo: "test -p openmesh-policy --test policy properties",
        environment: &[("PROPTEST_CASES", "100000")],
        tool: None,
    },
    Campaign {
        name: "kills",
        what: "1,000 kills under load, of nodes that are killed 50 times each",
        cargo: "test -p openmesh-node --test whole crash::a_hundred -- --nocapture",
        environment: &[("OPENMESH_CRASH_KILLS", "1000")],
        tool: None,
    },
    Campaign {
        name: "streams",
        what: "a stream cut 1,000 times at random points, either end or both, and nodes that are killed: not an item missing or twice",
        cargo: "test -p openmesh-node --test whole streams::cuts -- --nocapture",
        environment: &[("OPENMESH_STREAM_CUTS", "1000")],
        tool: None,
    },
    Campaign {
        name: "overload",
        what: "twice what a node can do for 120 s, of every class; 30 s of a hot topic beside a thousand quiet ones",
        cargo: "test --release -p openmesh-node --test whole -- overload::flood overload::hot --nocapture --test-threads 1",
        environment: &[("OPENMESH_FLOOD_SECONDS", "120"), ("OPENMESH_HOT_SECONDS", "30")],
        tool: None,
    },
    Campaign {
        name: "slow-readers",
        what: "500 readers of one byte a second: the p99 of others at most a tenth higher, and memory under its ceiling",
        cargo: "test --release -p openmesh-node --test whole overload::slow -- --nocapture",
        environment: &[
            ("OPENMESH_SLOW_READERS", "500"),
            ("OPENMESH_SLOW_READERS_PERCENT", "10"),
            ("OPENMESH_SLOW_READERS_ROUNDS", "41"),
            ("OPENMESH_SLOW_READERS_MIB", "256"),
        ],
        tool: None,
    },
    Campaign {
        name: "power-cut",
        what: "200 power cuts under load, root needed; beside it nats-server at its defaults",
        cargo: "test -p openmesh-node --test whole power_cut -- --nocapture --test-threads 1",
        environment: &[("OPENMESH_POWER_CUTS", "200")],
        tool: Some(("OPENMESH_NATS_SERVER", NATS_SERVER)),
    },
    Campaign {
        name: "rot",
        what: "one flipped bit in every 1,000 bytes of a log's files; every page zeroed, swapped, stale; ends cut off; other files",
        cargo: "test -p openmesh-node --test whole faults::rot -- --nocapture --test-threads 1",
        environment: &[("OPENMESH_ROT_ALL", "1")],
        tool: None,
    },
    Campaign {
        name: "disks",
        what: "full, failing, read-only and slow disks, two nodes on one folder, clock jumps, little memory",
        cargo: "test -p openmesh-node --test whole -- faults::disk faults::surroundings --nocapture --test-threads 1",
        environment: &[],
        tool: None,
    },
    Campaign {
        name: "faults",
        what: "for each class of faults a planted bug that its test must find",
        cargo: "test -p openmesh-node --test whole faults::planted -- --nocapture",
        environment: &[("OPENMESH_PLANT_ALL", "1")],
        tool: None,
    },
    Campaign {
        name: "failpoints",
        what: "a crash at each place of each kind five times, at its first and later passes",
        cargo: "test -p openmesh-node --test whole crash::failpoints -- --nocapture --test-threads 1",
        environment: &[("OPENMESH_FAILPOINT_PASSES", "5")],
        tool: None,
    },
    Campaign {
        name: "queries",
        what: "first pages of 1,000,000 records within 20 ms (p99) while 5,000 messages a second come in",
        cargo: "test --release -p openmesh-node --test whole queries::load -- --nocapture",
        environment: &[
            ("OPENMESH_QUERY_RECORDS", "1000000"),
            ("OPENMESH_QUERY_RATE", "5000"),
            ("OPENMESH_QUERY_LIMIT_MS", "20"),
        ],
        tool: None,
    },
    Campaign {
        name: "urgent",
        what: "under a full backlog of bulk, critical mail within twice the time without (p99)",
        cargo: "test --release -p openmesh-node --test whole mail::urgent::critical -- --nocapture --test-threads 1",
        environment: &[("OPENMESH_URGENT_PERCENTILE", "99")],
        tool: None,
    },
    Campaign {
        name: "traces",
        what: "spans exported over OTLP, read by a receiver in Python (opentelemetry-proto)",
        cargo: "test -p openmesh-node --features otlp --test whole otlp -- --nocapture",
        environment: &[],
        tool: Some(("OPENMESH_OTLP_PYTHON", OTLP_PYTHON)),
    },
    Campaign {
        name: "simulation",
        what: "20,000 seeds of the simulator",
        cargo: "run -p openmesh-simulator --bin simulate -- --seed 1000000 --count 20000",
        environment: &[],
        tool: None,
    },
    Campaign {
        name: "fuzz",
        what: "every fuzz target, 2,000,000 executions or 3 minutes, whichever is first",
        cargo: "run --quiet -p xtask -- fuzz --seconds 180 --executions 2000000",
        environment: &[],
        tool: None,
    },
    Campaign {
        name: "http-api",
        what: "10 minutes of schemathesis, all checks on, against the HTTP API",
        cargo: "run --quiet -p xtask -- api --seconds 600",
        environment: &[],
        tool: None,
    },
];

/// Runs the named campaigns, or all; tells whether every one passed.
///
/// # Errors
/// When a name is not in the table, or cargo cannot be started.
pub(crate) fn run(names: &[String], list: bool) -> Result<bool> {
    let known = || CAMPAIGNS.iter().map(|row| row.name).collect::<Vec<_>>();
    if let Some(unknown) = names.iter().find(|name| !known().contains(&name.as_str())) {
        bail!("no campaign `{unknown}`; there are {}", known().join(", "));
    }
    let is_chosen = |row: &&Campaign| names.is_empty() || names.iter().any(|name| name == row.name);
    let mut passed = true;
    for row in CAMPAIGNS.iter().filter(is_chosen) {
        println!("{}: {}", row.name, row.what);
        if !list {
            passed &= run_step(&step_of(row)?)?;
        }
    }
    Ok(passed)
}

/// Runs `count` seeds of the simulator from `seed` on.
///
/// # Errors
/// When cargo cannot be started.
pub(crate) fn simulate(seed: u64, count: u64) -> Result<bool> {
    let (seed, count) = (seed.to_string(), count.to_string());
    let arguments = [
        "run",
        "--quiet",
        "-p",
        "openmesh-simulator",
        "--bin",
        "simulate",
        "--",
        "--seed",
        &seed,
        "--count",
        &count,
    ];
    run_step(&Step::new(cargo(), &arguments))
}

fn step_of(row: &Campaign) -> Result<Step> {
    let arguments: Vec<_> = row.cargo.split(' ').collect();
    let mut step = Step::new(cargo(), &arguments);
    let owned = |(key, value): &(&str, &str)| (String::from(*key), String::from(*value));
    step.environment = row.environment.iter().map(owned).collect();
    if let Some((variable, tool)) = row.tool {
        let program = tool.find().map_or_else(|| tool.install(&root()), Ok)?;
        step.environment.push((variable.to_owned(), program.display().to_string()));
    }
    Ok(step)
}

fn run_step(step: &Step) -> Result<bool> {
    println!("   {}", step.shown());
    let ended = step.stream(&root(), LIMIT, |_| {})?;
    println!(
        "   {} after {:.1} s",
        if ended.success { "passed" } else { "FAILED" },
        ended.took.as_secs_f64()
    );
    Ok(ended.success)
}
