//! Makes one run of several that follow one another.

use super::ProjectionFault;
use super::run::{Builder, Extent, Place, Posting, Run, Span, Walk};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Terms between two looks at whether to stop.
const TERMS_BETWEEN_LOOKS: u32 = 4_096;

/// One run of all these; `None` if told to stop.
pub(super) fn merge(
    runs: &[Arc<Run>],
    place: Place,
    stopping: &AtomicBool,
) -> Result<Option<Run>, ProjectionFault> {
    let extents = runs.iter().map(|run| run.extent);
    let Some(extent) = extents.reduce(|one, next| one.joined(&next)) else { return Ok(None) };
    let mut builder = Builder::new(extent, place)?;
    let mut walks = runs.iter().map(|run| Walk::new(run)).collect::<Result<Vec<_>, _>>()?;
    let mut terms = 0_u32;
    while let Some(term) = walks.iter().filter_map(Walk::term).min() {
        terms = terms.wrapping_add(1);
        if terms.is_multiple_of(TERMS_BETWEEN_LOOKS) && stopping.load(Ordering::Relaxed) {
            return Ok(None);
        }
        for walk in &mut walks {
            while walk.term() == Some(term) {
                walk.postings().iter().try_for_each(|posting| builder.push(term, posting))?;
                walk.advance()?;
            }
        }
    }
    builder.finish(joined(runs)).map(Some)
}

/// The times of all of them.
fn joined(runs: &[Arc<Run>]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::with_capacity(runs.iter().map(|run| run.spans.len()).sum());
    for span in runs.iter().flat_map(|run| &run.spans) {
        match spans.last_mut().filter(|last| last.number == span.number) {
            Some(last) => {
                last.first_at = last.first_at.min(span.first_at);
                last.last_at = last.last_at.max(span.last_at);
            }
            None => spans.push(*span),
        }
    }
    spans
}

/// The same run with what is left of some records in the place of what was known of them: `left` is of the same records,
/// and has none but those.
pub(super) fn replace(
    run: &Run,
    seqs: &BTreeSet<u64>,
    left: &Run,
    place: Place,
) -> Result<Run, ProjectionFault> {
    let extent = Extent { ..run.extent };
    let mut builder = Builder::new(extent, place)?;
    let (mut all, mut some) = (Walk::new(run)?, Walk::new(left)?);
    while let Some(term) = [all.term(), some.term()].into_iter().flatten().min() {
        let mut instead = VecDeque::new();
        while some.term() == Some(term) {
            instead.extend(some.postings().iter().copied());
            some.advance()?;
        }
        while all.term() == Some(term) {
            for piece in all.postings().iter().flat_map(|posting| pieces(posting, seqs)) {
                while let Some(posting) = instead.pop_front_if(|posting| posting.first < piece.first) {
                    builder.push(term, &posting)?;
                }
                builder.push(term, &piece)?;
            }
            all.advance()?;
        }
        instead.iter().try_for_each(|posting| builder.push(term, posting))?;
    }
    builder.finish(run.spans.clone())
}

/// What of a posting is of none of these records.
fn pieces(posting: &Posting, without: &BTreeSet<u64>) -> Vec<Posting> {
    let (mut pieces, mut from) = (Vec::new(), posting.first);
    let at_byte = |from| posting.at_byte.filter(|_| from == posting.first);
    for seq in without.range(posting.first..=posting.last) {
        if *seq > from {
            pieces.push(Posting { first: from, last: seq - 1, at_byte: at_byte(from) });
        }
        from = seq + 1;
    }
    if from <= posting.last {
        pieces.push(Posting { first: from, last: posting.last, at_byte: at_byte(from) });
    }
    pieces
}
