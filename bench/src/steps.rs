//! The steps of a message's path, each alone and on the same input each time: what row P11 times and what
//! `cargo xtask counts` counts the instructions of.

mod admitting;
mod deciding;
mod keeping;
mod ruling;
mod scene;
mod wire;

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};

/// Messages of one round.
pub(crate) const MESSAGES: usize = 256;
/// Rounds before the one that is counted: memory is there, texts are interned, tables are made.
const WARM_ROUNDS: usize = 2;

/// One step of the path.
pub(crate) struct Step {
    /// What is done, and with what.
    pub(crate) name: &'static str,
    open: fn(&Path) -> Result<Box<dyn Rounds>>,
}

/// A step made ready: its rounds do the same work on further messages.
pub(crate) trait Rounds {
    /// Makes the input, does the work on it, and drops what came of it; only the work is timed.
    fn round(&mut self) -> Result<Duration>;

    /// The same within [`counted_from_here`].
    fn counted(&mut self) -> Result<()>;
}

/// A state, what makes the input of a round, the work, and how many messages it was done for.
struct Work<S, I, O> {
    state: S,
    input: fn(&mut S) -> Result<I>,
    work: fn(&mut S, I) -> O,
    done: fn(&O) -> usize,
}

/// Every step, in the order that a message takes them.
pub(crate) const STEPS: [&[Step]; 5] =
    [wire::STEPS, admitting::STEPS, ruling::STEPS, deciding::STEPS, keeping::STEPS];

/// Some steps, one after the other, for callgrind: `cargo xtask counts` runs them.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The steps; without one, the names of all are printed.
    names: Vec<String>,
    /// Where a step that writes keeps its files.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    scratch: std::path::PathBuf,
}

/// Runs steps, and prints for each how many messages were in the round that counts.
///
/// # Errors
/// When there is no such step, or its input cannot be made.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.names.is_empty() {
        all().for_each(|step| println!("{}", step.name));
    }
    options.names.iter().try_for_each(|name| count(name, &options.scratch))
}

fn count(name: &str, scratch: &Path) -> Result<()> {
    let step = all().find(|step| step.name == name).with_context(|| format!("there is no step {name}"))?;
    let mut rounds = step.open(scratch)?;
    for _ in 0..WARM_ROUNDS {
        rounds.round()?;
    }
    rounds.counted()?;
    println!("{MESSAGES}");
    Ok(())
}

/// Every step.
pub(crate) fn all() -> impl Iterator<Item = &'static Step> {
    STEPS.into_iter().flatten()
}

impl Step {
    /// Makes what all rounds share; files go into `scratch`.
    pub(crate) fn open(&self, scratch: &Path) -> Result<Box<dyn Rounds>> {
        (self.open)(scratch)
    }
}

impl<S, I, O> Rounds for Work<S, I, O> {
    fn round(&mut self) -> Result<Duration> {
        let input = (self.input)(&mut self.state)?;
        let begun = Instant::now();
        let output = std::hint::black_box((self.work)(&mut self.state, input));
        let took = begun.elapsed();
        self.check(&output)?;
        Ok(took)
    }

    fn counted(&mut self) -> Result<()> {
        let input = (self.input)(&mut self.state)?;
        let output = counted_from_here(self.work, &mut self.state, input);
        self.check(&output)
    }
}

impl<S, I, O> Work<S, I, O> {
    /// What failed early would be measured as fast.
    fn check(&self, output: &O) -> Result<()> {
        let done = (self.done)(output);
        ensure!(done == MESSAGES, "was done for {done} messages, not {MESSAGES}");
        Ok(())
    }
}

/// Callgrind is told of this function by its name, and counts what runs within it.
#[inline(never)]
fn counted_from_here<S, I, O>(work: fn(&mut S, I) -> O, state: &mut S, input: I) -> O {
    std::hint::black_box(work(state, input))
}

fn work<S: 'static, I: 'static, O: 'static>(
    state: S,
    input: fn(&mut S) -> Result<I>,
    work: fn(&mut S, I) -> O,
    done: fn(&O) -> usize,
) -> Result<Box<dyn Rounds>> {
    Ok(Box::new(Work { state, input, work, done }))
}

#[cfg(test)]
mod tests {
    use super::all;
    use std::collections::BTreeSet;

    #[test]
    fn every_step_has_a_name_of_its_own_and_does_what_it_is_to_do() {
        let folder = std::env::temp_dir().join(format!("openmesh-steps-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut names = BTreeSet::new();
        for step in all() {
            assert!(names.insert(step.name), "{}", step.name);
            let mut rounds = step.open(&folder).unwrap_or_else(|error| panic!("{}: {error:#}", step.name));
            for _ in 0..2 {
                rounds.round().unwrap_or_else(|error| panic!("{}: {error:#}", step.name));
            }
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
