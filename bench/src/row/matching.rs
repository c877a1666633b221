//! P7: many subscriptions, and subscriptions that change.

use crate::pubsub::Probed;
use crate::report::Row;
use crate::run::Stage;
use crate::server::Node;
use crate::settings::WILD_IN;
use crate::statistics::{Spread, whole};
use crate::subscriptions::churn::{Churned, Round};
use crate::subscriptions::matching::Matched;
use anyhow::Result;
use std::net::SocketAddr;

const OPENMESH: &str = "OpenMesh";
const NATS: &str = "nats-server";
const ALONE: &str = "one subscription";
const MANY: &str = "many subscriptions, in memory";
const CHURN: &str = "messages beside subscriptions";
const P50: &str = "p50 µs";
const P99: &str = "p99 µs";
const SUBSCRIBE: &str = "µs to subscribe";
const MEMORY: &str = "KiB a connection";
const CHANGES: &str = "changes/s";
const TIMES: [[&str; 2]; 3] = [
    ["p50 µs alone", "p99 µs alone"],
    ["p50 µs held", "p99 µs held"],
    ["p50 µs changing", "p99 µs changing"],
];
const MATCH_US_MAX: f64 = 50.0;
/// Of what a message takes while the subscriptions do not change.
const CHURN_MAX: f64 = 2.0;

pub(crate) fn play(stage: &Stage) -> Result<Row> {
    let mut row =
        Row::new("P7", "messages matched against many subscriptions, and while subscriptions change");
    let settings = &stage.settings;
    row.how = vec![
        format!(
            "in memory: {} subscriptions of {} connections in a partition without a network, {} of them with wildcards; a message is \
             timed from its frame decoded to its delivery decided: admission and policy are in it",
            whole(settings.matched_subscriptions as u64),
            whole(settings.matched_subscriptions as u64 / 1_000),
            whole(settings.matched_subscriptions as u64 / WILD_IN as u64),
        ),
        format!(
            "changing: {} connections hold {} subscriptions, a tenth of them with wildcards, and {} a second are ended or begun, while \
             128 B go from one connection to another, one at a time, up to 1,000 a second; alone, held, changing: before there are any, \
             once they are there, while they change",
            whole(settings.churn_connections as u64),
            whole(settings.churn_subscriptions as u64),
            whole(settings.churn_per_second),
        ),
    ];
    in_memory(stage, &mut row)?;
    let node = Node::start(&stage.openmesh, &stage.folder("p7-openmesh")?, &[])?;
    let nats = stage.core_nats("p7-nats", &mut row)?;
    stage.doing(&format!("P7 {CHURN}, {OPENMESH}"));
    let churned = changing(stage, node.address, node.process.id(), Some(&node))?;
    add(&mut row, OPENMESH, &churned);
    if let Some(nats) = &nats {
        stage.doing(&format!("P7 {CHURN}, {NATS}"));
        let churned = changing(stage, nats.address, nats.process.id(), None)?;
        add(&mut row, NATS, &churned);
    }
    judge(&mut row);
    Ok(row)
}

fn in_memory(stage: &Stage, row: &mut Row) -> Result<()> {
    let settings = &stage.settings;
    for (setting, subscriptions) in [(ALONE, 1), (MANY, settings.matched_subscriptions)] {
        stage.doing(&format!("P7 {setting}"));
        let words = [
            "matching".to_owned(),
            format!("--subscriptions={subscriptions}"),
            format!("--wildcards={}", subscriptions / WILD_IN),
            format!("--messages={}", settings.matched_messages),
        ];
        let matched: Matched = stage.load(&words)?;
        let values = vec![
            (P50, vec![matched.p50_us]),
            (P99, vec![matched.p99_us]),
            (SUBSCRIBE, vec![matched.subscribe_us]),
        ];
        row.add(setting, OPENMESH, values);
    }
    Ok(())
}

fn changing(stage: &Stage, address: SocketAddr, server: u32, node: Option<&Node>) -> Result<Churned> {
    let settings = &stage.settings;
    let mut words = vec![
        "churn".to_owned(),
        format!("--address={address}"),
        format!("--server={server}"),
        format!("--connections={}", settings.churn_connections),
        format!("--subscriptions={}", settings.churn_subscriptions),
        format!("--wildcards={}", settings.churn_subscriptions / 10),
        format!("--changes-per-second={}", settings.churn_per_second),
        format!("--phase-ms={}", settings.churn_ms),
        format!("--rounds={}", settings.rounds),
    ];
    words.extend(node.map(|node| format!("--domain={}", node.domain)));
    stage.load(&words)
}

fn add(row: &mut Row, system: &str, churned: &Churned) {
    let [alone, held, changing] = TIMES;
    let each = |value: fn(&Round) -> Probed| churned.rounds.iter().map(value).collect::<Vec<_>>();
    let mut values = Vec::new();
    for ([p50, p99], probed) in [
        (alone, vec![churned.alone]),
        (held, each(|round| round.held)),
        (changing, each(|round| round.changing)),
    ] {
        let (middle, late) = probed.iter().map(|probed| (probed.p50_us, probed.p99_us)).unzip();
        values.extend([(p50, middle), (p99, late)]);
    }
    values.push((CHANGES, churned.rounds.iter().map(|round| round.changes_per_second).collect()));
    values.push((MEMORY, vec![churned.connection_bytes / 1024.0]));
    row.add(CHURN, system, values);
}

/// The aims of performance row P7.
fn judge(row: &mut Row) {
    let reached = Spread::of(row.rounds(MANY, OPENMESH, P99));
    row.at_most(format!("{MANY}: p99, the whole way to its delivery"), MATCH_US_MAX, " µs", reached);
    let [_, [_, held], [_, changing]] = TIMES;
    for system in [OPENMESH, NATS] {
        let ratio = Spread::of_ratios(row.rounds(CHURN, system, changing), row.rounds(CHURN, system, held));
        let what = format!("{system}: p99 while subscriptions change ÷ before");
        if system == OPENMESH {
            row.at_most(what, CHURN_MAX, " ×", ratio);
        } else {
            row.printed(what, ratio);
        }
    }
}
