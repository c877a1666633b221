//! Erasing: the segments that hold the bodies are sealed, covered by a checkpoint, and written anew without them.

use super::{CONFIRM_WAIT, Worker};
use anyhow::Result;
use openmesh_core::Input;
use openmesh_store::{SegmentSummary, Unwanted};
use std::collections::BTreeSet;

impl Worker {
    /// Has the bodies gone from the log's files and memory and from the index, and says so.
    pub(super) fn erase(&self, seqs: &BTreeSet<u64>) -> Result<()> {
        if self.holding(seqs).iter().any(|segment| !segment.is_sealed) {
            self.work.sealer.seal(CONFIRM_WAIT)?;
        }
        let holding = self.holding(seqs);
        if let Some(last_seq) = holding.iter().map(|segment| segment.last_seq).max() {
            self.cover(last_seq)?;
        }
        for segment in holding {
            if let Some(rewritten) = self.work.files.rewrite(segment.number, &Unwanted::Erased(seqs))? {
                tracing::info!(segment = segment.number, bodies = rewritten.bodies, "bodies were erased");
            }
        }
        self.work.index.forget(seqs);
        self.await_until(|| self.work.index.has_forgotten())?;
        self.tell(Input::BodiesErased { seqs: seqs.iter().copied().collect() })?;
        self.await_until(|| self.shared.told().erasing().is_disjoint(seqs))
    }

    fn holding(&self, seqs: &BTreeSet<u64>) -> Vec<SegmentSummary> {
        let holds = |segment: &SegmentSummary| {
            segment.first_seq <= segment.last_seq
                && seqs.range(segment.first_seq..=segment.last_seq).next().is_some()
        };
        self.work.files.segments().into_iter().filter(holds).collect()
    }
}
