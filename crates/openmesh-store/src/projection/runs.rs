//! The runs there are, one after the other: read from their folder, added to, and merged so that there are never many.

use super::merge::{merge, replace};
use super::run::{Builder, Extent, Place, Posting, Run, RunName, SPAN_RECORDS, Span, UNFINISHED_NAME};
use super::topics::{self, TopicsFile};
use super::{Indexed, ProjectionFault, marker};
use crate::failpoint;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A run of so many records stands in a file.
const FILE_RECORDS_MIN: u64 = 2_048;
/// So many runs of a size become one.
const MERGED_MIN: usize = 8;
/// Sizes grow by this power of two.
const LEVEL_BITS: u32 = 3;
/// A run of so many records is merged no more.
const RECORDS_ENOUGH: u64 = 512 * 1024;
/// What an index of an earlier format had in its folder.
const EARLIER_NAMES: [&str; 5] =
    ["index.sqlite3", "index.sqlite3-wal", "index.sqlite3-shm", "index.sqlite3-journal", "closed"];

/// Every run of an index, in order. Cheap to copy, and a copy stays as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    pub(super) list: Vec<Arc<Run>>,
}

/// What is added: records that were looked at, and what they are found by.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) extent: Extent,
    /// A term, a record that has it, and where that lies.
    pub(super) postings: Vec<(u64, u64, u64)>,
    pub(super) spans: Vec<Span>,
    /// Topics that the index does not know, and their terms.
    pub(super) topics: BTreeMap<String, u64>,
}

/// The index's folder.
#[derive(Debug)]
pub(super) struct RunFolder {
    folder: PathBuf,
    version: u32,
    topics: TopicsFile,
    pub(super) runs: Runs,
}

impl Runs {
    /// The end of what they cover.
    pub(super) fn extent(&self) -> Extent {
        self.list.last().map(|run| run.extent).unwrap_or_default()
    }

    /// Where the run begins that has a record; past the last where none has.
    pub(super) fn place_of(&self, seq: u64) -> usize {
        self.list.partition_point(|run| run.extent.last_seq < seq)
    }

    /// From where on runs are to become one.
    fn to_merge(&self, is_at_rest: bool) -> Option<usize> {
        let sizes: Vec<u64> = self.list.iter().map(|run| run.extent.records()).collect();
        let open = sizes.iter().rposition(|size| *size >= RECORDS_ENOUGH).map_or(0, |last| last + 1);
        let sizes = sizes.get(open..).unwrap_or_default();
        let from = if is_at_rest { from_at_rest(sizes) } else { from_under_load(sizes) };
        from.map(|from| open + from)
    }

    /// Where those begin that stand in memory.
    fn in_memory_from(&self) -> usize {
        self.list.iter().rposition(|run| !run.is_in_memory()).map_or(0, |last| last + 1)
    }
}

/// Smaller runs before the last become one with it, so that runs are the smaller the later they are; and so many of a size
/// become one.
fn from_under_load(sizes: &[u64]) -> Option<usize> {
    let level = |size: &u64| size.ilog2() / LEVEL_BITS;
    let (last, before) = sizes.split_last()?;
    let smaller = before.iter().rev().take_while(|size| level(size) < level(last)).count();
    if smaller > 0 {
        return Some(before.len() - smaller);
    }
    let mut end = sizes.len();
    while let Some(last) = end.checked_sub(1).and_then(|last| sizes.get(last)) {
        let alike = |size: &&u64| level(size) == level(last);
        let begin = end - sizes.get(..end)?.iter().rev().take_while(alike).count();
        if end - begin >= MERGED_MIN {
            return Some(begin);
        }
        end = begin;
    }
    None
}

/// Those become one behind which there are as many records as are in them, or half.
fn from_at_rest(sizes: &[u64]) -> Option<usize> {
    let mut behind = 0;
    let from = sizes.iter().rposition(|size| {
        let is_larger = behind > 0 && *size > behind * 2;
        behind += size;
        is_larger
    });
    let from = from.map_or(0, |larger| larger + 1);
    (sizes.len() - from > 1).then_some(from)
}

impl Batch {
    /// One that begins where a run ends.
    pub(super) fn after(extent: &Extent) -> Self {
        let extent = Extent { first_seq: extent.last_seq + 1, before: extent.chain, ..*extent };
        Self { extent, ..Self::default() }
    }

    pub(super) fn add(&mut self, indexed: Indexed<'_>) {
        let Indexed { seq, at_byte, entry } = indexed;
        self.postings.extend(entry.terms.iter().map(|term| (*term, seq, at_byte)));
        let number = seq / SPAN_RECORDS;
        match self.spans.last_mut().filter(|last| last.number == number) {
            Some(span) => {
                span.first_at = span.first_at.min(entry.at);
                span.last_at = span.last_at.max(entry.at);
            }
            None => self.spans.push(Span { number, first_at: entry.at, last_at: entry.at }),
        }
    }

    fn into_run(mut self, place: Place) -> Result<Run, ProjectionFault> {
        self.postings.sort_unstable();
        self.postings.dedup();
        let mut builder = Builder::new(self.extent, place)?;
        for (term, seq, at_byte) in self.postings {
            builder.push(term, &Posting::one(seq, at_byte))?;
        }
        builder.finish(self.spans)
    }
}

impl RunFolder {
    /// Opens the index, or makes an empty one; also its topics. Errors: `Unfit` where there is one that cannot go on.
    pub(super) fn open(folder: &Path, version: u32) -> Result<(Self, Vec<(String, u64)>), ProjectionFault> {
        let fault = |cause| ProjectionFault::Folder { folder: folder.to_owned(), cause };
        std::fs::create_dir_all(folder).map_err(fault)?;
        marker::set(folder)?;
        failpoint::reached("index.marked");
        let mut runs: Vec<Arc<Run>> = Vec::new();
        let mut topics_bytes = 0;
        for name in run_names(folder).map_err(fault)? {
            let before = runs.last().map(|run| run.extent);
            if before.is_some_and(|before| name.last_seq <= before.last_seq) {
                // It was merged, and the program ended before it was removed.
                std::fs::remove_file(folder.join(name.text())).map_err(fault)?;
                continue;
            }
            let (run, topics) = Run::open(folder, name, version)?;
            let follows = |before: &Extent| {
                (run.extent.first_seq, run.extent.before) == (before.last_seq + 1, before.chain)
            };
            if !before.as_ref().is_none_or(follows) {
                return Err(ProjectionFault::Unfit(format!("{} follows nothing", name.text())));
            }
            topics_bytes = topics_bytes.max(topics);
            runs.push(Arc::new(run));
        }
        for name in EARLIER_NAMES.into_iter().chain([UNFINISHED_NAME]) {
            remove_file(&folder.join(name)).map_err(fault)?;
        }
        let (list, topics) = TopicsFile::open(folder, topics_bytes)?;
        Ok((Self { folder: folder.to_owned(), version, topics: list, runs: Runs { list: runs } }, topics))
    }

    /// Adds what comes next; it is there from then on.
    pub(super) fn add(&mut self, batch: Batch) -> Result<(), ProjectionFault> {
        self.topics.add(&batch.topics)?;
        let is_large = batch.extent.records() >= FILE_RECORDS_MIN;
        let follows_files = self.runs.list.last().is_none_or(|last| !last.is_in_memory());
        let run = batch.into_run(if is_large && follows_files { self.file() } else { Place::Memory })?;
        self.runs.list.push(Arc::new(run));
        Ok(())
    }

    /// Merges what is to be merged; what it was given to stop it leaves all as it is.
    pub(super) fn settle(&mut self, is_at_rest: bool, stopping: &AtomicBool) -> Result<(), ProjectionFault> {
        let in_memory = self.runs.in_memory_from();
        let waiting = self.runs.list.iter().skip(in_memory).map(|run| run.extent.records());
        if waiting.sum::<u64>() >= FILE_RECORDS_MIN {
            self.merge_from(in_memory, stopping)?;
        }
        while let Some(from) = self.runs.to_merge(is_at_rest) {
            let runs = self.runs.list.len();
            self.merge_from(from, stopping)?;
            if self.runs.list.len() >= runs {
                break;
            }
        }
        Ok(())
    }

    fn merge_from(&mut self, from: usize, stopping: &AtomicBool) -> Result<(), ProjectionFault> {
        let merged = self.runs.list.get(from..).unwrap_or_default().to_vec();
        let records: u64 = merged.iter().map(|run| run.extent.records()).sum();
        let is_kept_in_memory = records < FILE_RECORDS_MIN && merged.iter().all(|run| run.is_in_memory());
        let place = if is_kept_in_memory { Place::Memory } else { self.file() };
        let Some(run) = merge(&merged, place, stopping)? else { return Ok(()) };
        let own = run.path().cloned();
        self.runs.list.truncate(from);
        self.runs.list.push(Arc::new(run));
        for path in merged.iter().filter_map(|run| run.path()).filter(|path| own.as_ref() != Some(path)) {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Forgets runs that end before a record.
    pub(super) fn forget_before(&mut self, first_seq: u64) -> Result<bool, ProjectionFault> {
        // What the last one says tells how far the index goes.
        let count = self.runs.place_of(first_seq).min(self.runs.list.len().saturating_sub(1));
        for run in self.runs.list.drain(..count) {
            if let Some(path) = run.path() {
                std::fs::remove_file(path)?;
            }
        }
        Ok(count > 0)
    }

    /// Puts what is left of some records in the place of what was known of them.
    pub(super) fn replace(
        &mut self,
        seqs: &BTreeSet<u64>,
        left: &[(u64, u64, u64)],
    ) -> Result<(), ProjectionFault> {
        for place in 0..self.runs.list.len() {
            let Some(run) = self.runs.list.get(place).map(Arc::clone) else { return Ok(()) };
            let (first, last) = (run.extent.first_seq, run.extent.last_seq);
            if seqs.range(first..=last).next().is_none() {
                continue;
            }
            let postings = left.iter().filter(|(_, seq, _)| (first..=last).contains(seq)).copied();
            let instead = Batch { extent: run.extent, postings: postings.collect(), ..Batch::default() };
            let instead = instead.into_run(Place::Memory)?;
            let place_of_run = if run.is_in_memory() { Place::Memory } else { self.file() };
            let replaced = Arc::new(replace(&run, seqs, &instead, place_of_run)?);
            if let Some(slot) = self.runs.list.get_mut(place) {
                *slot = replaced;
            }
        }
        Ok(())
    }

    /// Closes the index so that a power cut does not harm it any more.
    pub(super) fn close(mut self) -> Result<(), ProjectionFault> {
        failpoint::reached("index.before-close");
        let in_memory = self.runs.in_memory_from();
        if in_memory < self.runs.list.len() {
            let merged = self.runs.list.get(in_memory..).unwrap_or_default().to_vec();
            let run = merge(&merged, self.file(), &AtomicBool::new(false))?;
            self.runs.list.truncate(in_memory);
            self.runs.list.extend(run.map(Arc::new));
        }
        self.runs.list.iter().try_for_each(|run| run.sync())?;
        self.topics.sync()?;
        let fault = |cause| ProjectionFault::Folder { folder: self.folder.clone(), cause };
        marker::close(&self.folder).map_err(fault)?;
        failpoint::reached("index.closed");
        Ok(())
    }

    fn file(&self) -> Place {
        let (folder, version) = (self.folder.clone(), self.version);
        Place::Folder { folder, version, topics_bytes: self.topics.bytes() }
    }
}

/// Throws the index away.
pub(super) fn remove(folder: &Path) -> Result<(), ProjectionFault> {
    let remove_all = || {
        for name in run_names(folder)? {
            remove_file(&folder.join(name.text()))?;
        }
        for name in EARLIER_NAMES.into_iter().chain([UNFINISHED_NAME, topics::FILE_NAME]) {
            remove_file(&folder.join(name))?;
        }
        marker::clear(folder)
    };
    remove_all().map_err(|cause| ProjectionFault::Folder { folder: folder.to_owned(), cause })
}

/// Those in the folder: what begins first first, and of those the longest.
fn run_names(folder: &Path) -> std::io::Result<Vec<RunName>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.extend(entry?.file_name().to_str().and_then(RunName::read));
    }
    names.sort_unstable_by_key(|name| (name.first_seq, std::cmp::Reverse(name.last_seq)));
    Ok(names)
}

fn remove_file(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Batch, FILE_RECORDS_MIN, RECORDS_ENOUGH, RunFolder, from_at_rest, from_under_load, run_names,
    };
    use crate::projection::run::Extent;
    use crate::projection::{Entry, Indexed, ProjectionFault};
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::atomic::AtomicBool;

    static GO_ON: AtomicBool = AtomicBool::new(false);

    fn open(folder: &Path) -> Result<RunFolder, ProjectionFault> {
        RunFolder::open(folder, 1).map(|(index, _)| index)
    }

    fn add(index: &mut RunFolder, records: u64) {
        let mut batch = Batch::after(&index.runs.extent());
        let first_seq = batch.extent.first_seq;
        for seq in first_seq..first_seq + records {
            let entry = Entry { terms: vec![seq % 3, 10 + seq], ..Entry::default() };
            batch.add(Indexed { seq, at_byte: seq * 8, entry: &entry });
        }
        let last_seq = first_seq + records - 1;
        let chain = [1 + (last_seq % 200) as u8; 32];
        batch.extent = Extent { last_seq, chain_seq: last_seq, chain, ..batch.extent };
        index.add(batch).unwrap();
    }

    /// Every record by its own term.
    fn all(index: &RunFolder) -> BTreeSet<u64> {
        let mut found = Vec::new();
        let seqs = 1..=index.runs.extent().last_seq;
        let has = |seq: &u64| {
            let run = &index.runs.list[index.runs.place_of(*seq)];
            run.seek(10 + seq, (*seq, false), &mut found).unwrap();
            found.first().is_some_and(|posting| (posting.first, posting.at_byte) == (*seq, Some(seq * 8)))
        };
        seqs.filter(has).collect()
    }

    #[test]
    fn there_are_never_many_runs_and_a_record_is_merged_seldom() {
        let (mut sizes, mut written): (Vec<u64>, u64) = (Vec::new(), 0);
        let added = (0..40_000).map(|turn: u64| if turn % 1_000 < 990 { 1 + turn % 60 } else { 16_384 });
        for size in added {
            sizes.push(size);
            let open = sizes.iter().rposition(|size| *size >= RECORDS_ENOUGH).map_or(0, |last| last + 1);
            while let Some(from) = from_under_load(&sizes[open..]) {
                let merged = sizes.drain(open + from..).sum();
                written += merged;
                sizes.push(merged);
            }
            let open = sizes.iter().filter(|size| **size < RECORDS_ENOUGH).count();
            assert!(open < 7 * 8, "{sizes:?}");
        }
        let all: u64 = sizes.iter().sum();
        assert!(written < all * 8, "{written} written of {all}");
        assert_eq!(from_at_rest(&[500, 30, 30, 30]), Some(1));
        assert_eq!(from_at_rest(&[500, 200, 60, 30]), Some(2));
        assert_eq!(from_at_rest(&[500, 70, 30]), None);
        assert_eq!(from_at_rest(&[500]), None);
    }

    #[test]
    fn what_stands_in_files_is_there_again_and_no_crash_leaves_a_gap() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut index = open(folder).unwrap();
        for records in [10, FILE_RECORDS_MIN, 5, 5, FILE_RECORDS_MIN * 2, 40] {
            add(&mut index, records);
            index.settle(false, &GO_ON).unwrap();
        }
        let whole = index.runs.extent();
        assert_eq!(all(&index).len() as u64, whole.last_seq);
        // The program ends: what stood in memory is gone, and nothing else.
        drop(index);
        let mut index = open(folder).unwrap();
        assert!(index.runs.extent().last_seq >= FILE_RECORDS_MIN * 3);
        assert_eq!(all(&index).len() as u64, index.runs.extent().last_seq);
        (0..3).for_each(|_| add(&mut index, FILE_RECORDS_MIN));
        let runs = index.runs.list.len();
        let kept: Vec<_> = index.runs.list.iter().filter_map(|run| run.path().cloned()).collect();
        let files: Vec<_> = kept.iter().map(|path| (path, std::fs::read(path).unwrap())).collect();
        index.settle(true, &GO_ON).unwrap();
        assert!(index.runs.list.len() < runs);
        let extent = index.runs.extent();
        index.close().unwrap();
        // As if it had ended between a merge and the removal of what was merged.
        files.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
        let index = open(folder).unwrap();
        assert_eq!((index.runs.extent(), all(&index).len() as u64), (extent, extent.last_seq));
        assert_eq!(run_names(folder).unwrap().len(), index.runs.list.len());
    }

    #[test]
    fn a_run_that_is_missing_or_follows_another_log_is_noticed() {
        for is_missing in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let mut index = open(folder).unwrap();
            (0..3).for_each(|_| add(&mut index, FILE_RECORDS_MIN));
            let path = index.runs.list[1].path().cloned().unwrap();
            index.close().unwrap();
            if is_missing {
                std::fs::remove_file(path).unwrap();
            } else {
                let other = tempfile::tempdir().unwrap();
                let mut index = open(other.path()).unwrap();
                add(&mut index, FILE_RECORDS_MIN - 1);
                add(&mut index, 1);
                index.runs.list.clear();
                let mut batch = Batch::after(&Extent { last_seq: FILE_RECORDS_MIN, ..Extent::default() });
                batch.extent.last_seq = FILE_RECORDS_MIN * 2;
                index.add(batch).unwrap();
                std::fs::copy(index.runs.list[0].path().unwrap(), path).unwrap();
            }
            assert!(matches!(open(folder), Err(ProjectionFault::Unfit(_))), "{is_missing}");
        }
    }
}
