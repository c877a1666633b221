//! One trial: damage some files, ask everything that can be asked, put the files back.

use super::damage::{Hit, Loss};
use super::fixture::{Fixture, config, memory_folder};
use openmesh_core::record::is_committed;
use openmesh_store::{
    EmbeddedLog, EncodedRecord, Fault, LogReader, PageLimit, StoredRecord, VerifyOptions, open_read_only,
    verify,
};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// The two copies of a segment's header: each on a page of its own.
const COPIES: [(usize, usize); 2] = [(0, 512), (4_096, 4_608)];
/// Files at the end of a log that an open and an append may change.
const LAST_FILES: usize = 2;

/// What came of all trials of a kind.
pub(super) struct Tally {
    kind: &'static str,
    pub(super) trials: u64,
    pub(super) reported: u64,
    lost: u64,
    lost_most: usize,
    refused: u64,
    pub(super) violations: Vec<String>,
    pub(super) took: Duration,
}

impl Tally {
    pub(super) const fn new(kind: &'static str) -> Self {
        Self {
            kind,
            trials: 0,
            reported: 0,
            lost: 0,
            lost_most: 0,
            refused: 0,
            violations: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// Both together.
    pub(super) fn with(mut self, mut other: Self) -> Self {
        self.trials += other.trials;
        self.reported += other.reported;
        self.lost += other.lost;
        self.lost_most = self.lost_most.max(other.lost_most);
        self.refused += other.refused;
        self.violations.append(&mut other.violations);
        self
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, trials, reported, lost, lost_most, refused, violations, took } = self;
        write!(
            f,
            "rot: {kind}: {trials} trials, {reported} reported, {lost} records lost, {lost_most} at most in one, \
             {refused} refused, {} violations, {:.1} s",
            violations.len(),
            took.as_secs_f64()
        )
    }
}

/// A copy of the fixture's folder to damage.
pub(super) struct Bench<'a> {
    fixture: &'a Fixture,
    folder: TempDir,
}

/// What a trial found.
struct Seen {
    is_reported: bool,
    is_refused: bool,
    lost: Vec<u64>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(fixture: &'a Fixture) -> Self {
        let bench = Self { fixture, folder: memory_folder() };
        for (name, bytes) in fixture.files() {
            std::fs::write(bench.path(name), bytes).unwrap();
        }
        bench
    }

    /// Damages files, judges what the log makes of it, puts them back.
    pub(super) fn try_hit(&self, hit: &Hit, tally: &mut Tally) {
        let mut is_changed = false;
        for (name, change) in &hit.changes {
            let whole = self.fixture.bytes(name);
            match change.made_of(whole.to_vec()) {
                Some(bytes) => {
                    is_changed |= bytes != whole;
                    std::fs::write(self.path(name), bytes).unwrap();
                }
                None => {
                    is_changed = true;
                    std::fs::remove_file(self.path(name)).unwrap();
                }
            }
        }
        if is_changed {
            tally.trials += 1;
            match self.judge(hit) {
                Ok(seen) => {
                    tally.reported += u64::from(seen.is_reported);
                    tally.refused += u64::from(seen.is_refused);
                    tally.lost += seen.lost.len() as u64;
                    tally.lost_most = tally.lost_most.max(seen.lost.len());
                }
                Err(broken) => tally.violations.push(format!("{}: {hit}: {broken}", tally.kind)),
            }
        }
        self.put_back(hit);
    }

    /// Flips a bit in each byte of the file that says where the log was written.
    pub(super) fn flip_lock(&self) -> Tally {
        let mut tally = Tally::new("one flipped bit of the lock");
        EmbeddedLog::open(self.folder.path(), &config()).unwrap().0.close().unwrap();
        let whole = std::fs::read(self.path("lock")).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(self.path("lock"), bytes).unwrap();
            let verified = verify(self.folder.path(), &mut VerifyOptions::default()).unwrap();
            let (writer, opened) = EmbeddedLog::open(self.folder.path(), &config()).unwrap();
            writer.close().unwrap();
            tally.trials += 1;
            tally.reported += u64::from(!verified.findings.is_empty() && !opened.report.is_clean());
            let is_whole = std::fs::read(self.path("lock")).unwrap() == whole;
            tally.violations.extend((!is_whole).then(|| format!("byte {at} of the lock stays as it was")));
        }
        tally
    }

    /// The folder is what it was before all trials.
    pub(super) fn assert_as_it_was(&self) {
        for (name, bytes) in self.fixture.files() {
            assert!(std::fs::read(self.path(name)).unwrap() == bytes, "{name} is what it was");
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts back what the hit changed and what an open, an append and a close may have.
    fn put_back(&self, hit: &Hit) {
        for entry in std::fs::read_dir(self.folder.path()).unwrap().flatten() {
            let name = entry.file_name();
            let is_ours = self.fixture.files().any(|(known, _)| name == known) || name == "lock";
            if !is_ours {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        let segments: Vec<&str> = self.fixture.segments().collect();
        let last = &segments[segments.len().saturating_sub(LAST_FILES)..];
        let is_changed = |name: &str| hit.is_on(name) || last.contains(&name);
        for (name, bytes) in self.fixture.files().filter(|(name, _)| is_changed(name)) {
            std::fs::write(self.path(name), bytes).unwrap();
        }
    }

    fn judge(&self, hit: &Hit) -> Result<Seen, String> {
        let (fixture, log) = (self.fixture, self.folder.path());
        let committed = |record: &StoredRecord| is_committed(&record.header, &record.salt, &record.body);
        let verified = verify(log, &mut VerifyOptions { commitment: Some(&committed), progress: None });
        let is_found = verified.as_ref().map_or(true, |report| !report.findings.is_empty());
        if let Ok((reader, _)) = open_read_only(log) {
            // A look beside it says nothing else than what was written either.
            let hit_files = fixture.segments().filter(|name| hit.is_on(name));
            for (first, last) in hit_files.filter_map(|name| fixture.seqs_in(name)) {
                survivors((fixture, hit), &reader, (first, last))?;
            }
        }
        let (writer, opened) = match EmbeddedLog::open(log, &config()) {
            Ok(opened) => opened,
            Err(Fault::Damaged { .. }) if has_lost_its_headers(fixture, hit) => {
                return Ok(Seen { is_reported: true, is_refused: true, lost: Vec::new() });
            }
            Err(fault) => return Err(format!("the log does not open: {fault}")),
        };
        let last = fixture.records.last().unwrap().position;
        if opened.epoch <= last.epoch && opened.next_seq <= last.seq {
            return Err(format!("positions from {}/{} on are used twice", opened.epoch, opened.next_seq));
        }
        let kept = survivors((fixture, hit), &writer.reader(), (1, last.seq))?;
        let lost: Vec<u64> = (1..=last.seq).filter(|seq| !kept.contains(seq)).collect();
        check_loss(fixture, hit, &lost)?;
        // Where only the last head is gone the log is as it was before it was closed, and that is what is said.
        let is_unclosed = opened.unclean && lost.is_empty();
        // A crash leaves files that end early, too; where nothing is lost with their ends that is as it should be.
        let is_harmless = lost.is_empty() && hit.only_cuts();
        let is_told =
            is_unclosed || is_harmless || !opened.report.is_clean() || !is_met_at_a_start(fixture, hit);
        if !(is_found || is_unclosed) || !is_told {
            return Err(format!("verify reports it: {is_found}; a start: {is_told}"));
        }
        self.goes_on(writer)?;
        Ok(Seen { is_reported: true, is_refused: false, lost })
    }

    /// Appends a record, and finds it after another start.
    fn goes_on(&self, mut writer: EmbeddedLog) -> Result<(), String> {
        let mut position = self.fixture.records[0].position;
        (position.epoch, position.seq) = (writer.epoch(), writer.next_seq());
        let (header, body) = (b"after".to_vec(), b"the damage".to_vec());
        writer.append(&[EncodedRecord { position, header, salt: [7; 16], body }]).unwrap();
        writer.sync().unwrap();
        writer.close().unwrap();
        let (writer, _) = EmbeddedLog::open(self.folder.path(), &config())
            .map_err(|fault| format!("the log does not open again: {fault}"))?;
        match writer.reader().get_at(position) {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("what came after is gone: {other:?}")),
        }
    }
}

/// Whether a start, which reads the last segment only, comes to what was hit.
fn is_met_at_a_start(fixture: &Fixture, hit: &Hit) -> bool {
    fixture.segments().last().is_some_and(|last| hit.is_on(last))
}

/// The seqs from `first` to `last` that can be read; each must hold what was written there.
fn survivors(
    (fixture, hit): (&Fixture, &Hit),
    reader: &LogReader,
    (first, last): (u64, u64),
) -> Result<BTreeSet<u64>, String> {
    let (mut kept, mut seq, last) = (BTreeSet::new(), first, last.min(reader.head_seq()));
    while seq <= last {
        let page = reader.scan(seq, PageLimit::default()).map_err(|fault| fault.to_string())?;
        if page.next_seq <= seq {
            return Err(format!("a page from {seq} on makes no progress"));
        }
        for stored in page.records.iter().filter(|stored| stored.position.seq <= last) {
            let written = &fixture.records[usize::try_from(stored.position.seq).unwrap() - 1];
            // One of another epoch was dropped once and is back with its page: only what says where an epoch begins could
            // tell, and that stood on the same page.
            if stored.position == written.position {
                if stored.header != written.header || stored.body != written.body {
                    return Err(format!("{} reads as something else", written.position));
                }
                kept.insert(stored.position.seq);
            } else if !fixture.begins_epoch_on(hit, stored.position.seq) {
                return Err(format!("{} reads as {}", written.position, stored.position));
            }
        }
        seq = page.next_seq;
    }
    Ok(kept)
}

fn check_loss(fixture: &Fixture, hit: &Hit, lost: &[u64]) -> Result<(), String> {
    match &hit.loss {
        Loss::Records(most) if lost.len() > *most => Err(format!("lost {lost:?}")),
        Loss::Records(_) => Ok(()),
        Loss::On(ranges) => {
            let spared = |seq: &&u64| {
                let (file, from, to) = &fixture.frames[usize::try_from(**seq).unwrap() - 1];
                let touches =
                    |(name, first, end): &(String, usize, usize)| name == file && from < end && to > first;
                !hits_both_copies(ranges, file) && !ranges.iter().any(touches)
            };
            let beyond: Vec<&u64> = lost.iter().filter(spared).collect();
            let Some(first) = beyond.first() else { return Ok(()) };
            let (file, from, to) = &fixture.frames[usize::try_from(**first).unwrap() - 1];
            Err(format!("{beyond:?} are lost and stand elsewhere, the first in {file} at {from}..{to}"))
        }
    }
}

/// Whether what was hit is the last segment's header in both copies: nobody can read on there.
fn has_lost_its_headers(fixture: &Fixture, hit: &Hit) -> bool {
    match &hit.loss {
        Loss::Records(_) => false,
        Loss::On(ranges) => fixture.segments().last().is_some_and(|last| hits_both_copies(ranges, last)),
    }
}

/// Whether both copies of a segment's header are hit: with them goes all of the segment.
fn hits_both_copies(ranges: &[(String, usize, usize)], segment: &str) -> bool {
    let is_hit = |(from, to): &(usize, usize)| {
        ranges.iter().any(|(name, first, end)| name == segment && first < to && end > from)
    };
    segment.starts_with("segment") && COPIES.iter().all(is_hit)
}
