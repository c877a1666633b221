//! One trial: damage some files, ask everything that can be asked, put the files back.

use super::fixture::{Fixture, config};
use openmesh_core::record::is_committed;
use openmesh_store::{
    EmbeddedLog, EncodedRecord, Fault, LogReader, PageLimit, StoredRecord, VerifyOptions, open_read_only,
    verify,
};
use std::collections::BTreeSet;
use std::fmt;

/// The two copies of a segment's header: each on a page of its own.
const COPIES: [(usize, usize); 2] = [(0, 512), (4_096, 4_608)];

/// Changes the bytes of a file.
pub(super) type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);

/// How much may be lost.
#[derive(Clone, Debug)]
pub(super) enum Loss {
    /// So many records.
    Records(usize),
    /// The records that touch these bytes: file, first byte, the byte after the last.
    On(Vec<(String, usize, usize)>),
}

/// What is done to the files, in words, and what it may cost.
pub(super) struct Hit<'a> {
    pub(super) what: &'a str,
    pub(super) loss: Loss,
}

/// What came of all trials of a kind.
pub(super) struct Tally {
    kind: &'static str,
    pub(super) trials: u64,
    pub(super) reported: u64,
    lost: u64,
    lost_most: usize,
    refused: u64,
}

impl Tally {
    pub(super) const fn new(kind: &'static str) -> Self {
        Self { kind, trials: 0, reported: 0, lost: 0, lost_most: 0, refused: 0 }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, trials, reported, lost, lost_most, refused } = self;
        write!(
            f,
            "rot: {kind}: {trials} trials, {reported} reported, {lost} records lost, {lost_most} at most in one, \
             {refused} refused, 0 positions used twice"
        )
    }
}

/// Damages files, judges what the log makes of it, puts them back.
pub(super) fn try_damage(
    fixture: &Fixture,
    tally: &mut Tally,
    hit: &Hit<'_>,
    damages: &[(&str, Damage<'_>)],
) {
    let log = fixture.log();
    let mut changed = false;
    for (name, damage) in damages {
        let mut bytes = fixture.bytes(name).to_vec();
        damage(&mut bytes);
        changed |= bytes != fixture.bytes(name);
        std::fs::write(log.join(name), bytes).unwrap();
    }
    let about = format!("{}: {}: {}", tally.kind, damages.first().map_or("", |(name, _)| name), hit.what);
    if changed {
        judge(fixture, tally, hit, &about);
    }
    fixture.put_back();
}

/// Takes a file away, judges, puts it back.
pub(super) fn try_without(fixture: &Fixture, tally: &mut Tally, hit: &Hit<'_>, name: &str) {
    std::fs::remove_file(fixture.log().join(name)).unwrap();
    judge(fixture, tally, hit, &format!("{}: {name}", tally.kind));
    fixture.put_back();
}

fn judge(fixture: &Fixture, tally: &mut Tally, hit: &Hit<'_>, about: &str) {
    let log = fixture.log();
    tally.trials += 1;
    let committed = |record: &StoredRecord| is_committed(&record.header, &record.salt, &record.body);
    let verified = verify(&log, &mut VerifyOptions { commitment: Some(&committed), progress: None });
    let is_found = verified.as_ref().map_or(true, |report| !report.findings.is_empty());
    if let Ok((reader, _)) = open_read_only(&log) {
        // A look beside it says nothing else than what was written either.
        survivors(fixture, &reader, about);
    }
    let (mut writer, opened) = match EmbeddedLog::open(&log, &config()) {
        Ok(opened) => opened,
        Err(Fault::Damaged { .. }) if has_lost_its_headers(fixture, hit) => {
            tally.refused += 1;
            tally.reported += 1;
            return;
        }
        Err(fault) => panic!("{about}: the log does not open: {fault}"),
    };
    let last = fixture.records.last().unwrap().position;
    assert!(
        opened.epoch > last.epoch || opened.next_seq > last.seq,
        "{about}: positions from {}/{} on are used twice",
        opened.epoch,
        opened.next_seq
    );
    tally.reported += u64::from(is_found || !opened.report.is_clean());
    assert!(is_found || !opened.report.is_clean(), "{about}: not reported");
    let kept = survivors(fixture, &writer.reader(), about);
    let lost: Vec<u64> = (1..=last.seq).filter(|seq| !kept.contains(seq)).collect();
    assert_no_more(fixture, hit, &lost, about);
    tally.lost += lost.len() as u64;
    tally.lost_most = tally.lost_most.max(lost.len());
    let next = goes_on(&mut writer, fixture);
    writer.close().unwrap();
    let (writer, _) = EmbeddedLog::open(&log, &config()).unwrap();
    assert!(writer.reader().get(next).unwrap().is_some(), "{about}: what came after is gone");
}

/// The seqs that can be read; each holds what was written there.
fn survivors(fixture: &Fixture, reader: &LogReader, about: &str) -> BTreeSet<u64> {
    let (mut kept, mut seq) = (BTreeSet::new(), 1);
    while seq <= reader.head_seq() {
        let page = reader.scan(seq, PageLimit::default()).unwrap();
        assert!(page.next_seq > seq, "{about}: a page makes no progress");
        for stored in &page.records {
            let written = &fixture.records[usize::try_from(stored.position.seq).unwrap() - 1];
            if stored.position == written.position {
                let same = stored.header == written.header && stored.body == written.body;
                assert!(same, "{about}: {} reads as something else", stored.position);
                kept.insert(stored.position.seq);
            }
        }
        seq = page.next_seq;
    }
    kept
}

fn assert_no_more(fixture: &Fixture, hit: &Hit<'_>, lost: &[u64], about: &str) {
    match &hit.loss {
        Loss::Records(most) => assert!(lost.len() <= *most, "{about}: lost {lost:?}"),
        Loss::On(ranges) => {
            for seq in lost {
                let (file, from, to) = &fixture.frames[usize::try_from(*seq).unwrap() - 1];
                let touched = hits_both_copies(ranges, file)
                    || ranges.iter().any(|range| range.0 == *file && *from < range.2 && *to > range.1);
                assert!(touched, "{about}: {seq} is lost and stands elsewhere, in {file} at {from}");
            }
        }
    }
}

/// Whether what was hit is the last segment's header in both copies: nobody can read on there.
fn has_lost_its_headers(fixture: &Fixture, hit: &Hit<'_>) -> bool {
    let last = fixture.files().map(|(name, _)| name).filter(|name| name.starts_with("segment")).last();
    match &hit.loss {
        Loss::Records(_) => false,
        Loss::On(ranges) => last.is_some_and(|last| hits_both_copies(ranges, last)),
    }
}

/// Whether both copies of a segment's header are hit: with them goes all of the segment.
fn hits_both_copies(ranges: &[(String, usize, usize)], segment: &str) -> bool {
    let is_hit = |(from, to): &(usize, usize)| {
        ranges.iter().any(|(name, first, end)| name == segment && first < to && end > from)
    };
    segment.starts_with("segment") && COPIES.iter().all(is_hit)
}

/// Appends one record; its seq.
fn goes_on(writer: &mut EmbeddedLog, fixture: &Fixture) -> u64 {
    let mut position = fixture.records[0].position;
    (position.epoch, position.seq) = (writer.epoch(), writer.next_seq());
    let record =
        EncodedRecord { position, header: b"after".to_vec(), salt: [7; 16], body: b"the damage".to_vec() };
    writer.append(&[record]).unwrap();
    writer.sync().unwrap();
    position.seq
}
