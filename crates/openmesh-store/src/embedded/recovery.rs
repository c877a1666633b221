//! Decides, at open, where the log ends: what is whole, what was once synced and is corrupt, and what is a torn tail.
//! Changes nothing.

use std::io;
use std::path::Path;

use super::frame::{BATCH_HEAD_BYTES, BatchHead, BatchKind, RecordHead};
use super::segment::{DATA_START, Marks, Segment, segment_name, segment_number};
use super::walker::{CHUNK_BYTES, Item, Walker};
use crate::fault::Fault;
use crate::planted::{self, Planted};
use crate::record::SeqRange;
use crate::report::{CorruptRange, DroppedRange};

/// Where the last segment ends and what the log is then.
#[derive(Debug)]
pub(crate) struct Tail {
    /// The end of the last whole frame.
    pub(crate) end: u64,
    /// The highest epoch seen anywhere, dropped bytes included.
    pub(crate) epoch: u32,
    pub(crate) next_seq: u64,
    pub(crate) head_epoch: u32,
    pub(crate) chain: [u8; 32],
    /// The last thing in the log is a clean close.
    pub(crate) closed: bool,
    pub(crate) dropped: Option<DroppedRange>,
    pub(crate) corrupt: Vec<CorruptRange>,
    pub(crate) marks: Marks,
}

/// Opens every segment in order. Damaged header copies, unreadable segments and missing numbers are reported.
/// Errors: `Newer`, `Damaged` (the last segment's header), `Io`.
pub(crate) fn open_segments(
    folder: &Path,
    writable: bool,
) -> Result<(Vec<Segment>, Vec<CorruptRange>), Fault> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut corrupt = Vec::new();
    let numbers = segment_numbers(folder)?;
    for (index, number) in numbers.iter().enumerate() {
        let name = segment_name(*number);
        match Segment::open(folder, &name, writable) {
            Ok((segment, bad)) => {
                corrupt.extend(bad.iter().map(|(from, to)| framing_damage(&name, *from, *to)));
                segments.push(segment);
            }
            Err(Fault::Damaged { .. }) if index + 1 < numbers.len() => {
                corrupt.push(framing_damage(&name, 0, DATA_START));
            }
            Err(fault) => return Err(fault),
        }
    }
    let gaps = numbers.windows(2).filter_map(|pair| match pair {
        [before, after] if before + 1 < *after => Some(before + 1),
        _ => None,
    });
    corrupt.extend(gaps.map(|missing| framing_damage(&segment_name(missing), 0, 0)));
    Ok((segments, corrupt))
}

/// The numbers of the segments in the folder, in order. Errors: `Io`.
pub(crate) fn segment_numbers(folder: &Path) -> Result<Vec<u64>, Fault> {
    let mut numbers: Vec<u64> = file_names(folder)?.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Every name in the folder, sorted. Errors: `Io`.
pub(crate) fn file_names(folder: &Path) -> Result<Vec<String>, Fault> {
    let fault = |error: io::Error| Fault::io("list", folder, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        names.push(entry.map_err(fault)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Reads the last segment to its end. Errors: reading failed.
pub(crate) fn read_tail(segment: &Segment) -> io::Result<Tail> {
    let mut reading = Reading::new(segment);
    let mut walker = segment.walk(segment.data_start(), CHUNK_BYTES);
    while let Some(item) = walker.next()? {
        if !reading.take(item, &walker)? {
            break;
        }
    }
    reading.finish()
}

/// The highest synced seq and epoch claimed by anything from some point on, and where the last of it ends.
#[derive(Clone, Copy, Debug)]
struct Claims {
    synced_seq: u64,
    synced_bytes: u64,
    epoch: u32,
    end: u64,
}

struct Reading<'a> {
    segment: &'a Segment,
    tail: Tail,
    synced_seq: u64,
    /// Damage that no whole frame has followed yet.
    pending: Option<(u64, u64, &'static str)>,
    /// Looked up at the first damage.
    claims: Option<Claims>,
    /// What the batch under way said it would hold: its end.
    promised_end: u64,
}

impl<'a> Reading<'a> {
    fn new(segment: &'a Segment) -> Self {
        let header = &segment.header;
        let tail = Tail {
            end: segment.data_start(),
            epoch: header.epoch,
            next_seq: header.first_seq,
            head_epoch: header.epoch,
            chain: header.chain,
            closed: false,
            dropped: None,
            corrupt: Vec::new(),
            marks: Marks::default(),
        };
        Self {
            segment,
            tail,
            synced_seq: header.first_seq.saturating_sub(1),
            pending: None,
            claims: None,
            promised_end: segment.data_start(),
        }
    }

    /// False when the log ends before this item.
    fn take(&mut self, item: Item, walker: &Walker) -> io::Result<bool> {
        let (at, first_seq, epoch) = match &item {
            Item::Bad { from, to, what } => {
                self.add_damage(*from, *to, what);
                return Ok(true);
            }
            Item::Batch { at, head } => (*at, head.first_seq, head.epoch),
            Item::Record { at, head, .. } => (*at, head.seq, head.epoch),
        };
        let is_stale = epoch < self.tail.epoch && !planted::has(Planted::TrustStalePage);
        if first_seq < self.tail.next_seq || is_stale {
            self.add_damage(at, walker.at(), "left over from before");
            return Ok(true);
        }
        let interrupted = self.pending.is_some() || first_seq > self.tail.next_seq;
        if interrupted && !self.cross(at, first_seq)? {
            return Ok(false);
        }
        match item {
            Item::Batch { at, head } => self.take_batch(at, &head, interrupted),
            Item::Record { at, head, .. } => self.take_record(at, &head),
            Item::Bad { .. } => {}
        }
        self.tail.end = walker.at();
        Ok(true)
    }

    fn add_damage(&mut self, from: u64, to: u64, what: &'static str) {
        let (from, what) = self.pending.map_or((from, what), |(first, _, what)| (first, what));
        self.pending = Some((from, to, what));
    }

    /// Damage or a gap lies before the frame at `at`. What was synced is lost and the log goes on with this frame;
    /// else the log ends before the damage.
    fn cross(&mut self, at: u64, first_seq: u64) -> io::Result<bool> {
        // What stands before later damage cannot claim anything after it: one look is enough.
        let claims = match self.claims {
            Some(claims) => claims,
            None => *self.claims.insert(self.look_ahead(at)?),
        };
        self.synced_seq = self.synced_seq.max(claims.synced_seq);
        let (from_byte, to_byte, what) = self.pending.take().unwrap_or((at, at, "records are missing"));
        let last_lost = self.synced_seq.min(first_seq - 1);
        let lost = (self.tail.next_seq <= last_lost)
            .then_some(SeqRange { first: self.tail.next_seq, last: last_lost });
        if from_byte < claims.synced_bytes {
            self.tail.next_seq = self.tail.next_seq.max(last_lost + 1);
            self.tail.corrupt.push(CorruptRange {
                segment: self.segment.name.clone(),
                from_byte,
                to_byte,
                lost,
            });
            if self.tail.next_seq == first_seq {
                return Ok(true);
            }
        }
        self.tail.epoch = self.tail.epoch.max(claims.epoch);
        self.tail.closed = false;
        self.drop_from(from_byte, claims.end.max(to_byte), what);
        Ok(false)
    }

    fn look_ahead(&self, at: u64) -> io::Result<Claims> {
        let mut claims = Claims { synced_seq: 0, synced_bytes: 0, epoch: 0, end: at };
        let mut walker = self.segment.walk(at, CHUNK_BYTES);
        while let Some(item) = walker.next()? {
            match item {
                Item::Batch { head, .. } => {
                    claims.synced_seq = claims.synced_seq.max(head.synced_seq);
                    claims.synced_bytes = claims.synced_bytes.max(head.synced_bytes);
                    claims.epoch = claims.epoch.max(head.epoch);
                }
                Item::Record { head, .. } => claims.epoch = claims.epoch.max(head.epoch),
                Item::Bad { .. } => {}
            }
            claims.end = walker.at();
        }
        Ok(claims)
    }

    fn take_batch(&mut self, at: u64, head: &BatchHead, interrupted: bool) {
        if !interrupted && head.chain_before != self.tail.chain {
            // The record before is not the one that was there: its page is older than this one.
            let lost = Some(SeqRange { first: head.first_seq - 1, last: head.first_seq - 1 });
            let segment = self.segment.name.clone();
            self.tail.corrupt.push(CorruptRange { segment, from_byte: at, to_byte: at, lost });
        }
        self.tail.epoch = head.epoch;
        self.tail.chain = head.chain_before;
        self.tail.closed = head.kind == BatchKind::Closed;
        self.synced_seq = self.synced_seq.max(head.synced_seq);
        self.promised_end = at + BATCH_HEAD_BYTES as u64 + head.records_bytes;
    }

    fn take_record(&mut self, at: u64, head: &RecordHead) {
        self.tail.epoch = head.epoch;
        self.tail.head_epoch = head.epoch;
        self.tail.next_seq = head.seq + 1;
        self.tail.chain = head.chain;
        self.tail.closed = false;
        self.tail.marks.push(head.seq, at);
    }

    fn drop_from(&mut self, from: u64, to: u64, reason: &str) {
        self.tail.dropped = Some(DroppedRange {
            segment: self.segment.name.clone(),
            from_byte: from,
            to_byte: to,
            reason: reason.to_owned(),
        });
    }

    fn finish(mut self) -> io::Result<Tail> {
        if let Some((from, to, what)) = self.pending.take() {
            self.drop_from(from, to, what);
        } else if self.tail.dropped.is_none() && self.promised_end > self.tail.end {
            self.drop_from(self.tail.end, self.promised_end, "a batch ends early");
        }
        if self.tail.next_seq <= self.synced_seq {
            let lost = SeqRange { first: self.tail.next_seq, last: self.synced_seq };
            let (from_byte, to_byte) = self
                .tail
                .dropped
                .as_ref()
                .map_or((self.tail.end, self.tail.end), |range| (range.from_byte, range.to_byte));
            let segment = self.segment.name.clone();
            self.tail.corrupt.push(CorruptRange { segment, from_byte, to_byte, lost: Some(lost) });
            self.tail.next_seq = self.synced_seq + 1;
        }
        self.tail.closed &= self.tail.dropped.is_none();
        Ok(self.tail)
    }
}

fn framing_damage(segment: &str, from_byte: u64, to_byte: u64) -> CorruptRange {
    CorruptRange { segment: segment.to_owned(), from_byte, to_byte, lost: None }
}
