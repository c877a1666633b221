//! Records as they are kept, and a recovery that applies them. An input is headers and bodies in turn, each with its
//! length before it; each header is made to commit to its body.

use super::partition;
use super::stage::{Stage, config, policy};
use crate::cast::NOW;
use crate::feed::{Feed, Script};
use crate::form::{assert_brief, assert_kept};
use crate::targets::{Met, Seed};
use openmesh_core::record::{
    Outcome, RECORD_VERSION, Record, commitment_of_version, decode_header, is_committed, to_json,
};
use openmesh_core::{Input, Partition};

const RECORDS_MAX: usize = 32;
const SALT: [u8; 16] = [3; 16];
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Headers and bodies.
pub fn target(input: &[u8]) -> Met {
    let mut feed = Feed::new(input);
    let mut partition = Partition::new(config(), policy());
    let mut met = Met::Refused;
    for _ in 0..RECORDS_MAX {
        if feed.is_empty() {
            break;
        }
        if let Some(record) = decode(feed.part(), feed.part()) {
            assert!(to_json(&record).is_object());
            partition.recover(&record);
            met = Met::Taken;
        }
    }
    let kept = partition.snapshot().unwrap();
    let restored = Partition::restore(config(), policy(), &kept).unwrap();
    assert!(restored.state() == partition.state());
    let _ = partition.handle(Input::Tick, NOW.plus_ms(DAY_MS));
    met
}

fn decode(header: &[u8], body: &[u8]) -> Option<Record> {
    let mut read = match decode_header(header) {
        Ok(read) => read,
        Err(error) => {
            assert_brief(&error);
            return None;
        }
    };
    assert!(read.version <= RECORD_VERSION);
    assert_kept(&read);
    let is_step = match &read.outcome {
        Outcome::Accepted(accepted) => accepted.step.is_some(),
        outcome => matches!(outcome, Outcome::Fired { .. }),
    };
    // Steps are written in one form alone.
    read.version = if is_step { RECORD_VERSION } else { read.version };
    read.commitment = commitment_of_version(read.version, &SALT, body);
    let committed = minicbor::to_vec(&read).unwrap();
    assert!(is_committed(&committed, &SALT, body) && !is_committed(&committed, &[4; 16], body));
    let record = Record::decode(&committed, &SALT, body).ok()?;
    assert_kept(&record.body);
    if let Some(message) = record.message() {
        let stamped = record.header.stamp(message);
        assert_eq!(stamped.digest(), message.digest());
    }
    Some(record)
}

/// What the seeds of the partition leave in its log.
pub fn seeds() -> Vec<Seed> {
    let log = |seed: Seed| {
        let mut stage = Stage::set();
        partition::play(&mut stage, &mut Feed::new(&seed.bytes));
        let script = stage.records.iter().fold(Script::default(), |script, record| {
            let (header, body) = (minicbor::to_vec(&record.header), minicbor::to_vec(&record.body));
            script.part(header.unwrap()).part(body.unwrap())
        });
        Seed::new(seed.name, script.done())
    };
    partition::seeds().into_iter().map(log).collect()
}
