//! Runs against a list of what was put into them: written, read, merged, replaced, and damaged.

use super::super::merge::{merge, replace};
use super::super::{ProjectionFault, run::Walk};
use super::{Builder, Extent, Place, Posting, Run, RunName};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, proptest};
use proptest::{prop_assert, prop_assert_eq};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const VERSION: u32 = 7;
/// A term and a record that has it.
type Pair = (u64, u64);

fn extent(first_seq: u64, last_seq: u64) -> Extent {
    Extent { first_seq, last_seq, ..Extent::default() }
}

fn build(extent: Extent, pairs: &BTreeSet<Pair>, place: Place) -> Run {
    let mut builder = Builder::new(extent, place).unwrap();
    for (term, seq) in pairs {
        builder.push(*term, &Posting::one(*seq, seq * 64)).unwrap();
    }
    builder.finish(Vec::new()).unwrap()
}

fn in_folder(folder: &Path) -> Place {
    Place::Folder { folder: folder.to_owned(), version: VERSION, topics_bytes: 0 }
}

/// Every pair, by a walk; places that are known are those that were put in.
fn pairs_of(run: &Run) -> Result<Vec<Pair>, ProjectionFault> {
    let (mut walk, mut pairs) = (Walk::new(run)?, Vec::new());
    while let Some(term) = walk.term() {
        for posting in walk.postings() {
            assert!(posting.at_byte.is_none_or(|at| at == posting.first * 64));
            pairs.extend((posting.first..=posting.last).map(|seq| (term, seq)));
        }
        walk.advance()?;
    }
    Ok(pairs)
}

/// The first record of a term at `at` or past it.
fn next(run: &Run, term: u64, at: u64, newest_first: bool) -> Option<u64> {
    let mut found = Vec::new();
    run.seek(term, (at, newest_first), &mut found).unwrap();
    if newest_first {
        found.iter().rev().find(|posting| posting.first <= at).map(|posting| posting.last.min(at))
    } else {
        found.iter().find(|posting| posting.last >= at).map(|posting| posting.first.max(at))
    }
}

/// Terms that many records have, or few, in numbers that fill several blocks.
fn some_pairs() -> impl Strategy<Value = BTreeSet<Pair>> {
    let one = (0_u64..6, 1_u64..3_000, 1_u64..400, 1_u64..4).prop_map(|(term, first, count, step)| {
        (0..count).map(move |index| ((term << 56) | term, first + index * step)).collect::<Vec<_>>()
    });
    let rare = vec((any::<u64>(), 1_u64..3_000), 0..400);
    (vec(one, 0..12), rare).prop_map(|(often, rare)| often.into_iter().flatten().chain(rare).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_run_has_what_was_put_into_it(pairs in some_pairs(), asked in vec((any::<u64>(), 0_u64..4_500), 20)) {
        let folder = tempfile::tempdir().unwrap();
        let runs = [
            build(extent(1, 4_500), &pairs, Place::Memory),
            build(extent(1, 4_500), &pairs, in_folder(folder.path())),
            Run::open(folder.path(), RunName { first_seq: 1, last_seq: 4_500 }, VERSION).unwrap().0,
        ];
        let all: Vec<Pair> = pairs.iter().copied().collect();
        let terms: BTreeSet<u64> = pairs.iter().map(|(term, _)| *term).collect();
        for run in &runs {
            prop_assert_eq!(&pairs_of(run).unwrap(), &all);
            for (term, at) in terms.iter().copied().chain([3]).zip(asked.iter().map(|(_, at)| *at)).chain(asked.clone()) {
                let up = pairs.range((term, at)..=(term, u64::MAX)).next().map(|(_, seq)| *seq);
                prop_assert_eq!(next(run, term, at, false), up);
                let down = pairs.range((term, 0)..=(term, at)).next_back().map(|(_, seq)| *seq);
                prop_assert_eq!(next(run, term, at, true), down);
            }
        }
    }

    #[test]
    fn what_is_merged_or_replaced_is_what_it_would_be_if_it_were_built_so(
        pairs in some_pairs(), cuts in vec(2_u64..4_400, 3), gone in vec(1_u64..4_500, 0..300), left in vec((any::<u64>(), any::<bool>()), 300),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let cuts: BTreeSet<u64> = cuts.into_iter().chain([1, 4_501]).collect();
        let bounds: Vec<u64> = cuts.into_iter().collect();
        let runs = bounds.windows(2).map(|bounds| {
            let own = pairs.iter().copied().filter(|(_, seq)| (bounds[0]..bounds[1]).contains(seq)).collect();
            Arc::new(build(extent(bounds[0], bounds[1] - 1), &own, Place::Memory))
        });
        let runs: Vec<_> = runs.collect();
        let stop = AtomicBool::new(false);
        let whole = merge(&runs, in_folder(folder.path()), &stop).unwrap().unwrap();
        prop_assert_eq!(pairs_of(&whole).unwrap(), pairs.iter().copied().collect::<Vec<_>>());
        let gone: BTreeSet<u64> = gone.into_iter().collect();
        let kept = pairs.iter().copied().filter(|(_, seq)| !gone.contains(seq));
        let left: BTreeSet<Pair> =
            gone.iter().zip(left).filter(|(_, (_, is_left))| *is_left).map(|(seq, (term, _))| ((term % 6) << 56, *seq)).collect();
        let expected: BTreeSet<Pair> = kept.chain(left.iter().copied()).collect();
        let left = build(whole.extent, &left, Place::Memory);
        let replaced = replace(&whole, &gone, &left, in_folder(folder.path())).unwrap();
        prop_assert_eq!(pairs_of(&replaced).unwrap(), expected.into_iter().collect::<Vec<_>>());
        prop_assert!(pairs_of(&whole).is_ok(), "who reads the file before goes on with it");
    }
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let pairs: BTreeSet<Pair> = (1..2_000).map(|seq| (seq % 7 * 1_000 + seq % 3, seq)).collect();
    let name = RunName { first_seq: 1, last_seq: 2_000 };
    build(extent(1, 2_000), &pairs, in_folder(folder.path()));
    let path = folder.path().join(name.text());
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 3 * 2_048, "{} bytes", bytes.len());
    for place in (0..bytes.len()).step_by(11).chain(bytes.len() - 152..bytes.len()) {
        let mut rotten = bytes.clone();
        rotten[place] ^= 1 << (place % 8);
        std::fs::write(&path, &rotten).unwrap();
        let read = Run::open(folder.path(), name, VERSION).and_then(|(run, _)| pairs_of(&run));
        assert!(matches!(read, Err(ProjectionFault::Unfit(_))), "byte {place}");
    }
    for bytes in [&bytes[..bytes.len() - 1], &bytes[1..], &[]] {
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(Run::open(folder.path(), name, VERSION), Err(ProjectionFault::Unfit(_))));
    }
}

#[test]
fn a_block_of_another_run_does_not_check() {
    let folder = tempfile::tempdir().unwrap();
    let pairs: BTreeSet<Pair> = (1..2_000).map(|seq| (seq % 7, seq)).collect();
    let name = RunName { first_seq: 1, last_seq: 2_000 };
    let path = folder.path().join(name.text());
    let files = [(); 2].map(|()| {
        let run = build(extent(1, 2_000), &pairs, in_folder(folder.path()));
        (std::fs::read(&path).unwrap(), run.blocks[1].offset as usize)
    });
    let [(older, block), (newer, same)] = files;
    assert_eq!(block, same);
    let stale = [&older[..block], &newer[block..]].concat();
    std::fs::write(&path, stale).unwrap();
    let (run, _) = Run::open(folder.path(), name, VERSION).unwrap();
    assert!(matches!(pairs_of(&run), Err(ProjectionFault::Unfit(_))));
}
