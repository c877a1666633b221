//! Reads everything in a log's folder and reports every byte that is not as it was written. Changes nothing.

mod findings;
mod frames;
mod segments;

use std::collections::BTreeMap;
use std::path::Path;

use openmesh_message::{Digest, PartitionId, Position};

use super::lock::{FolderLock, LOCK_NAME, is_sound};
use super::recovery::{file_names, segment_numbers};
use super::rewrite::REWRITTEN_NAME;
use super::segment::{SPARE_NAME, segment_name, segment_number};
use super::snapshot::{UNFINISHED_NAME, is_checkpoint, is_state_file, load, snapshots_and_checkpoints};
use crate::fault::Fault;
use crate::record::StoredRecord;
pub use findings::{Finding, Flaw, VerifyReport};
use segments::SegmentCheck;

/// What a crash may leave, and a running writer has for a while.
const UNFINISHED_NAMES: [&str; 3] = [SPARE_NAME, UNFINISHED_NAME, REWRITTEN_NAME];

/// Says whether a record's body is the one that its header commits to; only whoever wrote the header knows how.
pub type Commitment<'a> = dyn Fn(&StoredRecord) -> bool + 'a;

/// What a verification checks beyond bytes, and whom it tells how far it is.
#[derive(Default)]
pub struct VerifyOptions<'a> {
    /// Where given, bodies are checked against what their headers commit to.
    pub commitment: Option<&'a Commitment<'a>>,
    /// Called with bytes done and bytes in total, about once a MiB.
    pub progress: Option<&'a mut dyn FnMut(u64, u64)>,
}

impl std::fmt::Debug for VerifyOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyOptions")
            .field("commitment", &self.commitment.is_some())
            .finish_non_exhaustive()
    }
}

/// Verifies the log in `folder`. Beside a running writer, what looks torn at the end is on its way and not reported.
/// Errors: `Newer`, `Io`; damage is a finding, not an error.
pub fn verify(folder: &Path, options: &mut VerifyOptions<'_>) -> Result<VerifyReport, Fault> {
    let mut run = Run {
        folder,
        report: VerifyReport { writer_running: FolderLock::is_taken(folder), ..VerifyReport::default() },
        bytes_total: 0,
        snapshots: BTreeMap::new(),
        partition: None,
    };
    run.check_names()?;
    let mut check = SegmentCheck::new(options);
    let numbers = segment_numbers(folder)?;
    run.partition = check.partition_of(folder, &numbers)?;
    run.read_snapshots()?;
    for (index, number) in numbers.iter().enumerate() {
        check.segment(&mut run, *number, index + 1 == numbers.len())?;
    }
    check.finish(&run);
    run.compare_snapshots();
    Ok(run.report)
}

/// One verification under way.
struct Run<'a> {
    folder: &'a Path,
    report: VerifyReport,
    bytes_total: u64,
    /// What snapshots and checkpoints say of the log: seq and file to position and chain.
    snapshots: BTreeMap<(u64, String), (Position, Digest)>,
    partition: Option<PartitionId>,
}

impl Run<'_> {
    fn check_names(&mut self) -> Result<(), Fault> {
        for name in file_names(self.folder)? {
            let path = self.folder.join(&name);
            let about =
                std::fs::symlink_metadata(&path).map_err(|error| Fault::io("look at", &path, &error))?;
            let ours = segment_number(&name).is_some() || is_state_file(&name);
            if about.is_file() && ours {
                self.bytes_total += about.len();
            } else if about.is_file() && name == LOCK_NAME {
                let said = std::fs::read(&path).map_err(|error| Fault::io("read", &path, &error))?;
                self.find_if(!is_sound(&said), Finding::new(&name, 0, None, Flaw::Lock));
            } else if !UNFINISHED_NAMES.contains(&name.as_str()) || !about.is_file() {
                self.find(Finding::new(&name, 0, None, Flaw::ForeignFile));
            }
        }
        Ok(())
    }

    fn read_snapshots(&mut self) -> Result<(), Fault> {
        for (seq, file) in snapshots_and_checkpoints(self.folder)? {
            let path = self.folder.join(&file);
            self.report.bytes +=
                std::fs::metadata(&path).map_err(|error| Fault::io("look at", &path, &error))?.len();
            let count =
                if is_checkpoint(&file) { &mut self.report.checkpoints } else { &mut self.report.snapshots };
            *count += 1;
            let Some(partition) = self.partition else {
                continue;
            };
            match load(self.folder, &file, partition)? {
                Ok(snapshot) => {
                    self.snapshots.insert((seq, file), (snapshot.position, snapshot.chain));
                }
                Err(reason) => self.find(Finding::new(&file, 0, Some(seq), Flaw::SnapshotDamaged(reason))),
            }
        }
        Ok(())
    }

    /// Called for every record: a snapshot of this seq must agree with it.
    fn compare_snapshot(&mut self, position: Position, chain: Digest) {
        let of_seq = (position.seq, String::new())..(position.seq + 1, String::new());
        let of_seq: Vec<_> = self.snapshots.range(of_seq).map(|(key, said)| (key.clone(), *said)).collect();
        for (key, (at, expected)) in of_seq {
            let differs = at != position || expected != chain;
            self.find_if(differs, Finding::new(&key.1, 0, Some(at.seq), Flaw::SnapshotDisagrees));
            self.snapshots.remove(&key);
        }
    }

    /// The log begins with a later record than its first: what came before must have been let go behind a checkpoint, and
    /// the chain must go on from there. Those that end earlier are of no use any more.
    fn begin_behind(&mut self, name: &str, first_seq: u64, chain: &[u8; 32]) {
        self.report.first_seq = first_seq;
        let mut goes_on = false;
        let before: Vec<_> = self
            .snapshots
            .iter()
            .filter(|((seq, _), _)| *seq < first_seq)
            .map(|(key, said)| (key.clone(), *said))
            .collect();
        for (key, (_, expected)) in before {
            let is_last = key.0 + 1 == first_seq;
            let fits = expected.as_bytes() == chain;
            self.find_if(is_last && !fits, Finding::new(&key.1, 0, Some(key.0), Flaw::SnapshotDisagrees));
            goes_on |= is_last && fits && is_checkpoint(&key.1);
        }
        let checkpoints = self.snapshots.iter().filter(|((_, file), _)| is_checkpoint(file));
        let newest = checkpoints.map(|(_, (position, _))| *position).next_back();
        goes_on |= newest.is_some_and(|newest| newest.seq >= first_seq);
        self.report.begins_with = newest;
        self.find_if(!goes_on, Finding::new(name, 0, Some(first_seq), Flaw::NoState));
    }

    /// Snapshots whose record was not met: lost records have their own finding.
    fn compare_snapshots(&mut self) {
        let head_seq = self.report.head.map_or(0, |head| head.seq);
        for ((seq, file), _) in std::mem::take(&mut self.snapshots) {
            self.find_if(seq > head_seq, Finding::new(&file, 0, Some(seq), Flaw::SnapshotDisagrees));
        }
    }

    fn find(&mut self, finding: Finding) {
        self.report.findings.push(finding);
    }

    fn find_if(&mut self, wrong: bool, finding: Finding) {
        if wrong {
            self.find(finding);
        }
    }

    fn segment_name_and_length(&self, number: u64) -> Result<(String, u64), Fault> {
        let name = segment_name(number);
        let path = self.folder.join(&name);
        let length = std::fs::metadata(&path).map_err(|error| Fault::io("look at", &path, &error))?.len();
        Ok((name, length))
    }
}
