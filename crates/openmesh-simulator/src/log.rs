//! A disk in memory: what was written and not synced may be lost in a crash, from some record on.

use crate::random::Random;
use crate::violation::{Violation, ensure};
use openmesh_core::Sealed;
use openmesh_core::record::{Recollection, Record, decode_header};
use openmesh_message::{Digest, Position};
use std::collections::BTreeMap;

const CHAIN_CONTEXT: &str = "simulated chain";

/// The log of one partition.
#[derive(Debug, Default)]
pub(crate) struct Log {
    records: Vec<Sealed>,
    synced: usize,
    snapshots: Vec<(u64, Vec<u8>)>,
    /// Every record ever written, kept or lost: a position is never used for two.
    written: BTreeMap<Position, Digest>,
    pub(crate) epoch: u32,
    pub(crate) is_clean: bool,
}

/// What a crash did to records that were not synced.
pub(crate) struct Torn {
    pub(crate) kept: usize,
    pub(crate) lost: usize,
}

impl Log {
    pub(crate) fn append(&mut self, records: &[Sealed]) -> Result<(), Violation> {
        for sealed in records {
            let next = self.records.len() as u64 + 1;
            let position = sealed.position;
            ensure(position.seq == next, "records are numbered without a gap", || {
                format!("{position} follows record {}", next - 1)
            })?;
            let digest = Digest::of(&sealed.header);
            let before = self.written.insert(position, digest);
            ensure(before.is_none_or(|before| before == digest), "a position is never used twice", || {
                format!("{position} was written before with another header")
            })?;
            self.records.push(sealed.clone());
        }
        Ok(())
    }

    pub(crate) fn sync(&mut self) {
        self.synced = self.records.len();
    }

    /// Power is lost: of what was not synced, a first part survives.
    pub(crate) fn crash(&mut self, random: &mut Random) -> Torn {
        let unsynced = self.records.len() - self.synced;
        let kept = random.below(unsynced as u64 + 1) as usize;
        self.records.truncate(self.synced + kept);
        self.synced = self.records.len();
        self.is_clean = false;
        Torn { kept, lost: unsynced - kept }
    }

    /// Drops the last synced record: a disk that lied.
    pub(crate) fn lose_last(&mut self) {
        self.records.pop();
        self.synced = self.records.len();
        let head = self.head();
        self.snapshots.retain(|(seq, _)| *seq <= head);
    }

    /// The number of the last synced record.
    pub(crate) const fn head(&self) -> u64 {
        self.synced as u64
    }

    pub(crate) fn get(&self, seq: u64) -> Option<&Sealed> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.records.get(index).filter(|_| index < self.synced)
    }

    pub(crate) fn record(&self, seq: u64) -> Result<Record, Violation> {
        let missing = || Violation::new("a record named is kept", format!("there is no record {seq}"));
        let sealed = self.get(seq).ok_or_else(missing)?;
        Record::decode(&sealed.header, &sealed.salt, &sealed.body)
            .map_err(|error| Violation::new("a record kept can be read", format!("record {seq}: {error}")))
    }

    /// A record as recovery reads it.
    pub(crate) fn recollection(&self, seq: u64) -> Result<Recollection<'static>, Violation> {
        let missing = || Violation::new("a record named is kept", format!("there is no record {seq}"));
        let sealed = self.get(seq).ok_or_else(missing)?;
        Recollection::decode(&sealed.header, &sealed.salt, &sealed.body)
            .map_err(|error| Violation::new("a record kept can be read", format!("record {seq}: {error}")))
    }

    pub(crate) fn position(&self, seq: u64) -> Option<Position> {
        let sealed = self.get(seq)?;
        decode_header(&sealed.header).ok().map(|header| header.position)
    }

    /// The chain over headers up to the last synced record.
    pub(crate) fn chain(&self) -> Digest {
        let synced = self.records.iter().take(self.synced);
        synced.fold(Digest::ZERO, |chain, sealed| {
            Digest::of_parts(CHAIN_CONTEXT, &[chain.as_bytes(), &sealed.header])
        })
    }

    /// Keeps the last two snapshots.
    pub(crate) fn keep_snapshot(&mut self, bytes: Vec<u8>) {
        self.snapshots.push((self.head(), bytes));
        if self.snapshots.len() > 2 {
            self.snapshots.remove(0);
        }
    }

    /// A snapshot, the newest first.
    pub(crate) fn snapshot(&self, age: usize) -> Option<&(u64, Vec<u8>)> {
        self.snapshots.iter().rev().nth(age)
    }
}
