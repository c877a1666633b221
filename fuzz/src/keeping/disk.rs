//! Writes segments and snapshots from `spec/log.md` alone, with nothing of the store's own code, and puts them into a
//! folder.

use openmesh_store::EncodedRecord;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use tempfile::TempDir;

pub(super) const PARTITION: u32 = 7;
pub(super) const IDENTITY: [u8; 16] = *b"a fixed identity";
/// Where frames begin.
pub(super) const FRAMES_AT: u64 = 1024;
pub(super) const BATCH_BYTES: u64 = 88;
/// Kinds of batch heads.
pub(super) const RECORDS: u32 = 0;
pub(super) const OPENED: u32 = 1;
pub(super) const CLOSED: u32 = 3;
const VERSION: u32 = 1;
const COPY_BYTES: usize = 512;
/// Where later formats have the second copy of a segment's header.
const LATER_COPY_AT: usize = 4096;
const FILE_BYTES_AT: usize = 72;

/// A segment being written.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) bytes: Vec<u8>,
    number: u64,
    /// Length of the file when it is done.
    pub(super) file_bytes: u64,
}

/// What a header says beside what is fixed here.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentStart {
    pub(super) number: u64,
    pub(super) epoch: u32,
    pub(super) first_seq: u64,
    pub(super) chain: [u8; 32],
    /// What it claims to be long; the file may be shorter.
    pub(super) file_bytes: u64,
}

/// The fields of a batch head.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchHead {
    pub(super) kind: u32,
    pub(super) epoch: u32,
    pub(super) count: u32,
    pub(super) records_bytes: u64,
    pub(super) first_seq: u64,
    pub(super) synced_seq: u64,
    pub(super) synced_bytes: u64,
    pub(super) chain: [u8; 32],
}

impl Segment {
    /// Both copies of the header.
    pub(super) fn new(start: SegmentStart) -> Self {
        let mut copy = prologue(b"OMLOGSEG");
        copy.extend(start.number.to_le_bytes());
        copy.extend(PARTITION.to_le_bytes());
        copy.extend(start.epoch.to_le_bytes());
        copy.extend(start.first_seq.to_le_bytes());
        copy.extend(start.chain);
        copy.extend(start.file_bytes.to_le_bytes());
        copy.extend(IDENTITY);
        copy.resize(COPY_BYTES - 4, 0);
        let checksum = crc32c::crc32c(&copy);
        copy.extend(checksum.to_le_bytes());
        Self { bytes: copy.repeat(2), number: start.number, file_bytes: start.file_bytes }
    }

    pub(super) fn name(&self) -> String {
        format!("segment-{:010}.log", self.number)
    }

    pub(super) fn at(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn add_head(&mut self, head: BatchHead) {
        let mut bytes = b"OMba".to_vec();
        bytes.extend(head.kind.to_le_bytes());
        bytes.extend(head.epoch.to_le_bytes());
        bytes.extend(head.count.to_le_bytes());
        bytes.extend(head.records_bytes.to_le_bytes());
        bytes.extend(head.first_seq.to_le_bytes());
        bytes.extend(head.synced_seq.to_le_bytes());
        bytes.extend(head.synced_bytes.to_le_bytes());
        bytes.extend(head.chain);
        bytes.extend([0; 4]);
        let checksum = self.bound(self.at(), &bytes);
        self.bytes.extend(&bytes);
        self.bytes.extend(checksum.to_le_bytes());
    }

    /// A record with that chain value; `claims` replaces the lengths of header and body that its head names.
    pub(super) fn add_record(&mut self, record: &EncodedRecord, chain: [u8; 32], claims: Option<(u32, u32)>) {
        let at = self.at();
        let lengths = (record.header.len() as u32, record.body.len() as u32);
        let (header_bytes, body_bytes) = claims.unwrap_or(lengths);
        let mut content = [&record.header[..], &record.body].concat();
        content.resize(content.len().next_multiple_of(8), 0);
        let mut head = b"OMre".to_vec();
        head.extend(header_bytes.to_le_bytes());
        head.extend(body_bytes.to_le_bytes());
        head.extend(record.position.epoch.to_le_bytes());
        head.extend(record.position.seq.to_le_bytes());
        head.extend(record.salt);
        head.extend(chain);
        head.extend(self.bound(at, &content).to_le_bytes());
        let checksum = self.bound(at, &head);
        head.extend(checksum.to_le_bytes());
        self.bytes.extend(head);
        self.bytes.extend(content);
    }

    fn bound(&self, at: u64, bytes: &[u8]) -> u32 {
        let place =
            [&IDENTITY[..], &PARTITION.to_le_bytes(), &self.number.to_le_bytes(), &at.to_le_bytes()].concat();
        crc32c::crc32c(&[&place, bytes].concat())
    }

    /// The file, zeros up to its length if that is not above `bytes_max`.
    pub(super) fn done(mut self, bytes_max: u64) -> (String, Vec<u8>) {
        let name = self.name();
        if self.file_bytes <= bytes_max {
            let length = usize::try_from(self.file_bytes).unwrap();
            self.bytes.resize(length.max(self.bytes.len()), 0);
        }
        (name, self.bytes)
    }
}

/// A snapshot as of a record, and its file's name.
pub(super) fn snapshot(epoch: u32, seq: u64, chain: [u8; 32], state: &[u8]) -> (String, Vec<u8>) {
    let mut bytes = prologue(b"OMSNAPSH");
    bytes.extend(PARTITION.to_le_bytes());
    bytes.extend(epoch.to_le_bytes());
    bytes.extend(seq.to_le_bytes());
    bytes.extend(chain);
    bytes.extend((state.len() as u64).to_le_bytes());
    let digest = Sha256::new().chain_update(&bytes).chain_update(state).finalize();
    bytes.extend(digest);
    bytes.extend(state);
    (format!("snapshot-{seq:020}.state"), bytes)
}

/// The next chain value.
pub(super) fn chain_after(chain: [u8; 32], header: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(chain).chain_update(header).finalize().into()
}

fn prologue(magic: &[u8; 8]) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// The lengths that the copies of a segment's header claim, whether they check or not.
pub(super) fn claimed_bytes(segment: &[u8]) -> u64 {
    let claim =
        |at: usize| segment.get(at..at + 8).map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
    [0, COPY_BYTES, LATER_COPY_AT]
        .into_iter()
        .map(|copy| claim(copy + FILE_BYTES_AT))
        .max()
        .unwrap_or_default()
}

/// A folder in memory, where the machine has one, with these files.
pub(super) fn folder(files: &[(String, Vec<u8>)]) -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    let folder = folder.unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}
