//! P1s: what P1 costs where messages are signed in batches and have a schema, and what of it each check costs.

use crate::pubsub::{Passed, window};
use crate::report::Row;
use crate::run::Stage;
use crate::server::{Nats, Node};
use crate::statistics::Spread;
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

const NATS: &str = "nats-server, none of it";
const BOTH: &str = "signed in batches, with a schema";
const UNSIGNED: &str = "with a schema, not signed";
const UNTYPED: &str = "signed in batches, without a schema";
const RULED: &str = "signed in batches, with a schema, 100 rules";
/// What is sent to a node, whether it is signed, whether it has a schema, and whether the node has many rules.
const KINDS: [(&str, bool, bool, bool); 4] = [
    (BOTH, true, true, false),
    (UNSIGNED, false, true, false),
    (UNTYPED, true, false, false),
    (RULED, true, true, true),
];
const RATE: &str = "messages/s";
const SERVER: &str = "server CPU µs/message";
const GENERATOR: &str = "generator CPU µs/message";
const LOST: &str = "lost";
const PAYLOAD_BYTES: usize = 128;
const SUBSCRIBERS: [usize; 2] = [1, 8];
/// Rules besides those of an open domain.
const RULES: usize = 100;
/// Messages are made for a rate that nothing here comes near.
const MADE_PER_SECOND: u64 = 200_000;

struct Servers {
    node: Node,
    ruled: Node,
    nats: Option<Nats>,
}

pub(crate) fn play(stage: &Stage) -> Result<Row> {
    let mut row =
        Row::new("P1s", "publish and subscribe as in P1, signed in batches of 256 and with a schema");
    describe(&mut row);
    let servers = Servers {
        node: Node::start(&stage.openmesh, &stage.folder("p1s-openmesh")?, &[])?,
        ruled: Node::start(&stage.openmesh, &ruled_folder(stage)?, &[])?,
        nats: stage.core_nats("p1s-nats", &mut row)?,
    };
    for subscribers in SUBSCRIBERS {
        let mut played: BTreeMap<&str, Vec<Passed>> = BTreeMap::new();
        for round in 1..=stage.settings.rounds {
            stage.doing(&format!("P1s 1→{subscribers}, round {round}"));
            // With eight subscribers the checks are the same, and only the whole is looked at.
            for kind in KINDS.iter().take(if subscribers == 1 { KINDS.len() } else { 1 }) {
                let passed = load_node(stage, &servers, kind, subscribers)?;
                played.entry(kind.0).or_default().push(passed);
            }
            if let Some(nats) = &servers.nats {
                played.entry(NATS).or_default().push(load_nats(stage, nats, subscribers)?);
            }
        }
        for (system, rounds) in &played {
            add(&mut row, &setting(subscribers), system, rounds);
        }
        let ratio = ratio(&row, &setting(subscribers));
        row.printed(format!("{}: messages/s ÷ nats-server (moonshot: 1.0)", setting(subscribers)), ratio);
    }
    split(&mut row);
    Ok(row)
}

fn describe(row: &mut Row) {
    row.how = vec![
        "messages are made before the clock starts, each is sent once: 128 B of JSON with a number in it; where there is a schema, it has \
         two members and a pattern; one signature for each 256; the window is that of P1; none is timed"
            .to_owned(),
        "what is signed or has a schema takes no shortcut: the owner decides each message. The split is between turns of one round: \
         a part is what the whole costs less what it costs without it; the rest is decoding, deciding, delivery"
            .to_owned(),
        "100 rules: beside those of an open domain, none of which concerns these messages".to_owned(),
    ];
}

/// A folder whose node begins with more rules.
fn ruled_folder(stage: &Stage) -> Result<PathBuf> {
    let folder = stage.folder("p1s-ruled")?;
    let mut text = openmesh_policy::DEFAULT_OPEN.to_owned();
    for number in 0..RULES {
        // Writing to memory cannot fail.
        let _ = write!(
            text,
            "\n[[rule]]\nname = \"rule-{number}\"\naction = \"send\"\nwho = \"any\"\nto = [\"topic:plant/*/line{number}\", \
             \"topic:store/{number}/**\"]\nverdict = \"deny\"\nreason = \"rule {number} says so\"\n"
        );
    }
    std::fs::write(folder.join("policy.toml"), text)?;
    Ok(folder)
}

fn load_node(
    stage: &Stage,
    servers: &Servers,
    (_, is_signed, is_typed, is_ruled): &(&str, bool, bool, bool),
    subscribers: usize,
) -> Result<Passed> {
    let node = if *is_ruled { &servers.ruled } else { &servers.node };
    let made = (stage.settings.pubsub_ms + stage.settings.warm_up_ms) * MADE_PER_SECOND / 1_000;
    let mut words = words(stage, "openmesh", subscribers);
    words.push(format!("--address={}", node.address));
    words.push(format!("--domain={}", node.domain));
    words.push(format!("--server={}", node.process.id()));
    words.push(format!("--made={made}"));
    words.extend(is_signed.then(|| "--signed".to_owned()));
    words.extend(is_typed.then(|| "--typed".to_owned()));
    stage.load(&words)
}

fn load_nats(stage: &Stage, nats: &Nats, subscribers: usize) -> Result<Passed> {
    let mut words = words(stage, "nats", subscribers);
    words.extend([format!("--address={}", nats.address), format!("--server={}", nats.process.id())]);
    stage.load(&words)
}

fn words(stage: &Stage, system: &str, subscribers: usize) -> Vec<String> {
    let settings = &stage.settings;
    vec![
        "pubsub".to_owned(),
        format!("--system={system}"),
        format!("--subscribers={subscribers}"),
        format!("--payload-bytes={PAYLOAD_BYTES}"),
        format!("--window={}", window(PAYLOAD_BYTES)),
        format!("--warm-up-ms={}", settings.warm_up_ms),
        format!("--load-ms={}", settings.pubsub_ms),
    ]
}

fn setting(subscribers: usize) -> String {
    format!("1→{subscribers}, {PAYLOAD_BYTES} B")
}

fn add(row: &mut Row, setting: &str, system: &str, rounds: &[Passed]) {
    let each = |value: fn(&Passed) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
    let values = vec![
        (RATE, each(|one| one.per_second)),
        (SERVER, each(|one| one.server_us.unwrap_or(f64::NAN))),
        (GENERATOR, each(|one| one.generator_us)),
        (LOST, each(|one| one.lost as f64)),
    ];
    row.add(setting, system, values);
}

fn ratio(row: &Row, setting: &str) -> Option<Spread> {
    Spread::of_ratios(row.rounds(setting, BOTH, RATE), row.rounds(setting, NATS, RATE))
}

/// What each check costs of the processor time of a message.
fn split(row: &mut Row) {
    let setting = setting(1);
    let cost = |row: &Row, kind: &str| row.rounds(&setting, kind, SERVER).to_vec();
    let [both, unsigned, untyped, ruled] = [BOTH, UNSIGNED, UNTYPED, RULED].map(|kind| cost(row, kind));
    let parts = [
        ("signature: digest, tree, a 256th of a verification", Spread::of_differences(&both, &unsigned)),
        ("schema: JSON is parsed and validated", Spread::of_differences(&both, &untyped)),
        ("policy: 100 rules more", Spread::of_differences(&ruled, &both)),
    ];
    for (part, cost) in parts {
        row.printed(format!("{setting}: {part}, server CPU µs"), cost);
    }
    let rest = both.iter().zip(&unsigned).zip(&untyped);
    let rest: Vec<f64> = rest.map(|((both, unsigned), untyped)| unsigned + untyped - both).collect();
    row.printed(format!("{setting}: decoding, deciding, delivery, server CPU µs"), Spread::of(&rest));
}

#[cfg(test)]
mod tests {
    use super::{BOTH, RULED, SERVER, UNSIGNED, UNTYPED, setting, split};
    use crate::report::Row;

    #[test]
    fn the_parts_are_what_the_whole_costs_more_than_without_them() {
        let mut row = Row::new("P1s", "");
        for (kind, cost) in [(BOTH, 10.0), (UNSIGNED, 7.0), (UNTYPED, 6.0), (RULED, 10.5)] {
            row.add(&setting(1), kind, vec![(SERVER, vec![cost])]);
        }
        split(&mut row);
        let parts: Vec<_> = row.aims.iter().map(|aim| aim.reached.unwrap().median).collect();
        assert_eq!(parts, [3.0, 4.0, 0.5, 3.0]);
    }
}
