//! One segment file: its header, kept twice, so that damage to one copy loses nothing; how it is made and opened;
//! and the sparse index by which readers find a seq in it.

mod marks;

pub(crate) use marks::Marks;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use openmesh_message::PartitionId;

use super::FIRST_SEQ;
use super::disk::{Disk, is_full};
use super::frame::{Seal, array_at, number_at, u32_at};
use super::walker::{CHUNK_BYTES, Item, Walker, read_up_to};
use crate::failpoint;
use crate::fault::Fault;
use crate::planted::{self, Planted};

/// Where frames begin in what this program writes: after the second copy of the header.
pub(crate) const DATA_START: u64 = data_start(FORMAT_VERSION);
/// Bytes of one copy of the header.
const COPY_BYTES: u64 = 512;
/// The newest format this program reads, and the one it writes. Version 1 knows no erased records, and has both copies of
/// the header on one page.
pub(crate) const FORMAT_VERSION: u32 = 2;
/// Room made ready for the segment after this one, without a header yet.
pub(crate) const SPARE_NAME: &str = "spare.tmp";

const MAGIC: [u8; 8] = *b"OMLOGSEG";
const PROLOGUE_BYTES: usize = 16;
/// What is read to find a header of any version.
const HEADER_BYTES_MAX: usize = 4096 + 512;
const COPY_CHECKSUM_AT: usize = 508;
/// What is read for one record whose place is known: most are smaller.
const POINT_READ_BYTES: usize = 2 * 1024;

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) version: u32,
    pub(crate) number: u64,
    pub(crate) partition: PartitionId,
    pub(crate) epoch: u32,
    pub(crate) first_seq: u64,
    pub(crate) chain: [u8; 32],
    pub(crate) file_bytes: u64,
    pub(crate) identity: [u8; 16],
}

/// Why a copy of a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyFlaw {
    Newer(u32),
    Damaged,
}

impl SegmentHeader {
    /// Both copies, and the zeros between them.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut copy = prologue(MAGIC, FORMAT_VERSION);
        copy.extend_from_slice(&self.number.to_le_bytes());
        copy.extend_from_slice(&self.partition.0.to_le_bytes());
        copy.extend_from_slice(&self.epoch.to_le_bytes());
        copy.extend_from_slice(&self.first_seq.to_le_bytes());
        copy.extend_from_slice(&self.chain);
        copy.extend_from_slice(&self.file_bytes.to_le_bytes());
        copy.extend_from_slice(&self.identity);
        copy.resize(COPY_CHECKSUM_AT, 0);
        copy.extend_from_slice(&crc32c::crc32c(&copy).to_le_bytes());
        let mut both = copy.clone();
        both.resize(usize::try_from(second_copy_at(FORMAT_VERSION)).unwrap_or_default(), 0);
        both.extend_from_slice(&copy);
        both
    }

    pub(crate) fn decode(copy: &[u8]) -> Result<Self, CopyFlaw> {
        if let Some(version) = newer_version(copy, MAGIC, FORMAT_VERSION) {
            return Err(CopyFlaw::Newer(version));
        }
        Self::decode_fields(copy).ok_or(CopyFlaw::Damaged)
    }

    fn decode_fields(copy: &[u8]) -> Option<Self> {
        let whole = crc32c::crc32c(copy.get(..COPY_CHECKSUM_AT)?) == u32_at(copy, COPY_CHECKSUM_AT)?;
        if !whole || copy.get(..8)? != MAGIC {
            return None;
        }
        Some(Self {
            version: u32_at(copy, 8)?,
            number: number_at(copy, 16)?,
            partition: PartitionId(u32_at(copy, 24)?),
            epoch: u32_at(copy, 28)?,
            first_seq: number_at(copy, 32).filter(|seq| *seq >= FIRST_SEQ)?,
            chain: array_at(copy, 40)?,
            file_bytes: number_at(copy, 72)?,
            identity: array_at(copy, 80)?,
        })
    }
}

/// Where the second copy of the header stands: on a page of its own, since a page is what is lost at once.
const fn second_copy_at(version: u32) -> u64 {
    if version == 1 { COPY_BYTES } else { 4096 }
}

/// Where frames begin.
const fn data_start(version: u32) -> u64 {
    second_copy_at(version) + COPY_BYTES
}

/// Magic, version and their own checksum: the part of a file that stays the same in every later format.
pub(crate) fn prologue(magic: [u8; 8], version: u32) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// The version of a file that is certainly newer than `supported`.
pub(crate) fn newer_version(bytes: &[u8], magic: [u8; 8], supported: u32) -> Option<u32> {
    let version = u32_at(bytes, 8)?;
    (version > supported && bytes.get(..PROLOGUE_BYTES)? == prologue(magic, version)).then_some(version)
}

/// An open segment. The file is read by position, from any thread.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) header: SegmentHeader,
    pub(crate) seal: Seal,
    pub(crate) file: Arc<File>,
    /// Sparse and ordered; none until somebody reads the segment.
    marks: RwLock<Option<Marks>>,
}

impl Segment {
    pub(crate) fn new(name: String, header: SegmentHeader, file: File) -> Self {
        let seal = Seal::new(&header.identity, header.partition, header.number);
        Self { name, header, seal, file: Arc::new(file), marks: RwLock::new(None) }
    }

    /// Opens an existing file. The second value lists damaged copies of the header as byte ranges.
    /// Errors: `Newer`, `Damaged` (both copies), `Io`.
    pub(crate) fn open(folder: &Path, name: &str, writable: bool) -> Result<(Self, Vec<(u64, u64)>), Fault> {
        let path = folder.join(name);
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(writable)
            .open(&path)
            .map_err(|error| Fault::io("open", &path, &error))?;
        let bytes =
            read_up_to(&file, 0, HEADER_BYTES_MAX).map_err(|error| Fault::io("read", &path, &error))?;
        let copy_at = |at: u64| SegmentHeader::decode(bytes.get(index(at)..).unwrap_or_default());
        let newer = |found| Fault::Newer { file: name.to_owned(), found, supported: FORMAT_VERSION };
        let mut good = None;
        let places =
            [(0, 1..=FORMAT_VERSION), (second_copy_at(1), 1..=1), (second_copy_at(2), 2..=FORMAT_VERSION)];
        for (at, versions) in places {
            match copy_at(at) {
                Ok(header) if versions.contains(&header.version) => good = good.or(Some(header)),
                Err(CopyFlaw::Newer(found)) if at == 0 => return Err(newer(found)),
                Ok(_) | Err(_) => {}
            }
        }
        let bad = good.as_ref().map_or_else(Vec::new, |header| damage_to_header(header, &bytes));
        // Under another name it would follow, or be followed by, a segment it does not belong to.
        let own_name = |header: &SegmentHeader| segment_name(header.number) == name;
        let header =
            good.filter(own_name).ok_or_else(|| Fault::Damaged { file: name.to_owned(), seq: None })?;
        Ok((Self::new(name.to_owned(), header, file), bad))
    }

    /// Turns the spare into a segment: header, sync, name, sync of the folder; after this a content sync suffices.
    pub(crate) fn create(
        disk: &Disk,
        folder: &Path,
        spare: Spare,
        header: SegmentHeader,
    ) -> io::Result<Self> {
        let header = SegmentHeader { file_bytes: spare.bytes, ..header };
        let name = segment_name(header.number);
        let is_late = planted::has(Planted::NameBeforeHeader);
        if is_late {
            disk.rename(&folder.join(SPARE_NAME), &folder.join(&name))?;
        } else {
            disk.write_at(&spare.file, &header.encode(), 0)?;
        }
        failpoint::reached("roll.header-written");
        if is_late {
            disk.write_at(&spare.file, &header.encode(), 0)?;
            return Ok(Self::begun(name, header, spare.file));
        }
        // Length and layout of the file were synced with its room.
        disk.sync_content(&spare.file)?;
        failpoint::reached("roll.header-synced");
        disk.rename(&folder.join(SPARE_NAME), &folder.join(&name))?;
        failpoint::reached("roll.renamed");
        disk.sync_folder(folder)?;
        failpoint::reached("roll.folder-synced");
        Ok(Self::begun(name, header, spare.file))
    }

    /// One without records.
    fn begun(name: String, header: SegmentHeader, file: File) -> Self {
        let segment = Self::new(name, header, file);
        segment.set_marks(Marks::default());
        segment
    }

    /// Where its frames begin.
    pub(crate) fn data_start(&self) -> u64 {
        if planted::has(Planted::MisplaceFirstFormat) {
            return DATA_START;
        }
        data_start(self.header.version)
    }

    /// Whether both copies of the header check and say different things.
    pub(crate) fn copies_differ(&self) -> bool {
        let bytes = read_up_to(&self.file, 0, HEADER_BYTES_MAX).unwrap_or_default();
        let copy = |at| SegmentHeader::decode(bytes.get(index(at)..).unwrap_or_default()).ok();
        copy(0).zip(copy(second_copy_at(self.header.version))).is_some_and(|(first, second)| first != second)
    }

    pub(crate) fn walk(&self, from: u64, chunk_bytes: usize) -> Walker {
        Walker::new(Arc::clone(&self.file), self.seal, from, self.header.file_bytes, chunk_bytes)
    }

    /// What begins at `at`, if anything whole does. Errors: reading failed.
    pub(crate) fn item_at(&self, at: u64) -> io::Result<Option<Item>> {
        self.walk(at, POINT_READ_BYTES).here()
    }

    pub(crate) fn fault(&self, doing: &'static str, error: &io::Error) -> Fault {
        Fault::io(doing, Path::new(&self.name), error)
    }

    pub(crate) fn set_marks(&self, marks: Marks) {
        *self.marks.write().unwrap_or_else(PoisonError::into_inner) = Some(marks);
    }

    /// Notes where a record begins.
    pub(crate) fn add_mark(&self, seq: u64, at: u64) {
        if let Some(marks) = self.marks.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            marks.push(seq, at);
        }
    }

    /// Where to begin looking for `seq`, if it was read where records are.
    pub(crate) fn marked(&self, seq: u64) -> Option<u64> {
        let marks = self.marks.read().unwrap_or_else(PoisonError::into_inner);
        marks.as_ref().map(|marks| self.mark_before(marks, seq))
    }

    /// Where to begin looking for `seq`. Reads the whole segment the first time. Errors: reading failed.
    pub(crate) fn seek(&self, seq: u64) -> io::Result<u64> {
        if let Some(at) = self.marked(seq) {
            return Ok(at);
        }
        let marks = self.read_marks()?;
        let at = self.mark_before(&marks, seq);
        self.set_marks(marks);
        Ok(at)
    }

    fn mark_before(&self, marks: &Marks, seq: u64) -> u64 {
        marks.before(seq).unwrap_or_else(|| self.data_start())
    }

    fn read_marks(&self) -> io::Result<Marks> {
        let mut marks = Marks::default();
        let mut walker = self.walk(self.data_start(), CHUNK_BYTES);
        let mut latest = Latest::after(self, 0);
        while let Some(item) = walker.next()? {
            if latest.is_before(&item) {
                continue;
            }
            if let Item::Record { at, head, .. } = item {
                marks.push(head.seq, at);
            }
        }
        Ok(marks)
    }
}

/// The latest epoch met on a walk through a segment: epochs never fall, so that a frame of an earlier one stands on a page
/// that is older than the frames before it.
#[derive(Debug)]
pub(crate) struct Latest(u32);

impl Latest {
    /// Where a walk through a segment begins, behind frames of which this epoch is the latest.
    pub(crate) fn after(segment: &Segment, epoch: u32) -> Self {
        Self(segment.header.epoch.max(epoch))
    }

    /// Whether an item is of an earlier epoch than one before it.
    pub(crate) fn is_before(&mut self, item: &Item) -> bool {
        let epoch = match item {
            Item::Batch { head, .. } => head.epoch,
            Item::Record { head, .. } => head.epoch,
            Item::Bad { .. } => return false,
        };
        if epoch < self.0 && !planted::has(Planted::TrustStalePage) {
            return true;
        }
        self.0 = self.0.max(epoch);
        false
    }
}

/// The byte ranges of a readable header that do not check: either copy, and what stands between them.
fn damage_to_header(header: &SegmentHeader, bytes: &[u8]) -> Vec<(u64, u64)> {
    let second = second_copy_at(header.version);
    let is_bad = |at: u64| SegmentHeader::decode(bytes.get(index(at)..).unwrap_or_default()).is_err();
    let copies = [0, second].into_iter().filter(|at| is_bad(*at)).map(|at| (at, at + COPY_BYTES));
    let between = bytes.get(index(COPY_BYTES)..index(second)).unwrap_or_default();
    let marred = between.iter().any(|byte| *byte != 0).then_some((COPY_BYTES, second));
    copies.chain(marred).collect()
}

/// A place in what was read of a file's beginning.
fn index(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// Room on disk that will become a segment.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) file: File,
    pub(crate) bytes: u64,
    /// Up to here it is not only reserved.
    pub(crate) real_to: u64,
}

impl Spare {
    /// Errors: `Full` (and nothing is left behind), `Io`.
    pub(crate) fn make(disk: &Disk, folder: &Path, bytes: u64) -> Result<Self, Fault> {
        let path = folder.join(SPARE_NAME);
        let file = disk.create(&path).map_err(|error| room_fault(folder, &path, bytes, &error))?;
        let made = disk.allocate(&file, bytes).and_then(|()| disk.sync_file(&file));
        if let Err(error) = made {
            drop(file);
            let _ = std::fs::remove_file(&path);
            return Err(room_fault(folder, &path, bytes, &error));
        }
        Ok(Self { file, bytes, real_to: 0 })
    }

    /// The same, and real from the first byte on where the file system lets it. Errors: `Full` (and nothing is left
    /// behind), `Io`.
    pub(crate) fn make_real(disk: &Disk, folder: &Path, bytes: u64) -> Result<Self, Fault> {
        let mut spare = Self::make(disk, folder, bytes)?;
        let path = folder.join(SPARE_NAME);
        let made = disk.make_real(&path, bytes).and_then(|real| disk.sync_file(&spare.file).map(|()| real));
        match made {
            Ok(real) => spare.real_to = if real { bytes } else { 0 },
            Err(error) => {
                drop(spare);
                let _ = std::fs::remove_file(&path);
                return Err(room_fault(folder, &path, bytes, &error));
            }
        }
        Ok(spare)
    }
}

/// `Full` where the disk is, else `Io`.
pub(crate) fn room_fault(folder: &Path, path: &Path, needed_bytes: u64, error: &io::Error) -> Fault {
    if is_full(error) {
        Fault::Full { folder: folder.to_owned(), needed_bytes }
    } else {
        Fault::io("make room in", path, error)
    }
}

/// The file name of a segment.
pub(crate) fn segment_name(number: u64) -> String {
    format!("segment-{number:010}.log")
}

/// The number in a segment's file name, if it is one.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix("segment-")?.strip_suffix(".log")?.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}
