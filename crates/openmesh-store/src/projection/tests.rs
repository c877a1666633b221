//! The index against a naive search of the same records, and what becomes of an index that does not fit.

use super::{Candidate, Candidates, Entry, Found, Projection, Read, Sought, TimeRange, Topics};
use crate::embedded::{EmbeddedLog, LogConfig, LogReader};
use crate::record::EncodedRecord;
use openmesh_message::{PartitionId, Position};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TOPIC_COUNT: u64 = 5;
const TOPIC_TERM: u64 = 100;
/// Every record, half of them, a third, and one in 701.
const DIVISORS: [u64; 4] = [1, 2, 3, 701];

fn open(folder: &Path) -> EmbeddedLog {
    let config = LogConfig { segment_bytes: 256 * 1024, ..LogConfig::new(PartitionId(0)) };
    EmbeddedLog::open(&folder.join("log"), &config).unwrap().0
}

fn keep(log: &mut EmbeddedLog, count: u64, what: &str) {
    let position = |seq| Position { partition: PartitionId(0), epoch: log.epoch(), seq };
    let records = (log.next_seq()..log.next_seq() + count).map(|seq| EncodedRecord {
        position: position(seq),
        header: format!("{what} {seq}").into_bytes(),
        salt: [0; 16],
        body: vec![7; 40],
    });
    log.append(&records.collect::<Vec<_>>()).unwrap();
    log.sync().unwrap();
}

fn topic(seq: u64) -> u64 {
    seq * 7 % TOPIC_COUNT
}

/// Times go back now and then.
fn at(seq: u64) -> i64 {
    i64::try_from(seq * 10).unwrap() - if seq.is_multiple_of(97) { 20_000 } else { 0 }
}

fn entry(seq: u64, into: &mut Entry) {
    into.terms.extend(DIVISORS.into_iter().filter(|divisor| seq.is_multiple_of(*divisor)));
    into.terms.push(TOPIC_TERM + topic(seq));
    into.topic = format!("a/{}", topic(seq));
    into.topic_term = TOPIC_TERM + topic(seq);
    into.at = at(seq);
}

fn read() -> Box<Read> {
    Box::new(|record, into| {
        entry(record.position.seq, into);
        true
    })
}

fn start(folder: &Path, log: LogReader) -> Projection {
    Projection::start(&folder.join("projection"), 1, log, read()).unwrap()
}

fn wait(projection: &Projection, seq: u64) {
    let until = Instant::now() + Duration::from_secs(60);
    while projection.covered_seq() < seq {
        assert!(Instant::now() < until, "covered {} of {seq}", projection.covered_seq());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn all(mut candidates: Candidates, newest_first: bool) -> Vec<u64> {
    let mut found = Vec::new();
    let mut from = if newest_first { u64::MAX >> 1 } else { 1 };
    loop {
        match candidates.next(from).unwrap() {
            Found::Candidate(Candidate { seq, .. }) => {
                found.push(seq);
                from = if newest_first { seq - 1 } else { seq + 1 };
            }
            Found::NoneThrough(seq) => from = if newest_first { seq - 1 } else { seq + 1 },
            Found::End => return found,
        }
    }
}

/// How many a search finds, as far as it comes.
fn found_of(projection: &Projection, sought: &Sought) -> u64 {
    let (mut candidates, mut count, mut from) = (projection.search(sought), 0, 1);
    while let Ok(Found::Candidate(Candidate { seq, .. })) = candidates.next(from) {
        (count, from) = (count + 1, seq + 1);
    }
    count
}

/// The index's files whose names end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("projection")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

type Naive = Box<dyn Fn(u64) -> bool>;

fn questions() -> Vec<(Sought, Naive)> {
    let divides = |divisor: u64| move |seq: u64| seq.is_multiple_of(divisor);
    let topics = |below: u64| Topics {
        prefix: "a/".to_owned(),
        takes: Arc::new(move |path| path.trim_start_matches("a/").parse::<u64>().unwrap() < below),
    };
    let times = TimeRange { since: Some(30_000), until: Some(60_000) };
    let within = |seq: u64| (30_000..60_000).contains(&at(seq));
    vec![
        (Sought::default(), Box::new(|_| true)),
        (Sought { all: vec![2], ..Sought::default() }, Box::new(divides(2))),
        (Sought { all: vec![701], ..Sought::default() }, Box::new(divides(701))),
        (Sought { all: vec![1, 2, 3], ..Sought::default() }, Box::new(divides(6))),
        (Sought { all: vec![999], ..Sought::default() }, Box::new(|_| false)),
        (Sought { any: vec![2, 3], ..Sought::default() }, Box::new(|seq| seq % 2 == 0 || seq % 3 == 0)),
        (Sought { topics: Some(topics(2)), ..Sought::default() }, Box::new(|seq| topic(seq) < 2)),
        (Sought { topics: Some(topics(0)), ..Sought::default() }, Box::new(|_| false)),
        (
            Sought { all: vec![3], any: vec![2, 701], topics: Some(topics(3)), ..Sought::default() },
            Box::new(|seq| seq % 3 == 0 && (seq % 2 == 0 || seq % 701 == 0) && topic(seq) < 3),
        ),
        (
            Sought { all: vec![2], times, ..Sought::default() },
            Box::new(move |seq| seq % 2 == 0 && within(seq)),
        ),
    ]
}

/// Times are kept for many records together: the naive search says what is at least found, and what at most.
fn assert_agrees(projection: &Projection, records: u64) {
    for (sought, fits) in questions() {
        for newest_first in [false, true] {
            let sought = Sought { newest_first, ..sought.clone() };
            let mut found = all(projection.search(&sought), newest_first);
            if newest_first {
                found.reverse();
            }
            let expected: Vec<u64> = (1..=records).filter(|seq| fits(*seq)).collect();
            if sought.times == TimeRange::default() {
                assert_eq!(found, expected);
            } else {
                assert!(expected.iter().all(|seq| found.binary_search(seq).is_ok()));
                assert!((found.len() as u64) < records / 2, "times narrow nothing down");
            }
        }
    }
}

#[test]
fn a_search_finds_what_a_naive_one_finds_in_both_directions() {
    const RECORDS: u64 = 12_000;
    let folder = TempDir::new().unwrap();
    let mut log = open(folder.path());
    keep(&mut log, RECORDS / 2, "a");
    let projection = start(folder.path(), log.reader());
    wait(&projection, RECORDS / 2);
    for _ in 0..60 {
        keep(&mut log, RECORDS / 120, "a");
    }
    wait(&projection, RECORDS);
    assert_agrees(&projection, RECORDS);
}

#[test]
fn an_index_goes_on_where_it_was() {
    let folder = TempDir::new().unwrap();
    let mut log = open(folder.path());
    keep(&mut log, 500, "a");
    let projection = start(folder.path(), log.reader());
    wait(&projection, 500);
    drop(projection);
    keep(&mut log, 500, "a");
    // Whatever is read again would be read wrongly.
    let read: Box<Read> = Box::new(|record, into| {
        entry(record.position.seq, into);
        record.position.seq > 500
    });
    let projection = Projection::start(&folder.path().join("projection"), 1, log.reader(), read).unwrap();
    wait(&projection, 1_000);
    assert_agrees(&projection, 1_000);
}

#[test]
fn an_index_that_does_not_fit_is_built_anew() {
    let damage = |folder: &Path| {
        for file in files(folder, "run") {
            let mut bytes = std::fs::read(&file).unwrap();
            bytes[..16].fill(0xff);
            std::fs::write(&file, bytes).unwrap();
        }
    };
    let other_log = |folder: &Path| {
        std::fs::remove_dir_all(folder.join("log")).unwrap();
        keep(&mut open(folder), 1_200, "b");
    };
    let shorter_log = |folder: &Path| {
        std::fs::remove_dir_all(folder.join("log")).unwrap();
        keep(&mut open(folder), 300, "a");
    };
    let removed = |folder: &Path| std::fs::remove_dir_all(folder.join("projection")).unwrap();
    let power_cut =
        |folder: &Path| std::fs::write(folder.join("projection/being-written"), "an earlier run").unwrap();
    let breaks: [&dyn Fn(&Path); 5] = [&damage, &other_log, &shorter_log, &removed, &power_cut];
    for (index, break_it) in breaks.into_iter().enumerate() {
        let folder = TempDir::new().unwrap();
        let mut log = open(folder.path());
        keep(&mut log, 1_000, "a");
        let wrong: Box<Read> = Box::new(|_, _| true);
        let projection =
            Projection::start(&folder.path().join("projection"), 1, log.reader(), wrong).unwrap();
        wait(&projection, 1_000);
        drop((projection, log));
        assert!(!folder.path().join("projection/being-written").exists(), "closed and synced");
        break_it(folder.path());
        let log = open(folder.path());
        let records = log.next_seq() - 1;
        let projection = start(folder.path(), log.reader());
        let until = Instant::now() + Duration::from_secs(60);
        let two = Sought { all: vec![2], ..Sought::default() };
        while found_of(&projection, &two) < records / 2 {
            assert!(Instant::now() < until, "break {index}: not built anew");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn an_index_of_another_version_is_built_anew() {
    let folder = TempDir::new().unwrap();
    let mut log = open(folder.path());
    keep(&mut log, 1_000, "a");
    let wrong: Box<Read> = Box::new(|_, _| true);
    drop(Projection::start(&folder.path().join("projection"), 7, log.reader(), wrong).unwrap());
    let projection = start(folder.path(), log.reader());
    wait(&projection, 1_000);
    assert_agrees(&projection, 1_000);
}
