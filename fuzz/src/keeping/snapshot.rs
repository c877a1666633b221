//! The state in a snapshot: what can be restored is kept as the same bytes from then on.

use super::partition;
use super::stage::{Stage, config, policy};
use crate::cast::NOW;
use crate::feed::Feed;
use crate::form::assert_brief;
use crate::targets::{Met, Seed};
use openmesh_core::{Input, Partition};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The state's bytes.
pub fn target(input: &[u8]) -> Met {
    let mut partition = match Partition::restore(config(), policy(), input) {
        Ok(partition) => partition,
        Err(error) => {
            assert_brief(&error);
            return Met::Refused;
        }
    };
    let kept = partition.snapshot().unwrap();
    let again = Partition::restore(config(), policy(), &kept).unwrap();
    assert!(again.state() == partition.state());
    assert_eq!(again.snapshot().unwrap(), kept);
    assert_eq!(again.next_deadline(), partition.next_deadline());
    let _ = partition.handle(Input::Tick, NOW.plus_ms(DAY_MS));
    Met::Taken
}

/// An empty state, and those that the seeds of the partition lead to.
pub fn seeds() -> Vec<Seed> {
    let state = |seed: Seed| {
        let mut stage = Stage::set();
        partition::play(&mut stage, &mut Feed::new(&seed.bytes));
        Seed::new(seed.name, stage.partition.snapshot().unwrap())
    };
    let mut seeds: Vec<Seed> = partition::seeds().into_iter().map(state).collect();
    seeds.push(Seed::new("empty", Partition::new(config(), policy()).snapshot().unwrap()));
    seeds
}
