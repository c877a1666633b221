//! Rotten bits: files of a real node's log with bits flipped, pages zeroed, swapped or gone back in time, ends cut off. It is
//! always reported, costs at most the records it hit, and the log goes on without using a position twice.

mod damage;
mod fixture;
mod others;
mod trial;

use damage::{Change, Hit, Loss};
use fixture::Fixture;
use std::sync::Mutex;
use std::time::Instant;
use trial::{Bench, Tally};

/// A page of the page cache: what a kernel loses or swaps at once.
const PAGE: usize = 4096;
/// One bit is flipped in every so many bytes in a campaign, and in every so many of those in a test run.
const FLIP_EVERY: usize = 1_000;
const SAMPLE: usize = 5;
/// Of pages, lengths and files a test run takes one in so many.
const PAGE_SAMPLE: usize = 6;
/// How far apart pages that are swapped stand.
const STRIDES: [usize; 2] = [1, 23];
/// Trials go on at once on so many copies of the folder.
const BENCHES: usize = 2;

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
    println!("rot: {fixture}");
    let kinds: [(&'static str, Vec<Hit>); 6] = [
        ("one flipped bit", flipped_bits(&fixture)),
        ("a zeroed page", zeroed_pages(&fixture)),
        ("two swapped pages", swapped_pages(&fixture)),
        ("a stale page", stale_pages(&fixture)),
        ("an end cut off", cut_ends(&fixture)),
        ("a file gone", lost_files(&fixture)),
    ];
    let mut tallies = vec![Bench::new(&fixture).flip_lock()];
    tallies.extend(kinds.into_iter().map(|(kind, hits)| try_all(&fixture, kind, hits)));
    for tally in &tallies {
        println!("{tally}");
    }
    let broken: Vec<&str> = tallies.iter().flat_map(|tally| &tally.violations).map(String::as_str).collect();
    assert!(broken.is_empty(), "{} violations, first: {:#?}", broken.len(), &broken[..broken.len().min(12)]);
    assert!(tallies.iter().all(|tally| tally.trials > 0 && tally.reported == tally.trials));
}

/// Tries every hit of a kind, on all benches.
fn try_all(fixture: &Fixture, kind: &'static str, hits: Vec<Hit>) -> Tally {
    let begun = Instant::now();
    let hits = Mutex::new(hits.into_iter());
    let next = || hits.lock().unwrap().next();
    let mut tally = std::thread::scope(|scope| {
        let work = || {
            let (bench, mut tally) = (Bench::new(fixture), Tally::new(kind));
            while let Some(hit) = next() {
                bench.try_hit(&hit, &mut tally);
            }
            bench.assert_as_it_was();
            tally
        };
        let threads: Vec<_> = (0..BENCHES).map(|_| scope.spawn(work)).collect();
        let tallies = threads.into_iter().map(|thread| thread.join().unwrap());
        tallies.reduce(Tally::with).unwrap()
    });
    tally.took = begun.elapsed();
    tally
}

/// Every place of every file that is tried, with a step between.
fn places(fixture: &Fixture, step: usize) -> impl Iterator<Item = (&str, usize)> {
    fixture.files().flat_map(move |(name, bytes)| (0..bytes.len()).step_by(step).map(move |at| (name, at)))
}

fn flipped_bits(fixture: &Fixture) -> Vec<Hit> {
    let flip = |(index, (name, at)): (usize, (&str, usize))| {
        // Not always the first byte of something: the places wander.
        let at = (at + index * 7 % FLIP_EVERY).min(fixture.bytes(name).len() - 1);
        Hit::of(vec![(name.to_owned(), Change::Flip { at, bit: index % 8 })], Loss::Records(1))
    };
    places(fixture, FLIP_EVERY).enumerate().step_by(one_of(SAMPLE)).map(flip).collect()
}

fn zeroed_pages(fixture: &Fixture) -> Vec<Hit> {
    let zero = |(name, at): (&str, usize)| {
        let bytes = vec![0; PAGE.min(fixture.bytes(name).len() - at)];
        let loss = Loss::On(vec![(name.to_owned(), at, at + PAGE)]);
        Hit::of(vec![(name.to_owned(), Change::Put { at, bytes })], loss)
    };
    places(fixture, PAGE).step_by(one_of(PAGE_SAMPLE)).map(zero).collect()
}

/// A page and the one that is a stride away, in the same file or the next one.
fn swapped_pages(fixture: &Fixture) -> Vec<Hit> {
    let segments = |(name, _): &(&str, usize)| name.starts_with("segment");
    let all: Vec<_> = places(fixture, PAGE).filter(segments).collect();
    let swap = |one: (&str, usize), other: (&str, usize)| {
        let put = |(name, at): (&str, usize), (from, from_at): (&str, usize)| {
            let mut bytes = fixture.page(from, from_at, PAGE).to_vec();
            bytes.truncate(fixture.bytes(name).len() - at);
            (name.to_owned(), Change::Put { at, bytes })
        };
        let on = |(name, at): (&str, usize)| (name.to_owned(), at, at + PAGE);
        Hit::of(vec![put(one, other), put(other, one)], Loss::On(vec![on(one), on(other)]))
    };
    let pairs = |stride: usize| all.windows(stride + 1).step_by(one_of(PAGE_SAMPLE) * stride.min(2));
    let hits =
        STRIDES.into_iter().flat_map(|stride| pairs(stride).map(move |pair| swap(pair[0], pair[stride])));
    hits.collect()
}

/// A page is what it was before the last writes to it.
fn stale_pages(fixture: &Fixture) -> Vec<Hit> {
    let stale = |(name, at, bytes): (String, usize, Vec<u8>)| {
        let loss = Loss::On(vec![(name.clone(), at, at + PAGE)]);
        Hit::of(vec![(name, Change::Turn { at, bytes })], loss)
    };
    fixture.stale_pages(PAGE).into_iter().map(stale).collect()
}

fn cut_ends(fixture: &Fixture) -> Vec<Hit> {
    let cut = |(name, at): (&str, usize)| {
        let loss = Loss::On(vec![(name.to_owned(), at, usize::MAX)]);
        Hit::of(vec![(name.to_owned(), Change::Cut { at })], loss)
    };
    places(fixture, 3 * PAGE).step_by(one_of(PAGE_SAMPLE)).map(cut).collect()
}

/// Whole files that are gone: a segment costs its records.
fn lost_files(fixture: &Fixture) -> Vec<Hit> {
    let segments = fixture.files().map(|(name, _)| name).filter(|name| name.starts_with("segment"));
    let gone = |name: &str| {
        let loss = Loss::On(vec![(name.to_owned(), 0, usize::MAX)]);
        Hit::of(vec![(name.to_owned(), Change::Gone)], loss)
    };
    segments.step_by(one_of(3)).map(gone).collect()
}
