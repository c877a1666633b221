//! Inboxes in snapshots: compact from version 3 on, and as versions 1 and 2 have them.

use super::entry::{Entry, EntryState, bytes_in_reply_at_most};
use super::{Inbox, RareEnds};
use crate::state::compact::{Reader, put_from, put_time, put_uint};
use openmesh_message::frame::InboxCounts;
use openmesh_message::{AgentId, Priority, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;

/// An inbox as snapshots of versions 1 and 2 have it.
#[derive(Deserialize)]
pub(crate) struct StoredInbox {
    counts: InboxCounts,
    last_token: u64,
    entries: BTreeMap<u64, StoredEntry>,
}

#[derive(Deserialize)]
struct StoredEntry {
    seq: u64,
    notice: Option<u16>,
    /// Of its payload.
    bytes: u32,
    priority: Priority,
    expiry: Option<Timestamp>,
    attempts: u32,
    state: EntryState,
    #[serde(default)]
    sender: Option<AgentId>,
    #[serde(default)]
    is_act: bool,
}

impl From<StoredInbox> for Inbox {
    fn from(stored: StoredInbox) -> Self {
        let StoredInbox { counts, last_token, entries } = stored;
        let InboxCounts { acknowledged, expired, dead_lettered, recalled, .. } = counts;
        let mut inbox = Self { last_token, acknowledged, ..Self::default() };
        inbox.count(RareEnds { expired, dead_lettered, recalled });
        for (number, stored) in entries {
            inbox.put(number, &stored.into());
        }
        inbox
    }
}

impl From<StoredEntry> for Entry {
    fn from(stored: StoredEntry) -> Self {
        let StoredEntry { seq, notice, bytes, priority, expiry, attempts, state, sender, is_act } = stored;
        let bytes = bytes_in_reply_at_most(bytes as usize);
        Self { seq, notice, bytes, priority, expiry, attempts, state, sender, is_act }
    }
}

const READY: u8 = 0;
const DELAYED: u8 = 1;
const LEASED: u8 = 2;
const STATE: u8 = 3;
const PRIORITY_AT: u32 = 2;
const ACT: u8 = 1 << 4;
const EXPIRES: u8 = 1 << 5;
const FROM_SENDER: u8 = 1 << 6;
const FROM_NODE: u8 = 1 << 7;

/// What an entry is told apart from: the one before it.
#[derive(Default)]
struct Before {
    number: u64,
    seq: u64,
    time: Timestamp,
}

impl Inbox {
    /// Appends the inbox to a snapshot.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let InboxCounts { pending, acknowledged, expired, dead_lettered, recalled, .. } = self.counts();
        for count in [self.put, self.events, self.last_token, acknowledged, expired, dead_lettered, recalled]
        {
            put_uint(out, count);
        }
        put_uint(out, pending);
        if let Some(held) = &self.held {
            write_leases(held, out);
            let mut places = BTreeMap::new();
            let mut before = Before::default();
            for (number, entry) in held.entries() {
                let new = places.len() as u64;
                let sender = entry.sender.map(|sender| (sender, *places.entry(sender).or_insert(new), new));
                write_entry(out, (number, &entry), sender, &mut before);
            }
        }
    }

    /// Reads what `write` has written.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (put, events, last_token, acknowledged) =
            (reader.uint()?, reader.uint()?, reader.uint()?, reader.uint()?);
        let mut inbox = Self { put, events, last_token, acknowledged, ..Self::default() };
        let (expired, dead_lettered, recalled) = (reader.uint()?, reader.uint()?, reader.uint()?);
        inbox.count(RareEnds { expired, dead_lettered, recalled });
        let pending = reader.count()?;
        if pending == 0 {
            return Some(inbox);
        }
        let leases = read_leases(reader)?;
        let mut senders = Vec::new();
        let mut before = Before::default();
        for _ in 0..pending {
            let entry = read_entry(reader, (&leases, &mut senders), &mut before)?;
            inbox.put(before.number, &entry);
        }
        Some(inbox)
    }
}

fn write_leases(held: &super::held::Held, out: &mut Vec<u8>) {
    put_uint(out, held.leases().count() as u64);
    for (token, lease) in held.leases() {
        put_uint(out, token);
        put_time(out, lease.until, Timestamp::default());
    }
}

fn read_leases(reader: &mut Reader<'_>) -> Option<BTreeMap<u64, Timestamp>> {
    let count = reader.count()?;
    (0..count).map(|_| Some((reader.uint()?, reader.time(Timestamp::default())?))).collect()
}

/// A sender is written where it occurs first, and then named by its place.
fn write_entry(
    out: &mut Vec<u8>,
    (number, entry): (u64, &Entry),
    sender: Option<(AgentId, u64, u64)>,
    before: &mut Before,
) {
    let mut flags = (entry.priority as u8) << PRIORITY_AT;
    flags |= match entry.state {
        EntryState::Ready => READY,
        EntryState::Delayed(_) => DELAYED,
        EntryState::Leased(..) => LEASED,
    };
    flags |= if entry.is_act { ACT } else { 0 };
    flags |= if entry.expiry.is_some() { EXPIRES } else { 0 };
    flags |= if sender.is_some() { FROM_SENDER } else { 0 };
    flags |= if entry.notice.is_some() { FROM_NODE } else { 0 };
    out.push(flags);
    put_uint(out, number - before.number);
    put_from(out, entry.seq, before.seq);
    put_uint(out, u64::from(entry.bytes));
    put_uint(out, u64::from(entry.attempts));
    if let Some((id, place, new)) = sender {
        put_uint(out, place);
        if place == new {
            out.extend(id.public_key());
        }
    }
    if let Some(notice) = entry.notice {
        put_uint(out, u64::from(notice));
    }
    if let Some(expiry) = entry.expiry {
        put_time(out, expiry, before.time);
        before.time = expiry;
    }
    match entry.state {
        EntryState::Ready => {}
        EntryState::Delayed(time) => put_time(out, time, before.time),
        EntryState::Leased(token, _) => put_uint(out, token),
    }
    (before.number, before.seq) = (number, entry.seq);
}

fn read_entry(
    reader: &mut Reader<'_>,
    (leases, senders): (&BTreeMap<u64, Timestamp>, &mut Vec<AgentId>),
    before: &mut Before,
) -> Option<Entry> {
    let flags = reader.byte()?;
    let has = |flag: u8| flags & flag != 0;
    before.number = before.number.checked_add(reader.uint()?)?;
    before.seq = reader.uint_from(before.seq)?;
    let (bytes, attempts) = (u32::try_from(reader.uint()?).ok()?, u32::try_from(reader.uint()?).ok()?);
    let sender = if has(FROM_SENDER) { Some(read_sender(reader, senders)?) } else { None };
    let notice = if has(FROM_NODE) { Some(u16::try_from(reader.uint()?).ok()?) } else { None };
    let expiry = if has(EXPIRES) { Some(reader.time(before.time)?) } else { None };
    before.time = expiry.unwrap_or(before.time);
    let state = match flags & STATE {
        READY => EntryState::Ready,
        DELAYED => EntryState::Delayed(reader.time(before.time)?),
        LEASED => {
            let token = reader.uint()?;
            EntryState::Leased(token, *leases.get(&token)?)
        }
        _ => return None,
    };
    let priority = Priority::ALL.get(usize::from(flags >> PRIORITY_AT & 3)).copied()?;
    let (seq, is_act) = (before.seq, has(ACT));
    Some(Entry { seq, notice, bytes, priority, expiry, attempts, state, sender, is_act })
}

fn read_sender(reader: &mut Reader<'_>, senders: &mut Vec<AgentId>) -> Option<AgentId> {
    let place = usize::try_from(reader.uint()?).ok()?;
    if place == senders.len() {
        senders.push(reader.agent()?);
    }
    senders.get(place).copied()
}
