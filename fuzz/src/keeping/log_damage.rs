//! A whole log whose files are damaged byte by byte, cut, overwritten or lost: an answer, never a panic, and nothing
//! that was read once is read otherwise later. An input is a list of changes.

use super::disk::{
    BATCH_BYTES, BatchHead, CLOSED, FRAMES_AT, OPENED, RECORDS, Segment, SegmentStart, chain_after, snapshot,
};
use super::examine::{FILE_BYTES_MAX, Written, examine};
use crate::feed::{Feed, Script};
use crate::targets::{Met, Seed};
use openmesh_message::{PartitionId, Position};
use openmesh_store::EncodedRecord;
use std::sync::LazyLock;

const CHANGES_MAX: usize = 12;
const FLIP: u8 = 0;
const OVERWRITE: u8 = 1;
const CUT: u8 = 2;
const ZERO: u8 = 3;
const MOVE: u8 = 4;
const LOSE: u8 = 5;
const CHANGES: usize = 6;

type Files = Vec<(String, Vec<u8>)>;

/// Changes.
pub fn target(input: &[u8]) -> Met {
    static WHOLE: LazyLock<Files> = LazyLock::new(whole);
    let mut feed = Feed::new(input);
    let mut files = WHOLE.clone();
    for _ in 0..CHANGES_MAX {
        if feed.is_empty() || files.is_empty() {
            break;
        }
        change(&mut files, &mut feed);
    }
    examine(&files, Written::ByWriter)
}

fn change(files: &mut Files, feed: &mut Feed<'_>) {
    let kind = feed.choice(CHANGES) as u8;
    let file = feed.choice(files.len());
    if kind == LOSE {
        files.remove(file);
        return;
    }
    let bytes = &mut files[file].1;
    let mut place = || usize::from(u16::from_le_bytes(feed.array())) % bytes.len().max(1);
    let from = place();
    match kind {
        CUT => bytes.truncate(from),
        ZERO => {
            let to = place().max(from);
            bytes[from..to].fill(0);
        }
        MOVE => {
            let (to, length) = (place(), place());
            let length = length.min(bytes.len() - from.max(to));
            bytes.copy_within(from..from + length, to);
        }
        OVERWRITE => {
            let part = feed.part();
            let length = part.len().min(bytes.len() - from);
            bytes[from..from + length].copy_from_slice(&part[..length]);
        }
        _ => {
            if let Some(byte) = bytes.get_mut(from) {
                *byte ^= feed.byte();
            }
        }
    }
}

/// Two segments with two runs, the second closed cleanly, and a snapshot.
pub(super) fn whole() -> Files {
    let mut writer = Writer { chain: [0; 32], seq: 1, states: Vec::new() };
    let start = SegmentStart { number: 1, epoch: 1, first_seq: 1, chain: [0; 32], file_bytes: 2_048 };
    let mut first = Segment::new(start);
    writer.cover(&mut first, OPENED, 1);
    writer.cover(&mut first, OPENED, 1);
    writer.batch(&mut first, 2, 1);
    let start =
        SegmentStart { number: 2, first_seq: writer.seq, chain: writer.chain, file_bytes: 4_096, ..start };
    let mut second = Segment::new(start);
    writer.batch(&mut second, 1, 1);
    writer.cover(&mut second, OPENED, 2);
    writer.cover(&mut second, OPENED, 2);
    writer.batch(&mut second, 3, 2);
    writer.cover(&mut second, CLOSED, 2);
    let (epoch, seq, chain) = writer.states[2];
    vec![
        first.done(FILE_BYTES_MAX),
        second.done(FILE_BYTES_MAX),
        snapshot(epoch, seq, chain, b"state as of three"),
    ]
}

struct Writer {
    chain: [u8; 32],
    seq: u64,
    /// Epoch, seq and chain of each record.
    states: Vec<(u32, u64, [u8; 32])>,
}

impl Writer {
    /// A head without records.
    fn cover(&self, segment: &mut Segment, kind: u32, epoch: u32) {
        let head = BatchHead {
            kind,
            epoch,
            count: 0,
            records_bytes: 0,
            first_seq: self.seq,
            synced_seq: self.seq - 1,
            synced_bytes: segment.at(),
            chain: self.chain,
        };
        segment.add_head(head);
    }

    fn batch(&mut self, segment: &mut Segment, count: u32, epoch: u32) {
        let records: Vec<EncodedRecord> =
            (0..count).map(|index| record(epoch, self.seq + u64::from(index))).collect();
        let mut scratch = segment.clone();
        let mut chain = self.chain;
        let begun = scratch.at();
        for record in &records {
            scratch.add_record(record, chain, None);
        }
        let head = BatchHead {
            kind: RECORDS,
            epoch,
            count,
            records_bytes: scratch.at() - begun,
            first_seq: self.seq,
            synced_seq: self.seq - 1,
            synced_bytes: if begun > FRAMES_AT { begun - BATCH_BYTES } else { begun },
            chain,
        };
        segment.add_head(head);
        for record in &records {
            chain = chain_after(chain, &record.header);
            segment.add_record(record, chain, None);
            self.states.push((epoch, record.position.seq, chain));
        }
        self.seq += u64::from(count);
        self.chain = chain;
    }
}

fn record(epoch: u32, seq: u64) -> EncodedRecord {
    let position = Position { partition: PartitionId(super::disk::PARTITION), epoch, seq };
    let body = format!("body of {seq}").repeat(3).into_bytes();
    EncodedRecord { position, header: format!("header {seq}").into_bytes(), salt: [seq as u8; 16], body }
}

/// No change, and one of each kind at places that matter.
pub fn seeds() -> Vec<Seed> {
    let at = |kind: u8, file: u8, at: u16| Script::default().byte(kind).byte(file).rest(at.to_le_bytes());
    vec![
        Seed::new("whole", Vec::new()),
        Seed::new("flip-header", at(FLIP, 1, 20).byte(1).done()),
        Seed::new("flip-record", at(FLIP, 1, 1_240).byte(4).done()),
        Seed::new("flip-head", at(FLIP, 1, 1_300).byte(128).done()),
        Seed::new("overwrite", at(OVERWRITE, 0, 1_100).part(b"OMreOMba").done()),
        Seed::new("cut", at(CUT, 1, 1_500).done()),
        Seed::new("cut-header", at(CUT, 1, 600).done()),
        Seed::new("zero", at(ZERO, 1, 1_400).rest(1_700_u16.to_le_bytes()).done()),
        Seed::new("move", at(MOVE, 0, 1_024).rest(1_112_u16.to_le_bytes()).rest(88_u16.to_le_bytes()).done()),
        Seed::new("lose-first", Script::default().byte(LOSE).byte(0).done()),
        Seed::new("lose-last", Script::default().byte(LOSE).byte(1).done()),
        Seed::new("flip-snapshot", at(FLIP, 2, 110).byte(1).done()),
    ]
}

#[cfg(test)]
mod tests {
    use super::whole;
    use crate::keeping::disk::folder;
    use openmesh_store::{VerifyOptions, verify};

    #[test]
    fn what_the_spec_says_is_what_the_store_reads() {
        let folder = folder(&whole());
        let report = verify(folder.path(), &mut VerifyOptions::default()).unwrap();
        assert_eq!(report.findings, []);
        assert_eq!((report.records, report.segments, report.snapshots, report.clean), (6, 2, 1, true));
    }
}
