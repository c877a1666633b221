//! A segment and a snapshot that somebody wrote with right checksums and whatever numbers they liked. An input is the
//! fields of the header, then frames.

use super::disk::{BatchHead, Segment, SegmentStart, chain_after, snapshot};
use super::examine::{FILE_BYTES_MAX, Written, examine};
use crate::feed::{Feed, Script};
use crate::targets::{Met, Seed};
use openmesh_message::{PartitionId, Position};
use openmesh_store::EncodedRecord;

const FRAMES_MAX: usize = 24;
const FILE_BYTES: u64 = 4_096;
const RECORD: u8 = 0;
const HEAD: u8 = 1;
const SNAPSHOT: u8 = 2;
const RAW: u8 = 3;
const ROOM: u8 = 4;
const LYING_RECORD: u8 = 5;
const FRAMES: usize = 6;

/// A header, then frames.
pub fn target(input: &[u8]) -> Met {
    let mut feed = Feed::new(input);
    let mut chain = [feed.byte(); 32];
    let start = SegmentStart {
        number: feed.number().max(1),
        epoch: feed.number() as u32,
        first_seq: feed.number(),
        chain,
        file_bytes: match feed.number() {
            0 => FILE_BYTES,
            bytes => bytes,
        },
    };
    let mut segment = Segment::new(start);
    let mut files = Vec::new();
    for _ in 0..FRAMES_MAX {
        if feed.is_empty() || segment.at() > FILE_BYTES_MAX {
            break;
        }
        match feed.choice(FRAMES) as u8 {
            HEAD => segment.add_head(head(&mut feed, chain)),
            SNAPSHOT => files.push(snapshot(feed.number() as u32, feed.number(), chain, feed.part())),
            RAW => segment.bytes.extend(feed.part()),
            ROOM => segment.bytes.resize(segment.bytes.len() + 8 * feed.choice(64), 0),
            kind => {
                let record = record(&mut feed);
                chain = chain_after(chain, &record.header);
                let claims = (kind == LYING_RECORD).then(|| (feed.number() as u32, feed.number() as u32));
                segment.add_record(&record, chain, claims);
            }
        }
    }
    files.push(segment.done(FILE_BYTES_MAX));
    examine(&files, Written::ByForger)
}

fn head(feed: &mut Feed<'_>, chain: [u8; 32]) -> BatchHead {
    BatchHead {
        kind: u32::from(feed.byte() % 5),
        epoch: feed.number() as u32,
        count: feed.number() as u32,
        records_bytes: feed.number(),
        first_seq: feed.number(),
        synced_seq: feed.number(),
        synced_bytes: feed.number() << 3,
        chain,
    }
}

fn record(feed: &mut Feed<'_>) -> EncodedRecord {
    let position = Position {
        partition: PartitionId(super::disk::PARTITION),
        epoch: feed.number() as u32,
        seq: feed.number(),
    };
    EncodedRecord { position, salt: [2; 16], header: feed.part().to_vec(), body: feed.part().to_vec() }
}

/// An honest run, a run with a snapshot, and numbers at their ends.
pub fn seeds() -> Vec<Seed> {
    let begin = |file_bytes: u64, first_seq: u64| {
        Script::default().byte(0).number(1).number(1).number(first_seq).number(file_bytes)
    };
    let head = |script: Script, kind: u8, count: u64, first_seq: u64, synced: (u64, u64)| {
        let script = script.byte(HEAD).byte(kind).number(1).number(count).number(count * 96);
        script.number(first_seq).number(synced.0).number(synced.1 / 8)
    };
    let record =
        |script: Script, seq: u64| script.byte(RECORD).number(1).number(seq).part("header 1").part("body");
    let opened = head(begin(0, 1), 1, 0, 1, (0, 1_024));
    let kept = record(record(head(opened.clone(), 0, 2, 1, (0, 1_112)), 1), 2);
    let closed = head(kept.clone(), 3, 0, 3, (2, 1_392));
    vec![
        Seed::new("closed", closed.clone().done()),
        Seed::new("torn", kept.clone().byte(RAW).part("torn").done()),
        Seed::new("gap", record(kept.clone().byte(ROOM).byte(3), 5).done()),
        Seed::new("snapshot", closed.byte(SNAPSHOT).number(1).number(2).part("state").done()),
        Seed::new(
            "lying",
            kept.byte(LYING_RECORD).number(1).number(3).part("h").part("b").number(u64::MAX).number(9).done(),
        ),
        Seed::new("last-seq", record(head(begin(0, u64::MAX), 0, 1, u64::MAX, (0, 1_024)), u64::MAX).done()),
        Seed::new("large", record(begin(1 << 40, 1), 1).done()),
    ]
}
