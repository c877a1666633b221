//! P6: what a million idle inboxes and ten thousand idle connections cost in memory.

use crate::fill::Filled;
use crate::generate::nats::Line;
use crate::idle::Held;
use crate::process::is_in_haste;
use crate::report::Row;
use crate::run::Stage;
use crate::server::{Node, SyncInterval};
use crate::statistics::{Spread, whole};
use anyhow::Result;

const OPENMESH: &str = "OpenMesh";
const JETSTREAM: &str = "JetStream default";
const NATS: &str = "nats-server";
const EACH: &str = "bytes each";
const INBOXES: &str = "idle inboxes";
const CONNECTIONS: &str = "idle connections";
/// How long servers rest where figures are not to be quoted.
const HASTY_REST_MS: u64 = 100;

pub(crate) fn play(stage: &Stage) -> Result<Row> {
    let mut row = Row::new("P6", "memory of idle inboxes and idle connections");
    let settings = &stage.settings;
    row.how = vec![
        format!(
            "inboxes: up to {} agents, each of which had one message and acknowledged it; resident memory of a node that was \
             started on that log, less that of one whose agents never had mail and whose log remembers as many ids",
            whole(settings.idle_inboxes)
        ),
        format!(
            "JetStream: {} durable pull consumers of one stream, whose `max_consumers` is as many (1,000 where nothing is said)",
            whole(settings.idle_consumers as u64)
        ),
        format!(
            "connections: {}, greeted and then silent; resident memory of the server",
            whole(settings.idle_connections as u64)
        ),
    ];
    inboxes(stage, &mut row)?;
    consumers(stage, &mut row)?;
    connections(stage, &mut row)?;
    let each = Spread::of(row.rounds(INBOXES, OPENMESH, EACH));
    row.at_most("an idle inbox", 200.0, " B", each);
    let each = Spread::of(row.rounds(CONNECTIONS, OPENMESH, EACH));
    row.at_most("an idle connection", 20.0 * 1024.0, " B", each);
    Ok(row)
}

fn inboxes(stage: &Stage, row: &mut Row) -> Result<()> {
    let asked = stage.settings.idle_inboxes;
    let (with, count) = resting_bytes(stage, "inboxes", asked)?;
    if count < asked {
        let limit = stage.settings.idle_seconds;
        row.not_run.push(format!(
            "{} inboxes: in {limit} s {} were made, and measured",
            whole(asked),
            whole(count)
        ));
    }
    let (without, _) = resting_bytes(stage, "agents", count)?;
    row.how.push(format!("agents with an inbox: {}", whole(count)));
    let name = "their agents, and the ids of as many messages";
    row.add(name, OPENMESH, vec![(EACH, vec![without / count as f64])]);
    row.add(INBOXES, OPENMESH, vec![(EACH, vec![(with - without) / count as f64])]);
    Ok(())
}

/// Memory of a node that was started on a log of so many agents, beyond that of an empty one; and how many there are.
fn resting_bytes(stage: &Stage, what: &str, count: u64) -> Result<(f64, u64)> {
    let name = format!("p6-{what}");
    let folder = stage.folder(&name)?;
    stage.doing(&format!("P6 writing a log of {count} {what}"));
    let mut node = Node::start(&stage.openmesh, &folder, &[])?;
    node.process.settle()?;
    let empty = node.process.memory_mib()?;
    node.process.stop()?;
    let words = [
        "fill".to_owned(),
        what.to_owned(),
        format!("--folder={}", folder.display()),
        format!("--domain={}", node.domain),
        format!("--count={count}"),
        format!("--seconds={}", stage.settings.idle_seconds),
    ];
    let filled: Filled = stage.load(&words)?;
    stage.doing(&format!("P6 starting a node on {} {what}", filled.count));
    let node = Node::start(&stage.openmesh, &folder, &[])?;
    // Its index may go on for minutes, and takes as much memory whatever it reads.
    node.process.rest()?;
    let bytes = (node.process.memory_mib()? - empty) * 1024.0 * 1024.0;
    drop(node);
    stage.remove(&name);
    Ok((bytes, filled.count))
}

fn consumers(stage: &Stage, row: &mut Row) -> Result<()> {
    let Some(nats) = stage.nats("p6-consumers", SyncInterval::Default, row)? else {
        return Ok(());
    };
    let count = stage.settings.idle_consumers;
    let mut line = Line::connect(nats.address)?;
    // It must be told: a stream has at most 1,000 consumers where nothing is said.
    let stream = format!(
        r#"{{"name":"IDLE","subjects":["idle.>"],"storage":"file","num_replicas":1,"max_consumers":{count}}}"#
    );
    line.ask("$JS.API.STREAM.CREATE.IDLE", &stream)?;
    nats.process.settle()?;
    let before = nats.process.memory_mib()?;
    for consumer in 0..count {
        stage.doing(&format!("P6 {consumer} of {count} consumers"));
        let configured = format!(
            r#"{{"stream_name":"IDLE","config":{{"durable_name":"C{consumer}","ack_policy":"explicit","filter_subject":"idle.{consumer}"}}}}"#
        );
        line.ask(&format!("$JS.API.CONSUMER.DURABLE.CREATE.IDLE.C{consumer}"), &configured)?;
    }
    nats.process.rest()?;
    let each = (nats.process.memory_mib()? - before) * 1024.0 * 1024.0 / count as f64;
    row.add(INBOXES, JETSTREAM, vec![(EACH, vec![each])]);
    Ok(())
}

fn connections(stage: &Stage, row: &mut Row) -> Result<()> {
    stage.doing("P6 idle connections");
    let node = Node::start(&stage.openmesh, &stage.folder("p6-connections")?, &[])?;
    let address = node.address.to_string();
    let held: Held = stage.load(&words(stage, &address, Some(node.domain.to_string()), node.process.id()))?;
    row.add(CONNECTIONS, OPENMESH, vec![(EACH, vec![held.bytes])]);
    if let Some(nats) = stage.nats("p6-nats", SyncInterval::Default, row)? {
        let held: Held = stage.load(&words(stage, &nats.address.to_string(), None, nats.process.id()))?;
        row.add(CONNECTIONS, NATS, vec![(EACH, vec![held.bytes])]);
    }
    Ok(())
}

fn words(stage: &Stage, address: &str, domain: Option<String>, server: u32) -> Vec<String> {
    let connections = stage.settings.idle_connections;
    let mut words = ["idle", "--address", address].map(str::to_owned).to_vec();
    words.extend([format!("--connections={connections}"), format!("--server={server}")]);
    words.extend(is_in_haste().then(|| format!("--rest-ms={HASTY_REST_MS}")));
    words.extend(domain.map(|domain| format!("--domain={domain}")));
    words
}
