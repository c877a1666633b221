//! Rewrites one sealed segment without the bodies that are no longer wanted. Headers stay, and with them the chain; what
//! is damaged stays damaged. The new file takes the old one's name when all of it is durable.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use openmesh_message::Position;

use super::disk::Disk;
use super::frame::{BATCH_HEAD_BYTES, BatchHead, Content, RecordHead, Seal, encode_record};
use super::segment::{DATA_START, FORMAT_VERSION, Segment, SegmentHeader, room_fault};
use super::start::fresh_identity;
use super::walker::{CHUNK_BYTES, Item, read_up_to};
use crate::failpoint;
use crate::fault::Fault;
use crate::planted::{self, Planted};
use crate::record::{SeqRange, StoredRecord};

/// A segment that is being rewritten.
pub(crate) const REWRITTEN_NAME: &str = "rewritten.tmp";
/// Bytes that are written and synced at once, so that the log's syncs find no long queue at the disk.
const PIECE_BYTES: usize = 1024 * 1024;
/// What stands where damage may have held an erased body.
const SCRUBBED: u8 = 0xff;

/// Which bodies go.
pub enum Unwanted<'a> {
    /// Those of these records; damage that may have held one of them is overwritten, too.
    Erased(&'a BTreeSet<u64>),
    /// Those of the records for which this says so. A segment with damage is left as it is.
    Ended(&'a dyn Fn(&StoredRecord) -> bool),
}

impl std::fmt::Debug for Unwanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Erased(_) => "Erased",
            Self::Ended(_) => "Ended",
        })
    }
}

impl Unwanted<'_> {
    fn is(&self, record: &StoredRecord) -> bool {
        match self {
            Self::Erased(seqs) => seqs.contains(&record.position.seq),
            Self::Ended(is_ended) => is_ended(record),
        }
    }

    fn may_be_in(&self, lost: SeqRange) -> bool {
        match self {
            Self::Erased(seqs) => {
                lost.first <= lost.last && seqs.range(lost.first..=lost.last).next().is_some()
            }
            Self::Ended(_) => false,
        }
    }
}

/// What a rewrite came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Bodies that went.
    pub bodies: u64,
    /// Bytes of the file before.
    pub bytes_before: u64,
    /// And after.
    pub bytes_after: u64,
}

/// Writes the segment anew; `None` where it is damaged and may not be touched, or nothing in it goes. Errors: `Full`, `Io`.
pub(crate) fn rewrite(
    disk: &Disk,
    folder: &Path,
    old: &Segment,
    unwanted: &Unwanted<'_>,
) -> Result<Option<(Segment, Rewritten)>, Fault> {
    let path = folder.join(REWRITTEN_NAME);
    let fault = |error: &io::Error| room_fault(folder, &path, old.header.file_bytes, error);
    failpoint::reached("compact.begun");
    let file = disk.create(&path).map_err(|error| fault(&error))?;
    let header = SegmentHeader { version: FORMAT_VERSION, identity: fresh_identity()?, ..old.header.clone() };
    let mut writing = Writing::new(disk, &file, header, unwanted);
    let bodies = match writing.all_of(old).map_err(|error| fault(&error))? {
        Some(bodies) if bodies > 0 => bodies,
        _ => {
            let _ = std::fs::remove_file(&path);
            return Ok(None);
        }
    };
    let header = writing.finish().map_err(|error| fault(&error))?;
    failpoint::reached("compact.written");
    disk.rename(&path, &folder.join(&old.name)).map_err(|error| fault(&error))?;
    failpoint::reached("compact.renamed");
    disk.sync_folder(folder).map_err(|error| fault(&error))?;
    failpoint::reached("compact.folder-synced");
    let (bytes_before, bytes_after) = (old.header.file_bytes, header.file_bytes);
    let rewritten = Rewritten { bodies, bytes_before, bytes_after };
    Ok(Some((Segment::new(old.name.clone(), header, file), rewritten)))
}

/// Damage, and the place in the new file's current batch where it is put.
struct Damage {
    from: u64,
    to: u64,
}

struct Writing<'a> {
    disk: &'a Disk,
    file: &'a File,
    header: SegmentHeader,
    seal: Seal,
    unwanted: &'a Unwanted<'a>,
    /// Where the batch under way will stand.
    at: u64,
    /// What is synced.
    synced_to: u64,
    head: Option<BatchHead>,
    /// The batch under way; room for its head stands first if it has one.
    batch: Vec<u8>,
    damage: Option<Damage>,
    next_seq: u64,
    bodies: u64,
}

impl<'a> Writing<'a> {
    fn new(disk: &'a Disk, file: &'a File, header: SegmentHeader, unwanted: &'a Unwanted<'a>) -> Self {
        Self {
            disk,
            file,
            seal: Seal::new(&header.identity, header.partition, header.number),
            unwanted,
            at: DATA_START,
            synced_to: DATA_START,
            head: None,
            batch: Vec::new(),
            damage: None,
            next_seq: header.first_seq,
            header,
            bodies: 0,
        }
    }

    /// How many bodies went; `None` for damage that must stay untouched.
    fn all_of(&mut self, old: &Segment) -> io::Result<Option<u64>> {
        let mut walker = old.walk(old.data_start(), CHUNK_BYTES);
        while let Some(item) = walker.next()? {
            match item {
                Item::Bad { .. } if matches!(self.unwanted, Unwanted::Ended(_)) => return Ok(None),
                Item::Bad { from, to, .. } => {
                    let from = self.damage.take().map_or(from, |damage| damage.from);
                    self.damage = Some(Damage { from, to });
                }
                Item::Batch { head, .. } => {
                    self.put_damage(old, head.first_seq)?;
                    self.end_batch()?;
                    self.batch.resize(BATCH_HEAD_BYTES, 0);
                    self.next_seq = head.first_seq;
                    self.head = Some(head);
                }
                Item::Record { at, head, frame } => {
                    self.put_damage(old, head.seq)?;
                    let partition = self.header.partition;
                    if let Some(record) = head.cut(&frame, partition, at) {
                        self.put(&head, &record);
                    }
                    self.next_seq = head.seq + 1;
                }
            }
        }
        self.put_damage(old, u64::MAX)?;
        self.end_batch()?;
        Ok(Some(self.bodies))
    }

    fn put(&mut self, head: &RecordHead, record: &StoredRecord) {
        let goes = record.is_erased || self.unwanted.is(record);
        self.bodies += u64::from(goes && !record.is_erased);
        let stays = !goes || (planted::has(Planted::KeepErasedBody) && !record.is_erased);
        let content = Content {
            position: Position { partition: self.header.partition, epoch: head.epoch, seq: head.seq },
            header: &record.header,
            salt_and_body: stays.then_some((&record.salt, &record.body)),
            chain: &head.chain,
        };
        let at = self.at + self.batch.len() as u64;
        encode_record(content, self.seal, at, &mut self.batch);
    }

    /// What does not check is as long as it was; where it may have held an erased body, none of it is left.
    fn put_damage(&mut self, old: &Segment, next_seq: u64) -> io::Result<()> {
        let Some(Damage { from, to }) = self.damage.take() else { return Ok(()) };
        let lost = SeqRange { first: self.next_seq, last: next_seq.saturating_sub(1) };
        let bytes = usize::try_from(to - from).unwrap_or(usize::MAX);
        let end = self.batch.len() + bytes;
        if !self.unwanted.may_be_in(lost) {
            self.batch.extend_from_slice(&read_up_to(&old.file, from, bytes)?);
        }
        self.batch.resize(end, SCRUBBED);
        Ok(())
    }

    fn end_batch(&mut self) -> io::Result<()> {
        if let Some(mut head) = self.head.take() {
            head.records_bytes = (self.batch.len() - BATCH_HEAD_BYTES) as u64;
            // All of the file is durable before it takes its name.
            head.synced_bytes = self.at;
            let mut bytes = Vec::new();
            head.encode(self.seal, self.at, &mut bytes);
            for (place, byte) in self.batch.iter_mut().zip(bytes) {
                *place = byte;
            }
        }
        let batch = std::mem::take(&mut self.batch);
        for (piece, offset) in batch.chunks(PIECE_BYTES).zip((self.at..).step_by(PIECE_BYTES)) {
            self.disk.write_at(self.file, piece, offset)?;
            self.at += piece.len() as u64;
            if self.at >= self.synced_to + PIECE_BYTES as u64 {
                self.disk.sync_content(self.file)?;
                self.synced_to = self.at;
            }
        }
        Ok(())
    }

    fn finish(self) -> io::Result<SegmentHeader> {
        let header = SegmentHeader { file_bytes: self.at, ..self.header };
        if !planted::has(Planted::ForgetHeader) {
            self.disk.write_at(self.file, &header.encode(), 0)?;
        }
        self.disk.sync_file(self.file)?;
        Ok(header)
    }
}
