//! Follows the log frame by frame: seqs without a gap, epochs that never fall, one chain, batches that hold what their
//! heads say, bodies that their headers commit to.

use openmesh_message::{Digest, PartitionId, Position};

use super::super::frame::{BATCH_HEAD_BYTES, BatchHead, BatchKind, RecordHead, chain_after};
use super::super::segment::Segment;
use super::super::walker::Item;
use super::{Commitment, Finding, Flaw, Run};
use crate::record::{SeqRange, StoredRecord};

/// What is known of the log up to some frame.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) next_seq: u64,
    /// None after a gap: the next frame's own value is taken on trust.
    pub(super) chain: Option<[u8; 32]>,
    pub(super) epoch: u32,
    pub(super) synced_seq: u64,
}

/// A batch whose records are being met.
#[derive(Debug)]
struct OpenBatch {
    file: String,
    at: u64,
    head: BatchHead,
    met: u32,
    /// Damage explains what is missing.
    excused: bool,
}

/// Damage no whole frame has followed yet.
#[derive(Debug)]
struct Pending {
    from: u64,
    to: u64,
    what: &'static str,
}

/// Checks frame after frame.
#[derive(Debug, Default)]
pub(super) struct FrameCheck {
    pub(super) known: Option<Known>,
    /// The file under check, and whose it is.
    file: String,
    partition: PartitionId,
    batch: Option<OpenBatch>,
    pending: Option<Pending>,
    /// Damage hid the head of the batch that the next records belong to.
    headless: bool,
}

impl FrameCheck {
    /// Frames of this segment follow.
    pub(super) fn enter(&mut self, run: &mut Run<'_>, segment: &Segment) {
        self.file.clone_from(&segment.name);
        self.partition = segment.header.partition;
        self.headless = false;
        run.report.clean = false;
    }

    /// The segment has ended; `last` when the log has, too.
    pub(super) fn leave(&mut self, run: &mut Run<'_>, last: bool) {
        if let Some(Pending { from, to: to_byte, what }) = self.pending.take() {
            let seq = self.known.as_ref().map(|known| known.next_seq);
            let flaw = if last { Flaw::Torn { to_byte, what } } else { Flaw::Damaged { to_byte, what } };
            run.find(Finding::new(&self.file, from, seq, flaw));
            run.report.clean = false;
        }
        if last {
            self.end_batch(run, None);
        }
    }

    pub(super) fn take(&mut self, run: &mut Run<'_>, item: Item, commitment: Option<&Commitment<'_>>) {
        match item {
            Item::Bad { from, to, what } => self.add_damage(from, to, what),
            Item::Batch { at, head } => self.take_batch(run, at, head),
            Item::Record { at, head, frame } => {
                let Some(record) = head.cut(&frame, self.partition, at) else {
                    return;
                };
                if self.take_record(run, at, &head, &record) {
                    run.report.erased += u64::from(record.is_erased);
                    let wrong = !record.is_erased && commitment.is_some_and(|is_kept| !is_kept(&record));
                    let seq = Some(head.seq);
                    run.find_if(wrong, Finding::new(&self.file, at, seq, Flaw::Commitment));
                }
            }
        }
    }

    fn add_damage(&mut self, from: u64, to: u64, what: &'static str) {
        let (from, what) = self.pending.as_ref().map_or((from, what), |pending| (pending.from, pending.what));
        self.pending = Some(Pending { from, to, what });
        self.headless = true;
        if let Some(batch) = &mut self.batch {
            batch.excused = true;
        }
    }

    fn take_batch(&mut self, run: &mut Run<'_>, at: u64, head: BatchHead) {
        self.end_batch(run, Some(&head));
        if !self.continues(run, at, head.first_seq, head.epoch) {
            return;
        }
        let Some(known) = &mut self.known else { return };
        let seq = Some(head.first_seq);
        let broken = known.chain.is_some_and(|chain| chain != head.chain_before);
        run.find_if(broken, Finding::new(&self.file, at, seq, Flaw::Chain));
        known.chain = Some(head.chain_before);
        let unfit = head.synced_seq >= head.first_seq
            || head.synced_seq < known.synced_seq
            || head.synced_bytes > at
            || (head.kind == BatchKind::Records) != (head.count > 0)
            || (head.kind != BatchKind::Records && head.synced_seq + 1 != head.first_seq);
        run.find_if(unfit, Finding::new(&self.file, at, seq, Flaw::Batch));
        known.synced_seq = known.synced_seq.max(head.synced_seq);
        run.report.clean = head.kind == BatchKind::Closed;
        self.batch = Some(OpenBatch { file: self.file.clone(), at, head, met: 0, excused: false });
        self.headless = false;
    }

    /// `next` is the head that follows, if one does.
    fn end_batch(&mut self, run: &mut Run<'_>, next: Option<&BatchHead>) {
        let Some(batch) = self.batch.take() else {
            return;
        };
        let after_crash =
            next.is_some_and(|next| next.kind == BatchKind::Opened && next.epoch > batch.head.epoch);
        let short = batch.met < batch.head.count && !batch.excused && !after_crash;
        run.find_if(short, Finding::new(&batch.file, batch.at, Some(batch.head.first_seq), Flaw::Batch));
    }

    fn take_record(&mut self, run: &mut Run<'_>, at: u64, head: &RecordHead, record: &StoredRecord) -> bool {
        let after_damage = self.pending.is_some();
        if !self.continues(run, at, head.seq, head.epoch) {
            return false;
        }
        let Some(known) = &mut self.known else {
            return false;
        };
        let broken = known.chain.is_some_and(|chain| chain_after(&chain, &record.header) != head.chain);
        run.find_if(broken, Finding::new(&self.file, at, Some(head.seq), Flaw::Chain));
        known.chain = Some(head.chain);
        known.next_seq = head.seq + 1;
        let unfit = !self.fits_batch(at + head.frame_bytes(), head.epoch) && !after_damage;
        run.find_if(unfit, Finding::new(&self.file, at, Some(head.seq), Flaw::Batch));
        run.take_record(record.position, record.chain);
        true
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
    fn continues(&mut self, run: &mut Run<'_>, at: u64, seq: u64, epoch: u32) -> bool {
        let Some(known) = &mut self.known else {
            return false;
        };
        if seq < known.next_seq || epoch < known.epoch {
            run.find(Finding::new(&self.file, at, Some(seq), Flaw::GoesBack));
            return false;
        }
        let lost = (seq > known.next_seq).then_some(SeqRange { first: known.next_seq, last: seq - 1 });
        let first_lost = lost.map(|lost| lost.first);
        if let Some(Pending { from, to: to_byte, what }) = self.pending.take() {
            run.find(Finding::new(&self.file, from, first_lost, Flaw::Damaged { to_byte, what }));
        }
        if let Some(lost) = lost {
            run.find(Finding::new(&self.file, at, first_lost, Flaw::Missing(lost)));
            known.chain = None;
        }
        known.epoch = epoch;
        known.next_seq = seq;
        true
    }
}

impl Run<'_> {
    /// A whole record at its place.
    fn take_record(&mut self, position: Position, chain: Digest) {
        self.report.records += 1;
        self.report.clean = false;
        self.report.head = Some(position);
        self.report.head_chain = chain;
        self.compare_snapshot(position, chain);
    }
}
