//! Rotten bits: files of a real node's log with bits flipped, pages zeroed, swapped or gone back in time, ends cut off. It is
//! always reported, costs at most the records it hit, and the log goes on without using a position twice.

mod fixture;
mod others;
mod trial;

use fixture::Fixture;
use trial::{Hit, Loss, Tally, try_damage};

/// A page of the page cache: what a kernel loses or swaps at once.
const PAGE: usize = 4096;
/// One bit is flipped in every so many bytes in a campaign, and in every so many of those in a test run.
const FLIP_EVERY: usize = 1_000;
const SAMPLE: usize = 5;
/// Pages and lengths that a test run takes of all.
const PAGE_SAMPLE: usize = 4;

/// Whether there is time for every place.
fn is_campaign() -> bool {
    std::env::var_os("OPENMESH_ROT_ALL").is_some()
}

/// One of how many places is tried: all of them in a campaign.
fn one_of(sample: usize) -> usize {
    if is_campaign() { 1 } else { sample }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_rots_is_reported_and_costs_at_most_what_it_hit() {
    let fixture = Fixture::make().await;
    let mut tallies = vec![flipped_bits(&fixture)];
    if is_campaign() {
        tallies.push(zeroed_pages(&fixture));
        tallies.push(swapped_pages(&fixture));
        tallies.push(stale_pages(&fixture));
        tallies.push(cut_ends(&fixture));
        tallies.push(lost_files(&fixture));
    }
    for tally in &tallies {
        println!("{tally}");
    }
    for tally in &tallies {
        assert!(tally.trials > 0 && tally.reported == tally.trials, "{tally}");
    }
}

/// Every place of every file that is tried, with a step between.
fn places(fixture: &Fixture, step: usize) -> impl Iterator<Item = (&str, usize)> {
    fixture.files().flat_map(move |(name, bytes)| (0..bytes.len()).step_by(step).map(move |at| (name, at)))
}

fn flipped_bits(fixture: &Fixture) -> Tally {
    let mut tally = Tally::new("one flipped bit");
    for (index, (name, at)) in places(fixture, FLIP_EVERY).enumerate().step_by(one_of(SAMPLE)) {
        // Not always the first byte of something: the places wander.
        let at = (at + index * 7 % FLIP_EVERY).min(fixture.bytes(name).len() - 1);
        let damage = |bytes: &mut Vec<u8>| bytes[at] ^= 1 << (index % 8);
        try_damage(
            fixture,
            &mut tally,
            &Hit { what: &format!("bit at {at}"), loss: Loss::Records(1) },
            &[(name, &damage)],
        );
    }
    tally
}

fn zeroed_pages(fixture: &Fixture) -> Tally {
    let mut tally = Tally::new("a zeroed page");
    for (name, at) in places(fixture, PAGE).step_by(one_of(PAGE_SAMPLE)) {
        let damage = |bytes: &mut Vec<u8>| {
            let end = (at + PAGE).min(bytes.len());
            bytes[at..end].fill(0);
        };
        let loss = Loss::On(vec![(name.to_owned(), at, at + PAGE)]);
        try_damage(fixture, &mut tally, &Hit { what: &format!("page at {at}"), loss }, &[(name, &damage)]);
    }
    tally
}

/// A page and the one that is a stride away, in the same file or the next one.
fn swapped_pages(fixture: &Fixture) -> Tally {
    let mut tally = Tally::new("two swapped pages");
    let segments = |(name, _): &(&str, usize)| name.starts_with("segment");
    let all: Vec<_> = places(fixture, PAGE).filter(segments).collect();
    for (stride, step) in [(1, 1), (23, 2)] {
        for pair in all.windows(stride + 1).step_by(one_of(PAGE_SAMPLE) * step) {
            let ((one, one_at), (other, other_at)) = (pair[0], pair[stride]);
            let page = |name: &str, at: usize| {
                let bytes = fixture.bytes(name);
                bytes[at..(at + PAGE).min(bytes.len())].to_vec()
            };
            let (first, second) = (page(one, one_at), page(other, other_at));
            let put = |at: usize, page: Vec<u8>| {
                move |bytes: &mut Vec<u8>| {
                    let end = (at + page.len()).min(bytes.len());
                    let page = &page[..end - at];
                    bytes[at..end].copy_from_slice(page);
                }
            };
            let loss = Loss::On(vec![
                (one.to_owned(), one_at, one_at + PAGE),
                (other.to_owned(), other_at, other_at + PAGE),
            ]);
            let hit = Hit { what: &format!("pages at {one_at} and {other_at} of {other}"), loss };
            let (to_one, to_other) = (put(one_at, second), put(other_at, first));
            if one == other {
                let both = |bytes: &mut Vec<u8>| {
                    to_one(bytes);
                    to_other(bytes);
                };
                try_damage(fixture, &mut tally, &hit, &[(one, &both)]);
            } else {
                try_damage(fixture, &mut tally, &hit, &[(one, &to_one), (other, &to_other)]);
            }
        }
    }
    tally
}

/// A page is what it was before the last writes to it.
fn stale_pages(fixture: &Fixture) -> Tally {
    let mut tally = Tally::new("a stale page");
    for (name, at, page) in fixture.stale_pages(PAGE).into_iter().step_by(one_of(2)) {
        let damage = |bytes: &mut Vec<u8>| {
            let end = (at + page.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&page[..end - at]);
        };
        let loss = Loss::On(vec![(name.clone(), at, at + PAGE)]);
        try_damage(fixture, &mut tally, &Hit { what: &format!("page at {at}"), loss }, &[(&name, &damage)]);
    }
    tally
}

fn cut_ends(fixture: &Fixture) -> Tally {
    let mut tally = Tally::new("an end cut off");
    for (name, at) in places(fixture, 3 * PAGE).step_by(one_of(PAGE_SAMPLE)) {
        let damage = |bytes: &mut Vec<u8>| bytes.truncate(at);
        let loss = Loss::On(vec![(name.to_owned(), at, usize::MAX)]);
        try_damage(fixture, &mut tally, &Hit { what: &format!("cut at {at}"), loss }, &[(name, &damage)]);
    }
    tally
}

/// Whole files that are gone: a segment costs its records; a snapshot costs nothing but time.
fn lost_files(fixture: &Fixture) -> Tally {
    let mut tally = Tally::new("a file gone");
    for (name, _) in fixture.files().step_by(one_of(3)) {
        if name == "lock" || name.starts_with("snapshot") {
            continue;
        }
        let loss = Loss::On(vec![(name.to_owned(), 0, usize::MAX)]);
        trial::try_without(fixture, &mut tally, &Hit { what: "gone", loss }, name);
    }
    tally
}
