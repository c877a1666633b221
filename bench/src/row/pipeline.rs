//! P11: nanoseconds of each step of a message's path, in this process, and of the checked pipeline as a whole.

use crate::report::Row;
use crate::run::Stage;
use crate::settings::Size;
use crate::statistics::Spread;
use crate::steps::{MESSAGES, Step, all};
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

const OPENMESH: &str = "OpenMesh";
const NANOS: &str = "ns/message";

/// What a bid goes through: decoded, admitted (digest, proof, schema, 100 rules, its record's body), handled (repeats, rules
/// about joining, the protocol's step, its record's header), and put into a frame of the log.
const PIPELINE: [&str; 4] = ["decode/act", "admit/act-100-rules", "handle/act", "record/append"];
/// What the pipeline may take.
const PIPELINE_US_MAX: f64 = 10.0;

/// Rounds before the clock counts.
const WARM_ROUNDS: usize = 3;
/// Rounds of which the median is taken.
const ROUNDS: usize = 60;
const ROUNDS_QUICK: usize = 5;

pub(crate) fn play(stage: &Stage) -> Result<Row> {
    let mut row = Row::new("P11", "each step of a message's path, in one process");
    describe(&mut row);
    let scratch = stage.folder("p11")?;
    let each = if stage.settings.size == Size::Quick { ROUNDS_QUICK } else { ROUNDS };
    for step in all() {
        stage.doing(&format!("P11 {}", step.name));
        let rounds = time(step, &scratch, each, stage.settings.rounds)?;
        row.add(step.name, OPENMESH, vec![(NANOS, rounds)]);
    }
    judge(&mut row);
    Ok(row)
}

fn describe(row: &mut Row) {
    row.how = vec![
        format!(
            "each step alone, on {MESSAGES} messages in a row and further ones each time, in the program that measures, with the \
             node's allocator: caches and tables are warm, no other thread runs, nothing is sent or synced"
        ),
        "kept: 512 B to a pinned topic; typed: JSON of 520 B with a schema; act: a bid with a schema in a contract net of its own; these \
         are signed in batches of 256; ephemeral: 128 B, unsigned; 10 rules where none are named, 100 for handle"
            .to_owned(),
        "proof/single is one Ed25519 verification a message, proof/batch one for all and the tree, proof/known-tree the tree alone; \
         record/append writes to the page cache or past it, as the file system has it, and does not sync"
            .to_owned(),
    ];
}

/// Nanoseconds a message: the median of some rounds, several times.
fn time(step: &Step, scratch: &Path, each: usize, times: usize) -> Result<Vec<f64>> {
    let mut rounds = step.open(scratch)?;
    for _ in 0..WARM_ROUNDS {
        rounds.round()?;
    }
    let mut median = || {
        let took = (0..each).map(|_| rounds.round().map(nanos)).collect::<Result<Vec<_>>>()?;
        Ok(Spread::of(&took).map_or(f64::NAN, |spread| spread.median))
    };
    (0..times).map(|_| median()).collect()
}

fn nanos(took: Duration) -> f64 {
    took.as_nanos() as f64 / MESSAGES as f64
}

fn judge(row: &mut Row) {
    let parts = PIPELINE.map(|name| row.rounds(name, OPENMESH, NANOS).to_vec());
    let count = parts.iter().map(Vec::len).min().unwrap_or_default();
    let sum = |round: usize| parts.iter().filter_map(|part| part.get(round)).sum::<f64>() / 1e3;
    let sums: Vec<f64> = (0..count).map(sum).collect();
    let what = format!(
        "checked pipeline of a bid under 100 rules, its batch's signature shared: {}",
        PIPELINE.join(" + ")
    );
    row.at_most(what, PIPELINE_US_MAX, " µs", Spread::of(&sums));
}

#[cfg(test)]
mod tests {
    use super::{NANOS, OPENMESH, PIPELINE, judge};
    use crate::report::Row;
    use crate::steps::all;

    #[test]
    fn the_pipeline_is_the_sum_of_its_steps_of_each_round() {
        assert!(PIPELINE.iter().all(|name| all().any(|step| step.name == *name)));
        let mut row = Row::new("P11", "");
        for (name, nanos) in PIPELINE.into_iter().zip([1_000.0, 2_000.0, 3_000.0, 500.0]) {
            row.add(name, OPENMESH, vec![(NANOS, vec![nanos, 2.0 * nanos])]);
        }
        judge(&mut row);
        let reached = row.aims[0].reached.unwrap();
        assert_eq!((reached.min, reached.max, row.aims[0].met), (6.5, 13.0, Some(true)));
    }
}
