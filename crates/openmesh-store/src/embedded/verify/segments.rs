//! Goes through the segments in order: each must continue the one before, and hold nothing but whole frames and zeros.

use std::path::Path;

use openmesh_message::PartitionId;

use super::super::FIRST_SEQ;
use super::super::segment::{Segment, segment_name};
use super::super::walker::CHUNK_BYTES;
use super::frames::{FrameCheck, Known};
use super::{Finding, Flaw, Run, VerifyOptions};
use crate::fault::Fault;
use crate::record::SeqRange;

const PROGRESS_BYTES: u64 = 1024 * 1024;

/// Checks segment after segment.
pub(super) struct SegmentCheck<'o, 'a> {
    options: &'o mut VerifyOptions<'a>,
    frames: FrameCheck,
    last_number: u64,
    told_bytes: u64,
}

impl<'o, 'a> SegmentCheck<'o, 'a> {
    pub(super) fn new(options: &'o mut VerifyOptions<'a>) -> Self {
        Self { options, frames: FrameCheck::default(), last_number: 0, told_bytes: 0 }
    }

    /// The partition of the first readable segment. Errors: `Newer`, `Io`.
    pub(super) fn partition_of(&self, folder: &Path, numbers: &[u64]) -> Result<Option<PartitionId>, Fault> {
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
    pub(super) fn segment(&mut self, run: &mut Run<'_>, number: u64, last: bool) -> Result<(), Fault> {
        let (name, length) = run.segment_name_and_length(number)?;
        run.report.segments += 1;
        match Segment::open(run.folder, &name, false) {
            Ok((segment, bad)) => {
                for (from, _) in &bad {
                    run.find(Finding::new(&name, *from, None, Flaw::HeaderCopy));
                }
                self.check_header(run, &segment, number, length);
                self.walk(run, &segment, last).map_err(|error| segment.fault("read", &error))?;
            }
            Err(Fault::Damaged { .. }) => run.find(Finding::new(&name, 0, None, Flaw::Header)),
            Err(fault) => return Err(fault),
        }
        run.report.bytes += length;
        self.tell(run, 0, true);
        Ok(())
    }

    /// Progress ends at the total.
    pub(super) fn finish(&mut self, run: &Run<'_>) {
        self.tell(run, 0, true);
    }

    fn check_header(&mut self, run: &mut Run<'_>, segment: &Segment, number: u64, length: u64) {
        let header = &segment.header;
        let name = &segment.name;
        let flaw = Flaw::FileLength { expected: header.file_bytes, found: length };
        run.find_if(length != header.file_bytes, Finding::new(name, 0, None, flaw));
        run.find_if(segment.copies_differ(), Finding::new(name, 0, None, Flaw::HeaderCopiesDiffer));
        let foreign = header.number != number || Some(header.partition) != run.partition;
        let is_behind = self.last_number == 0 && number > 1;
        if is_behind {
            run.begin_behind(name, header.first_seq, &header.chain);
        }
        let jumps = !is_behind && number != self.last_number + 1;
        let goes_on = match &self.frames.known {
            Some(known) => {
                let missing = SeqRange { first: known.next_seq, last: header.first_seq.saturating_sub(1) };
                let gap = missing.first <= missing.last;
                let finding = Finding::new(name, 0, Some(missing.first), Flaw::Missing(missing));
                run.find_if(gap, finding);
                let chained = gap || known.chain.is_none_or(|chain| chain == header.chain);
                chained && header.epoch >= known.epoch && header.first_seq >= known.next_seq
            }
            None => is_behind || header.first_seq == FIRST_SEQ,
        };
        run.find_if(foreign || jumps || !goes_on, Finding::new(name, 0, None, Flaw::NotContinuing));
        self.last_number = number;
        self.frames.known = Some(Known {
            next_seq: header.first_seq,
            chain: Some(header.chain),
            epoch: self.frames.known.as_ref().map_or(0, |known| known.epoch).max(header.epoch),
            synced_seq: self.frames.known.as_ref().map_or(0, |known| known.synced_seq),
        });
    }

    fn walk(&mut self, run: &mut Run<'_>, segment: &Segment, last: bool) -> std::io::Result<()> {
        let mut walker = segment.walk(segment.data_start(), CHUNK_BYTES);
        self.frames.enter(run, segment);
        while let Some(item) = walker.next()? {
            self.frames.take(run, item, self.options.commitment);
            self.tell(run, walker.at(), false);
        }
        if !(last && run.report.writer_running) {
            self.frames.leave(run, last);
        }
        Ok(())
    }

    /// `at`: how far it is in the segment that `run` does not count yet.
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
