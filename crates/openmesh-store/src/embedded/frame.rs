//! The bytes of a batch head and of a record. Both are self-delimiting and multiples of eight long; their checksums
//! are bound to the segment and the offset, so that a stale or misplaced page does not pass for the right one.

use bytes::Bytes;
use openmesh_message::{Digest, PartitionId, Position};
use sha2::{Digest as _, Sha256};

use crate::planted::{self, Planted};
use crate::record::{EncodedRecord, StoredRecord};

/// Largest header and body together.
pub const RECORD_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Largest seq or byte count that a head or header may name: sums of a few of them never overflow.
pub(crate) const NUMBER_MAX: u64 = 1 << 60;
/// Bytes of a batch head.
pub(crate) const BATCH_HEAD_BYTES: usize = 88;
/// Bytes of a record before its header and body.
pub(crate) const RECORD_HEAD_BYTES: usize = 80;
/// Frames begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;

pub(crate) const BATCH_MAGIC: [u8; 4] = *b"OMba";
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"OMre";
/// A record without salt and body; from format version 2 on.
pub(crate) const ERASED_MAGIC: [u8; 4] = *b"OMer";
const CHECKSUM_BYTES: usize = 4;

/// What every checksum in one segment starts from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seal(u32);

impl Seal {
    pub(crate) fn new(identity: &[u8; 16], partition: PartitionId, number: u64) -> Self {
        let crc = crc32c::crc32c(identity);
        let crc = crc32c::crc32c_append(crc, &partition.0.to_le_bytes());
        Self(crc32c::crc32c_append(crc, &number.to_le_bytes()))
    }

    fn checksum(self, at: u64, bytes: &[u8]) -> u32 {
        let at = if planted::has(Planted::UnboundChecksum) { 0 } else { at };
        crc32c::crc32c_append(crc32c::crc32c_append(self.0, &at.to_le_bytes()), bytes)
    }
}

/// Why a batch head was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchKind {
    /// Records follow.
    Records,
    /// The log was opened; first thing of a run.
    Opened,
    /// It has been quiet for a while.
    Quiet,
    /// It was closed cleanly; last thing of a run.
    Closed,
}

/// The head of a batch; one without records covers everything before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BatchHead {
    pub(crate) kind: BatchKind,
    pub(crate) epoch: u32,
    pub(crate) count: u32,
    pub(crate) records_bytes: u64,
    pub(crate) first_seq: u64,
    pub(crate) synced_seq: u64,
    /// Up to this byte of the segment everything was synced before the head was written.
    pub(crate) synced_bytes: u64,
    pub(crate) chain_before: [u8; 32],
}

impl BatchHead {
    pub(crate) fn encode(&self, seal: Seal, at: u64, out: &mut Vec<u8>) {
        let kind: u32 = match self.kind {
            BatchKind::Records => 0,
            BatchKind::Opened => 1,
            BatchKind::Quiet => 2,
            BatchKind::Closed => 3,
        };
        let mut head = Vec::with_capacity(BATCH_HEAD_BYTES);
        head.extend_from_slice(&BATCH_MAGIC);
        head.extend_from_slice(&kind.to_le_bytes());
        head.extend_from_slice(&self.epoch.to_le_bytes());
        head.extend_from_slice(&self.count.to_le_bytes());
        head.extend_from_slice(&self.records_bytes.to_le_bytes());
        head.extend_from_slice(&self.first_seq.to_le_bytes());
        head.extend_from_slice(&self.synced_seq.to_le_bytes());
        head.extend_from_slice(&self.synced_bytes.to_le_bytes());
        head.extend_from_slice(&self.chain_before);
        head.extend_from_slice(&[0; 4]);
        let checksum = seal.checksum(at, &head);
        out.extend_from_slice(&head);
        out.extend_from_slice(&checksum.to_le_bytes());
    }

    pub(crate) fn decode(bytes: &[u8], seal: Seal, at: u64) -> Option<Self> {
        let bytes = bytes.get(..BATCH_HEAD_BYTES)?;
        if bytes.get(..4)? != BATCH_MAGIC || !head_checksum_matches(bytes, seal, at)? {
            return None;
        }
        let kind = match u32_at(bytes, 4)? {
            0 => BatchKind::Records,
            1 => BatchKind::Opened,
            2 => BatchKind::Quiet,
            3 => BatchKind::Closed,
            _ => return None,
        };
        Some(Self {
            kind,
            epoch: u32_at(bytes, 8)?,
            count: u32_at(bytes, 12)?,
            records_bytes: number_at(bytes, 16)?,
            first_seq: number_at(bytes, 24)?,
            synced_seq: number_at(bytes, 32)?,
            synced_bytes: number_at(bytes, 40)?,
            chain_before: array_at(bytes, 48)?,
        })
    }
}

/// The fixed part of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordHead {
    pub(crate) epoch: u32,
    pub(crate) seq: u64,
    pub(crate) header_bytes: u32,
    pub(crate) body_bytes: u32,
    pub(crate) salt: [u8; 16],
    pub(crate) chain: [u8; 32],
    pub(crate) is_erased: bool,
    payload_checksum: u32,
}

impl RecordHead {
    pub(crate) fn decode(bytes: &[u8], seal: Seal, at: u64) -> Option<Self> {
        let bytes = bytes.get(..RECORD_HEAD_BYTES)?;
        let is_erased = bytes.get(..4)? == ERASED_MAGIC;
        if !(is_erased || bytes.get(..4)? == RECORD_MAGIC) || !head_checksum_matches(bytes, seal, at)? {
            return None;
        }
        Some(Self {
            is_erased,
            header_bytes: u32_at(bytes, 4)?,
            body_bytes: u32_at(bytes, 8).filter(|bytes| !is_erased || *bytes == 0)?,
            epoch: u32_at(bytes, 12)?,
            seq: number_at(bytes, 16)?,
            salt: array_at(bytes, 24)?,
            chain: array_at(bytes, 40)?,
            payload_checksum: u32_at(bytes, 72)?,
        })
    }

    /// Bytes of the whole frame, padding included.
    pub(crate) fn frame_bytes(&self) -> u64 {
        frame_bytes(u64::from(self.header_bytes) + u64::from(self.body_bytes))
    }

    /// True when header, body and padding are as they were written.
    pub(crate) fn covers(&self, payload: &[u8], seal: Seal, at: u64) -> bool {
        seal.checksum(at, payload) == self.payload_checksum || planted::has(Planted::SkipChecksum)
    }

    /// The record, its header and body cut out of `frame`, which begins at the record's head, at `at` in its segment.
    pub(crate) fn cut(&self, frame: &Bytes, partition: PartitionId, at: u64) -> Option<StoredRecord> {
        let header_end = RECORD_HEAD_BYTES.checked_add(usize::try_from(self.header_bytes).ok()?)?;
        let body_end = header_end.checked_add(usize::try_from(self.body_bytes).ok()?)?;
        if frame.len() < body_end {
            return None;
        }
        Some(StoredRecord {
            position: Position { partition, epoch: self.epoch, seq: self.seq },
            header: frame.slice(RECORD_HEAD_BYTES..header_end),
            salt: self.salt,
            body: frame.slice(header_end..body_end),
            chain: Digest::from_bytes(self.chain),
            is_erased: self.is_erased,
            at,
        })
    }
}

/// What a record's frame is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    pub(crate) position: Position,
    pub(crate) header: &'a [u8],
    /// None where they were erased.
    pub(crate) salt_and_body: Option<(&'a [u8; 16], &'a [u8])>,
    pub(crate) chain: &'a [u8; 32],
}

impl<'a> Content<'a> {
    pub(crate) fn of(record: &'a EncodedRecord, chain: &'a [u8; 32]) -> Self {
        let salt_and_body = Some((&record.salt, record.body.as_slice()));
        Self { position: record.position, header: &record.header, salt_and_body, chain }
    }
}

/// Appends one record's frame, which will stand at `at` in its segment.
pub(crate) fn encode_record(content: Content<'_>, seal: Seal, at: u64, out: &mut Vec<u8>) {
    let magic = if content.salt_and_body.is_some() { RECORD_MAGIC } else { ERASED_MAGIC };
    let (salt, body) = content.salt_and_body.unwrap_or((&[0; 16], &[]));
    let payload_bytes = content.header.len() + body.len();
    let padding = payload_bytes.next_multiple_of(ALIGNMENT) - payload_bytes;
    let zeros = [0_u8; ALIGNMENT];
    let zeros = zeros.get(..padding).unwrap_or_default();
    let payload = seal.checksum(at, content.header);
    let payload = crc32c::crc32c_append(crc32c::crc32c_append(payload, body), zeros);

    let mut head = Vec::with_capacity(RECORD_HEAD_BYTES);
    head.extend_from_slice(&magic);
    head.extend_from_slice(&length(content.header.len()).to_le_bytes());
    head.extend_from_slice(&length(body.len()).to_le_bytes());
    head.extend_from_slice(&content.position.epoch.to_le_bytes());
    head.extend_from_slice(&content.position.seq.to_le_bytes());
    head.extend_from_slice(salt);
    head.extend_from_slice(content.chain);
    head.extend_from_slice(&payload.to_le_bytes());
    let checksum = seal.checksum(at, &head);
    out.extend_from_slice(&head);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(content.header);
    out.extend_from_slice(body);
    out.extend_from_slice(zeros);
}

/// Bytes of a record's frame with that much header and body.
pub(crate) const fn frame_bytes(payload_bytes: u64) -> u64 {
    (RECORD_HEAD_BYTES as u64 + payload_bytes).next_multiple_of(ALIGNMENT as u64)
}

/// The next value of the chain over headers.
pub(crate) fn chain_after(chain: &[u8; 32], header: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(chain).chain_update(header).finalize().into()
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(array_at(bytes, at)?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(array_at(bytes, at)?))
}

/// A seq or byte count that can be one.
pub(crate) fn number_at(bytes: &[u8], at: usize) -> Option<u64> {
    u64_at(bytes, at).filter(|number| *number <= NUMBER_MAX)
}

pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// The checksum is the last thing in a head.
fn head_checksum_matches(head: &[u8], seal: Seal, at: u64) -> Option<bool> {
    let checksum_at = head.len().checked_sub(CHECKSUM_BYTES)?;
    Some(seal.checksum(at, head.get(..checksum_at)?) == u32_at(head, checksum_at)?)
}

/// Lengths are checked against `RECORD_BYTES_MAX` before anything is encoded.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
