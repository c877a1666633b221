//! Follows the log through its segments: each frame must continue what came before.

use std::path::Path;

use openmesh_message::{Digest, PartitionId, Position};
use sha2::{Digest as _, Sha256};

use super::super::frame::{
    BATCH_HEAD_BYTES, BatchHead, BatchKind, RECORD_HEAD_BYTES, RecordHead, chain_after,
};
use super::super::segment::{COPY_BYTES, DATA_START, Segment, segment_name};
use super::super::walker::{CHUNK_BYTES, Item};
use super::{Flaw, Run, VerifyOptions};
use crate::fault::Fault;
use crate::record::SeqRange;

const PROGRESS_BYTES: u64 = 1024 * 1024;

/// What is known of the log up to some frame.
struct Known {
    next_seq: u64,
    /// None after a gap: the next frame's own value is taken on trust.
    chain: Option<[u8; 32]>,
    epoch: u32,
    synced_seq: u64,
    number: u64,
}

/// A batch whose records are being met.
struct OpenBatch {
    at: u64,
    head: BatchHead,
    met: u32,
    /// Damage or a crash explains what is missing.
    excused: bool,
}

/// Damage no whole frame has followed yet.
struct Pending {
    from: u64,
    to: u64,
    what: &'static str,
}

/// Goes through the segments in order.
pub(super) struct SegmentCheck<'o, 'a> {
    options: &'o mut VerifyOptions<'a>,
    known: Option<Known>,
    batch: Option<OpenBatch>,
    pending: Option<Pending>,
    /// Damage hid the head of the batch that these records belong to.
    headless: bool,
    told_bytes: u64,
}

impl<'o, 'a> SegmentCheck<'o, 'a> {
    pub(super) fn new(options: &'o mut VerifyOptions<'a>) -> Self {
        Self {
            options,
            known: None,
            batch: None,
            pending: None,
            headless: false,
            told_bytes: 0,
        }
    }

    /// The partition of the first readable segment. Errors: `Newer`, `Io`.
    pub(super) fn partition_of(
        &self,
        folder: &Path,
        numbers: &[u64],
    ) -> Result<Option<PartitionId>, Fault> {
        for number in numbers {
            match Segment::open(folder, &segment_name(*number), false) {
                Ok((segment, _)) => return Ok(Some(segment.header.partition)),
                Err(Fault::Damaged { .. }) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(None)
    }

    /// Errors: `Newer`, `Io`.
    pub(super) fn segment(
        &mut self,
        run: &mut Run<'_>,
        number: u64,
        last: bool,
    ) -> Result<(), Fault> {
        let (name, length) = run.segment_name_and_length(number)?;
        run.report.segments += 1;
        let segment = match Segment::open(run.folder, &name, false) {
            Ok((segment, bad)) => {
                for (from, _) in &bad {
                    run.find(&name, *from, None, Flaw::HeaderCopy);
                }
                segment
            }
            Err(Fault::Damaged { .. }) => {
                run.find(&name, 0, None, Flaw::Header);
                run.report.bytes += length;
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        self.check_header(run, &segment, number, length);
        self.walk(run, &segment, last)
            .map_err(|error| segment.fault("read", &error))?;
        self.tell(run, 0, true);
        Ok(())
    }

    pub(super) fn finish(&mut self, run: &mut Run<'_>) {
        self.tell(run, 0, true);
    }

    fn check_header(&mut self, run: &mut Run<'_>, segment: &Segment, number: u64, length: u64) {
        let header = &segment.header;
        let name = &segment.name;
        let expected = header.file_bytes;
        run.find_if(
            length != expected,
            name,
            0,
            None,
            Flaw::FileLength {
                expected,
                found: length,
            },
        );
        let copies =
            super::super::walker::read_up_to(&segment.file, 0, COPY_BYTES * 2).unwrap_or_default();
        let (first, second) = copies.split_at(copies.len().min(COPY_BYTES));
        let differ = first != second && [first, second].iter().all(|copy| is_header(copy));
        run.find_if(differ, name, 0, None, Flaw::HeaderCopiesDiffer);
        let mut wrong = header.number != number || Some(header.partition) != run.partition;
        match &mut self.known {
            Some(known) => {
                let missing = SeqRange {
                    first: known.next_seq,
                    last: header.first_seq.saturating_sub(1),
                };
                let gap = missing.first <= missing.last;
                run.find_if(gap, name, 0, Some(missing.first), Flaw::Missing(missing));
                wrong |= number != known.number + 1
                    || header.epoch < known.epoch
                    || header.first_seq < known.next_seq;
                wrong |= !gap && known.chain.is_some_and(|chain| chain != header.chain);
                known.number = number;
                known.next_seq = header.first_seq;
                known.chain = Some(header.chain);
                known.epoch = known.epoch.max(header.epoch);
            }
            None => {
                wrong |= number != 1 || header.first_seq != super::super::FIRST_SEQ;
                self.known = Some(Known {
                    next_seq: header.first_seq,
                    chain: Some(header.chain),
                    epoch: header.epoch,
                    synced_seq: 0,
                    number,
                });
            }
        }
        run.find_if(wrong, name, 0, None, Flaw::NotContinuing);
    }

    fn walk(&mut self, run: &mut Run<'_>, segment: &Segment, last: bool) -> std::io::Result<()> {
        let mut walker = segment.walk(DATA_START, CHUNK_BYTES);
        self.headless = false;
        let before = run.report.bytes;
        run.report.clean = false;
        while let Some(item) = walker.next()? {
            match item {
                Item::Bad { from, to, what } => self.add_damage(from, to, what),
                Item::Batch { at, head } => self.take_batch(run, segment, at, head),
                Item::Record { at, head, frame } => {
                    self.take_record(run, segment, at, &head, &frame)
                }
            }
            self.tell(run, walker.at(), false);
        }
        let in_flight = last && run.report.writer_running;
        if let Some(Pending { from, to, what }) = self.pending.take().filter(|_| !in_flight) {
            let seq = self.known.as_ref().map(|known| known.next_seq);
            run.find(
                &segment.name,
                from,
                seq,
                if last {
                    Flaw::Torn { to_byte: to, what }
                } else {
                    Flaw::Damaged { to_byte: to, what }
                },
            );
            run.report.clean = false;
        } else if !in_flight {
            self.end_batch(run, segment, None);
        }
        self.batch = None;
        run.report.bytes = before + segment.header.file_bytes;
        Ok(())
    }

    fn add_damage(&mut self, from: u64, to: u64, what: &'static str) {
        let (from, what) = self
            .pending
            .as_ref()
            .map_or((from, what), |pending| (pending.from, pending.what));
        self.pending = Some(Pending { from, to, what });
        self.headless = true;
        if let Some(batch) = &mut self.batch {
            batch.excused = true;
        }
    }

    fn take_batch(&mut self, run: &mut Run<'_>, segment: &Segment, at: u64, head: BatchHead) {
        self.end_batch(run, segment, Some(&head));
        if !self.continues(run, segment, at, head.first_seq, head.epoch) {
            return;
        }
        let Some(known) = &mut self.known else { return };
        let broken = known.chain.is_some_and(|chain| chain != head.chain_before);
        run.find_if(broken, &segment.name, at, Some(head.first_seq), Flaw::Chain);
        known.chain = Some(head.chain_before);
        let unfit = head.synced_seq >= head.first_seq
            || head.synced_seq < known.synced_seq
            || (head.kind == BatchKind::Records) != (head.count > 0)
            || (head.kind != BatchKind::Records && head.synced_seq + 1 != head.first_seq);
        run.find_if(unfit, &segment.name, at, Some(head.first_seq), Flaw::Batch);
        known.synced_seq = known.synced_seq.max(head.synced_seq);
        run.report.clean = head.kind == BatchKind::Closed;
        self.batch = Some(OpenBatch {
            at,
            head,
            met: 0,
            excused: false,
        });
        self.headless = false;
    }

    /// `next` is the head that follows, if one does.
    fn end_batch(&mut self, run: &mut Run<'_>, segment: &Segment, next: Option<&BatchHead>) {
        let Some(batch) = self.batch.take() else {
            return;
        };
        let after_crash = next
            .is_some_and(|next| next.kind == BatchKind::Opened && next.epoch > batch.head.epoch);
        let short = batch.met < batch.head.count && !batch.excused && !after_crash;
        run.find_if(
            short,
            &segment.name,
            batch.at,
            Some(batch.head.first_seq),
            Flaw::Batch,
        );
    }

    fn take_record(
        &mut self,
        run: &mut Run<'_>,
        segment: &Segment,
        at: u64,
        head: &RecordHead,
        frame: &[u8],
    ) {
        let after_damage = self.pending.is_some();
        if !self.continues(run, segment, at, head.seq, head.epoch) {
            return;
        }
        let Some(known) = &mut self.known else { return };
        let header_end = RECORD_HEAD_BYTES + usize::try_from(head.header_bytes).unwrap_or_default();
        let body_end = header_end + usize::try_from(head.body_bytes).unwrap_or_default();
        let header = frame.get(RECORD_HEAD_BYTES..header_end).unwrap_or_default();
        let body = frame.get(header_end..body_end).unwrap_or_default();
        let broken = known
            .chain
            .is_some_and(|chain| chain_after(&chain, header) != head.chain);
        run.find_if(broken, &segment.name, at, Some(head.seq), Flaw::Chain);
        known.chain = Some(head.chain);
        known.next_seq = head.seq + 1;
        let committed = self
            .options
            .commitment
            .and_then(|commitment| commitment(header));
        let wrong = committed.is_some_and(|digest| {
            *digest.as_bytes()
                != <[u8; 32]>::from(
                    Sha256::new()
                        .chain_update(head.salt)
                        .chain_update(body)
                        .finalize(),
                )
        });
        run.find_if(wrong, &segment.name, at, Some(head.seq), Flaw::Commitment);
        let unfit = !self.fits_batch(at + frame.len() as u64, head.epoch) && !after_damage;
        run.find_if(unfit, &segment.name, at, Some(head.seq), Flaw::Batch);

        let position = Position {
            partition: segment.header.partition,
            epoch: head.epoch,
            seq: head.seq,
        };
        run.report.records += 1;
        run.report.clean = false;
        run.report.head = Some(position);
        run.report.head_chain = Digest::from_bytes(head.chain);
        run.compare_snapshot(position, run.report.head_chain);
    }

    fn fits_batch(&mut self, end: u64, epoch: u32) -> bool {
        let Some(batch) = &mut self.batch else {
            return self.headless;
        };
        batch.met += 1;
        let batch_end = batch.at + BATCH_HEAD_BYTES as u64 + batch.head.records_bytes;
        let inside = batch.met <= batch.head.count && end <= batch_end && epoch == batch.head.epoch;
        if !inside && batch.excused {
            self.batch = None;
            return true;
        }
        inside
    }

    /// Reports the damage before this frame and what it lost. False when the frame itself goes back.
    fn continues(
        &mut self,
        run: &mut Run<'_>,
        segment: &Segment,
        at: u64,
        seq: u64,
        epoch: u32,
    ) -> bool {
        let Some(known) = &mut self.known else {
            return false;
        };
        if seq < known.next_seq || epoch < known.epoch {
            run.find(&segment.name, at, Some(seq), Flaw::GoesBack);
            return false;
        }
        let lost = (seq > known.next_seq).then_some(SeqRange {
            first: known.next_seq,
            last: seq - 1,
        });
        if let Some(Pending { from, to, what }) = self.pending.take() {
            let first_lost = lost.map(|lost| lost.first);
            run.find(
                &segment.name,
                from,
                first_lost,
                Flaw::Damaged { to_byte: to, what },
            );
        }
        if let Some(lost) = lost {
            run.find(&segment.name, at, Some(lost.first), Flaw::Missing(lost));
            known.chain = None;
        }
        known.epoch = epoch;
        known.next_seq = seq;
        true
    }

    fn tell(&mut self, run: &Run<'_>, at: u64, always: bool) {
        let done = run.report.bytes + at;
        if !always && done < self.told_bytes + PROGRESS_BYTES {
            return;
        }
        self.told_bytes = done;
        if let Some(progress) = &mut self.options.progress {
            progress(done.min(run.bytes_total), run.bytes_total);
        }
    }
}

fn is_header(copy: &[u8]) -> bool {
    super::super::segment::SegmentHeader::decode(copy).is_ok()
}
