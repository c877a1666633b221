//! P3: the whole way, beside our own P2.

use crate::generate::Measured;
use crate::report::Row;
use crate::run::Stage;
use crate::server::Node;
use crate::statistics::Spread;
use anyhow::Result;
use openmesh_message::{Digest, KeyPair, Proof};
use std::collections::BTreeMap;
use std::time::Instant;

const PLAIN: &str = "OpenMesh as in P2";
const BATCHES: &str = "OpenMesh, the whole way";
const EACH: &str = "OpenMesh, the whole way, each signed";
const SYSTEMS: [(&str, &[&str]); 3] =
    [(PLAIN, &[]), (BATCHES, &["--checked"]), (EACH, &["--checked", "--sign-each"])];
const IN_FLIGHT: usize = 1_000;
const SETTING: &str = "1,000 in flight";
const RATE: &str = "messages/s";
const SERVER: &str = "server CPU µs/message";
const GENERATOR: &str = "generator CPU µs/message";
const P50: &str = "p50 µs";
const P99: &str = "p99 µs";
/// Of what P2 reaches in the same round.
const SHARE_MIN: f64 = 0.5;
/// Of what verifying alone would allow one core.
const VERIFIED_SHARE_MIN: f64 = 0.8;
/// Signatures that are verified to see what one takes.
const VERIFIED: u8 = 200;

pub(crate) fn play(stage: &Stage) -> Result<Row> {
    let mut row = Row::new("P3", "the whole way: signed, schema, protocol, policy, durable, audited, 512 B");
    row.how = vec![
        "as P2, on the same node; each message is JSON, valid by a schema, and a step of a conversation under a protocol; signed in \
         batches of 256, or each for itself, before the clock starts"
            .to_owned(),
        "verification alone: the time of one Ed25519 signature in this process, without anything else, on one core; the \
         node checks those of one connection on all of its own"
            .to_owned(),
    ];
    let node = Node::start(&stage.openmesh, &stage.folder("p3-openmesh")?, &[])?;
    let mut played: BTreeMap<&str, Vec<Measured>> = BTreeMap::new();
    let mut allowed = Vec::new();
    for round in 1..=stage.settings.rounds {
        for (system, more) in SYSTEMS {
            stage.doing(&format!("P3 round {round}, {system}"));
            played.entry(system).or_default().push(stage.load(&words(stage, &node, more))?);
            node.process.settle()?;
        }
        allowed.push(1e6 / verify_us()?);
    }
    for (system, _) in SYSTEMS {
        let Some(rounds) = played.get(system) else { continue };
        let each = |value: fn(&Measured) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
        let values = vec![
            (RATE, each(|one| one.per_second)),
            (SERVER, each(|one| one.server_us.unwrap_or(f64::NAN))),
            (GENERATOR, each(|one| one.generator_us)),
            (P50, each(|one| one.p50_us)),
            (P99, each(|one| one.p99_us)),
        ];
        row.add(SETTING, system, values);
    }
    row.add(SETTING, "verification alone, one core", vec![(RATE, allowed.clone())]);
    let ratio = Spread::of_ratios(row.rounds(SETTING, BATCHES, RATE), row.rounds(SETTING, PLAIN, RATE));
    row.at_least("signed in batches: messages/s ÷ P2", SHARE_MIN, " ×", ratio);
    let ratio = Spread::of_ratios(row.rounds(SETTING, EACH, RATE), &allowed);
    row.at_least("each signed: messages/s ÷ verification alone", VERIFIED_SHARE_MIN, " ×", ratio);
    Ok(row)
}

fn words(stage: &Stage, node: &Node, more: &[&str]) -> Vec<String> {
    let settings = &stage.settings;
    let mut words = vec![
        "generate".to_owned(),
        "--system=openmesh".to_owned(),
        format!("--address={}", node.address),
        format!("--domain={}", node.domain),
        format!("--server={}", node.process.id()),
        format!("--in-flight={IN_FLIGHT}"),
        format!("--warm-up-ms={}", settings.warm_up_ms),
        format!("--load-ms={}", settings.publish_ms),
    ];
    words.extend(more.iter().map(|word| (*word).to_owned()));
    words
}

/// What verifying one signature takes.
fn verify_us() -> Result<f64> {
    let key = KeyPair::from_seed(&[5; 32])?;
    let signed: Vec<(Digest, Proof)> = (0..VERIFIED)
        .map(|number| {
            let digest = Digest::of(&[number]);
            let proof = Proof::sign(&key, &digest);
            (digest, proof)
        })
        .collect();
    let begun = Instant::now();
    for (digest, proof) in &signed {
        proof.verify(&key.id(), digest)?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(VERIFIED))
}
