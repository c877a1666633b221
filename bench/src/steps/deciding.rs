//! What the partition's owner does: repeats, the protocol's step, who listens, and deciding as a whole.

use super::scene::{Kind, NOW, Scene};
use super::{MESSAGES, Rounds, Step, work};
use anyhow::{Context, Result};
use openmesh_core::{Admitted, Effect, Input, Plan, steps};
use openmesh_message::TopicPath;

pub(super) const STEPS: &[Step] = &[
    Step { name: "dedup/kept", open: |_| dedup() },
    Step { name: "converse/act", open: |_| converse() },
    Step { name: "match/100000-subscriptions", open: |_| matching() },
    Step { name: "fan-out/8", open: |_| fan_out(8) },
    Step { name: "fan-out/1000", open: |_| fan_out(1_000) },
    Step { name: "handle/kept", open: |_| handle(Kind::Kept) },
    Step { name: "handle/ephemeral", open: |_| handle(Kind::Ephemeral) },
    Step { name: "handle/typed", open: |_| handle(Kind::Typed) },
    Step { name: "handle/act", open: |_| handle(Kind::Act) },
];

/// Ids that are remembered of the sender before.
const REMEMBERED: u64 = 10_000;
/// Subscriptions of one topic each, and such with wildcards.
const EXACT: u64 = 99_000;
const WILD: u64 = 1_000;
/// Plants and lines that the topics are of.
const PLANTS: u64 = 100;

/// An id is looked for, and remembered.
fn dedup() -> Result<Box<dyn Rounds>> {
    let mut scene = Scene::new()?;
    let one = scene.admitted(Kind::Kept)?.pop().context("a message")?;
    for number in 0..REMEMBERED {
        let one = steps::renamed(&one, &format!("r{number}"));
        steps::remember(&mut scene.partition, &one, number, NOW);
    }
    let remember = |(scene, seq): &mut (Scene, u64), admitted: Vec<Admitted>| {
        let mut fresh = 0;
        for one in &admitted {
            fresh += usize::from(steps::is_fresh(&scene.partition, one));
            *seq += 1;
            steps::remember(&mut scene.partition, one, *seq, NOW);
        }
        (fresh, admitted)
    };
    work((scene, REMEMBERED), |(scene, _)| scene.admitted(Kind::Kept), remember, |(fresh, _)| *fresh)
}

/// A bid is checked against the protocol, and the state it leads to is made.
fn converse() -> Result<Box<dyn Rounds>> {
    let converse = |scene: &mut Scene, admitted: Vec<Admitted>| {
        let allowed = admitted.iter().filter(|one| steps::converse(&scene.partition, one, NOW)).count();
        (allowed, admitted)
    };
    work(Scene::new()?, |scene| scene.admitted(Kind::Act), converse, |(allowed, _)| *allowed)
}

/// Those who listen to a topic are found among many.
fn matching() -> Result<Box<dyn Rounds>> {
    let mut scene = Scene::new()?;
    for number in 0..EXACT {
        scene.subscribe(10 + number, &topic(number))?;
    }
    for number in 0..WILD {
        let pattern = match number % 4 {
            0 => format!("plant{}/line{number}/**", number % PLANTS),
            1 => format!("plant{}/*/sensor{number}", number % PLANTS),
            2 => format!("*/line{number}/alarm"),
            _ => format!("fleet{number}/**"),
        };
        scene.subscribe(10 + EXACT + number, &pattern)?;
    }
    let topics = |_: &mut Scene| (0..MESSAGES as u64).map(|number| Ok(topic(number).parse()?)).collect();
    let find = |scene: &mut Scene, topics: Vec<TopicPath>| {
        let found = topics.iter().filter(|topic| steps::matching(&scene.partition, topic) > 0).count();
        (found, topics)
    };
    work(scene, topics, find, |(found, _)| *found)
}

fn topic(number: u64) -> String {
    format!("plant{}/line{}/sensor{number}", number % PLANTS, number / PLANTS)
}

/// A message that is not kept is planned for many readers, under 100 rules.
fn fan_out(readers: u64) -> Result<Box<dyn Rounds>> {
    let mut scene = Scene::with_rules(100)?;
    scene.gather(readers)?;
    scene.plans(Kind::Ephemeral)?;
    let handle = |scene: &mut Scene, inputs: Vec<Input>| {
        inputs.into_iter().map(|input| scene.partition.handle(input, NOW)).collect::<Vec<_>>()
    };
    // One has listened before.
    work(
        scene,
        |scene| scene.inputs(Kind::Ephemeral),
        handle,
        |plans| {
            let delivered = |plan: &&Plan| {
                plan.effects.iter().filter(|effect| matches!(effect, Effect::Deliver(_))).count() > 1
            };
            plans.iter().filter(delivered).count()
        },
    )
}

/// A message becomes a plan.
fn handle(kind: Kind) -> Result<Box<dyn Rounds>> {
    let mut scene = Scene::with_rules(100)?;
    scene.plans(kind)?;
    let handle = |(scene, _): &mut (Scene, Kind), inputs: Vec<Input>| {
        inputs.into_iter().map(|input| scene.partition.handle(input, NOW)).collect::<Vec<_>>()
    };
    work(
        (scene, kind),
        |(scene, kind)| scene.inputs(*kind),
        handle,
        |plans| {
            let taken = |effect: &Effect| matches!(effect, Effect::Accept(..) | Effect::Pass { .. });
            plans.iter().filter(|plan| plan.effects.iter().any(taken)).count()
        },
    )
}
