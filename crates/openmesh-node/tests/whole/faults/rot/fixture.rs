//! A folder to be damaged: the records of a real node that worked, in files small enough to damage each of many times.

use super::damage::Hit;
use super::is_campaign;
use crate::node::{Node, Way};
use openmesh_message::PartitionId;
use openmesh_sdk::{Performative, Sent};
use openmesh_store::{
    EmbeddedLog, EncodedRecord, LogConfig, StoredRecord, VerifyOptions, open_read_only, verify,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// So small that there are many of them.
const SEGMENT_BYTES: u64 = 64 * 1024;
/// How often the node was killed.
const LIVES: u32 = 2;
/// Messages sent in each life, in a campaign and in a test run.
const MANY: usize = 500;
const FEW: usize = 110;
/// Heads with which an epoch begins, and that of the batch after them.
const EPOCH_BYTES: usize = 3 * 88;
/// What stands before a record's header, and what its length is a multiple of.
const HEAD_BYTES: usize = 80;
const ALIGNMENT: usize = 8;
/// The file's own header ends before this byte.
const PAST_HEADER: usize = 4_608;
/// A batch's head and its first record's.
const TORN_BYTES: usize = 200;
/// Records in a batch, as a log under light load has them.
const BATCH: usize = 9;

/// A log as its files are.
pub(super) struct Fixture {
    files: BTreeMap<String, Vec<u8>>,
    /// The same files when half of it was written, and after a tail that was dropped since.
    earlier: Vec<BTreeMap<String, Vec<u8>>>,
    pub(super) records: Vec<StoredRecord>,
    /// Where each record stands: its file, its first byte, the byte after its last.
    pub(super) frames: Vec<(String, usize, usize)>,
}

pub(super) fn config() -> LogConfig {
    LogConfig { segment_bytes: SEGMENT_BYTES, ..LogConfig::new(PartitionId(0)) }
}

impl Fixture {
    /// Lets a node work, kills it, lets it work again, stops it, and writes its records into small files.
    pub(super) async fn make() -> Self {
        let home = memory_folder();
        let mut node = Node::start_in(home.path(), Way::with(&["--pin", "market/**"]));
        work_a_little(&mut node, if is_campaign() { MANY } else { FEW }).await;
        node.stop();
        let log = node.log();
        let (reader, _) = open_read_only(&log).unwrap();
        let records: Vec<_> = reader.records(1).map(Result::unwrap).collect();
        let snapshot =
            openmesh_store::open_read_only(&log).unwrap().1.snapshot.expect("a stopped node wrote one");
        drop(reader);
        std::fs::remove_dir_all(&log).unwrap();
        let earlier = write_again(&log, &records, &snapshot);
        let report = verify(&log, &mut VerifyOptions::default()).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        let files = read_files(&log);
        let frames = frames_of(&files, &records);
        Self { files, earlier, records, frames }
    }

    /// Names and bytes of the log's files but its lock.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let files = self.files.iter().filter(|(name, _)| *name != "lock");
        files.map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    pub(super) fn bytes(&self, name: &str) -> &[u8] {
        &self.files[name]
    }

    /// A page of a file, or what there is of it.
    pub(super) fn page(&self, name: &str, at: usize, page: usize) -> &[u8] {
        let bytes = self.bytes(name);
        &bytes[at..(at + page).min(bytes.len())]
    }

    /// The segments, in order.
    pub(super) fn segments(&self) -> impl Iterator<Item = &str> {
        self.files().map(|(name, _)| name).filter(|name| name.starts_with("segment"))
    }

    /// The first and the last record in a file.
    pub(super) fn seqs_in(&self, file: &str) -> Option<(u64, u64)> {
        let is_in = |(name, _, _): &(String, usize, usize)| name == file;
        let first = self.frames.iter().position(is_in)? as u64;
        let last = self.frames.iter().rposition(is_in)? as u64;
        Some((first + 1, last + 1))
    }

    /// Whether the heads with which a record's epoch begins stood where a page was taken back.
    pub(super) fn begins_epoch_on(&self, hit: &Hit, seq: u64) -> bool {
        let of = |seq: u64| &self.records[usize::try_from(seq).unwrap() - 1];
        let epoch = of(seq).position.epoch;
        let first = self.records.iter().position(|record| record.position.epoch == epoch).unwrap();
        let (file, from, _) = &self.frames[first];
        hit.turns_back(file, from.saturating_sub(EPOCH_BYTES))
    }

    /// Pages as they once were and are no more.
    pub(super) fn stale_pages(&self, page: usize) -> Vec<(String, usize, Vec<u8>)> {
        let mut stale = Vec::new();
        for files in &self.earlier {
            for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with("segment")) {
                let Some(whole) = self.files.get(name) else { continue };
                for at in (0..bytes.len().min(whole.len())).step_by(page) {
                    let end = (at + page).min(bytes.len()).min(whole.len());
                    if bytes[at..end] != whole[at..end] {
                        stale.push((name.clone(), at, bytes[at..end].to_vec()));
                    }
                }
            }
        }
        stale
    }
}

impl std::fmt::Display for Fixture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: usize = self.files().map(|(_, bytes)| bytes.len()).sum();
        let (records, files) = (self.records.len(), self.files().count());
        write!(f, "{records} records of {LIVES} lives in {files} files of {bytes} bytes")
    }
}

/// Sends a few messages of each kind and works off some of the mail, in each life.
async fn work_a_little(node: &mut Node, messages: usize) {
    let (key, _) = node.agent("ann").await;
    for _ in 0..LIVES {
        let mesh = node.connect(&key).await;
        let drafts = ["topic:market/load", "inbox:ann"].into_iter().cycle().take(messages).map(|to| {
            let draft = mesh.draft(to, &Performative::Inform).unwrap();
            draft.payload("text/plain", vec![b'x'; 300])
        });
        let envelopes = mesh.sign_batch(drafts.collect()).unwrap();
        for some in envelopes.chunks(BATCH) {
            let sent = mesh.send_batch(some.to_vec()).await.unwrap();
            assert!(sent.iter().all(Sent::is_accepted));
        }
        let leased = mesh.inbox().lease(20, Duration::from_secs(60), Duration::ZERO).await.unwrap();
        mesh.inbox().ack(leased[0].token, &[leased[0].number]).await.unwrap();
        node.kill_and_restart();
    }
}

/// In memory where the machine offers that: nothing here waits for a disk.
pub(super) fn memory_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

/// Writes the records as a node would have, epoch by epoch, and the snapshot; what the files were on the way.
fn write_again(
    log: &Path,
    records: &[StoredRecord],
    snapshot: &openmesh_store::LoadedSnapshot,
) -> Vec<BTreeMap<String, Vec<u8>>> {
    let (mut earlier, mut from) = (Vec::new(), 0);
    while from < records.len() {
        let epoch = records[from].position.epoch;
        let count = records[from..].iter().take_while(|record| record.position.epoch == epoch).count();
        let (mut writer, opened) = EmbeddedLog::open(log, &config()).unwrap();
        assert_eq!(opened.epoch, epoch, "an epoch begins with each unclean end");
        for (index, batch) in records[from..from + count].chunks(BATCH).enumerate() {
            writer.append(&batch.iter().map(encoded).collect::<Vec<_>>()).unwrap();
            writer.sync().unwrap();
            if index == count / BATCH / 2 {
                earlier.push(read_files(log));
            }
        }
        from += count;
        if from == records.len() {
            writer.write_snapshot(snapshot.position, &snapshot.state).unwrap();
            writer.close().unwrap();
        } else {
            leave_a_torn_tail(writer, &records[from..], log, &mut earlier);
        }
    }
    earlier
}

/// Writes what nobody is told of, and is gone: the next open drops it, and writes over it under another epoch.
fn leave_a_torn_tail(
    mut writer: EmbeddedLog,
    next: &[StoredRecord],
    log: &Path,
    earlier: &mut Vec<BTreeMap<String, Vec<u8>>>,
) {
    let (epoch, before) = (writer.epoch(), read_files(log));
    let lost = next.iter().take(BATCH).map(encoded).map(|mut record| {
        record.position.epoch = epoch;
        record
    });
    writer.append(&lost.collect::<Vec<_>>()).unwrap();
    drop(writer);
    let after = read_files(log);
    for (name, bytes) in after.iter().filter(|(name, _)| name.starts_with("segment")) {
        let first = match before.get(name) {
            Some(old) => old.iter().zip(bytes).position(|(old, byte)| old != byte),
            None => bytes.iter().skip(PAST_HEADER).position(|byte| *byte != 0).map(|at| at + PAST_HEADER),
        };
        if let Some(first) = first {
            let mut torn = bytes.clone();
            torn[first..first + TORN_BYTES].fill(0);
            std::fs::write(log.join(name), torn).unwrap();
            break;
        }
    }
    earlier.push(after);
}

fn encoded(stored: &StoredRecord) -> EncodedRecord {
    EncodedRecord {
        position: stored.position,
        header: stored.header.to_vec(),
        salt: stored.salt,
        body: stored.body.to_vec(),
    }
}

fn read_files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let read = entries
        .map(|entry| (entry.file_name().to_str().unwrap().to_owned(), std::fs::read(entry.path()).unwrap()));
    read.collect()
}

/// Finds each record by its header, which no other record has.
fn frames_of(files: &BTreeMap<String, Vec<u8>>, records: &[StoredRecord]) -> Vec<(String, usize, usize)> {
    let mut segments = files.iter().filter(|(name, _)| name.starts_with("segment"));
    let (mut name, mut bytes) = segments.next().unwrap();
    let (mut from, mut frames) = (0, Vec::new());
    for record in records {
        let header: &[u8] = &record.header;
        let at = loop {
            match bytes[from..].windows(header.len()).position(|window| window == header) {
                Some(at) => break from + at,
                None => ((name, bytes), from) = (segments.next().expect("every record is somewhere"), 0),
            }
        };
        let end = (at + header.len() + record.body.len()).next_multiple_of(ALIGNMENT);
        frames.push((name.clone(), at - HEAD_BYTES, end));
        from = at + header.len();
    }
    frames
}
