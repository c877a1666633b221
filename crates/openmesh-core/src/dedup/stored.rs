//! Remembered ids in snapshots: compact from version 3 on, and as versions 1 and 2 have them.

use super::window::{Seen, Window};
use super::{Dedup, short};
use crate::state::compact::{Reader, put_from, put_time, put_uint};
use openmesh_message::{AgentId, Digest, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The ids remembered, as snapshots of versions 1 and 2 have them.
#[derive(Deserialize)]
pub(crate) struct StoredDedup {
    windows: BTreeMap<AgentId, StoredWindow>,
}

#[derive(Deserialize)]
struct StoredWindow {
    seen: BTreeMap<[u8; 16], StoredSeen>,
    floor: Option<Timestamp>,
}

#[derive(Deserialize)]
struct StoredSeen {
    digest: Digest,
    seq: u64,
    time: Timestamp,
}

impl StoredDedup {
    /// The same, keyed.
    pub(crate) fn keyed(self, key: u64) -> Dedup {
        let mut dedup = Dedup::keyed(key);
        for (sender, stored) in self.windows {
            let mut window = Window::keyed(key);
            window.set_floor(stored.floor);
            for (id, seen) in stored.seen {
                let id = id.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
                window.insert(Seen { id, check: short(&seen.digest), seq: seen.seq, time: seen.time });
            }
            dedup.windows.insert(sender, window);
        }
        dedup
    }
}

impl Dedup {
    /// Appends what is remembered to a snapshot.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_uint(out, self.windows.len() as u64);
        for (sender, window) in &self.windows {
            out.extend(sender.public_key());
            let floor = window.floor();
            out.push(u8::from(floor.is_some()));
            put_time(out, floor.unwrap_or_default(), Timestamp::default());
            put_uint(out, window.len() as u64);
            let (mut seq, mut time) = (0, Timestamp::default());
            for seen in window.iter() {
                out.extend(seen.id.to_be_bytes());
                out.extend(seen.check.to_be_bytes());
                put_from(out, seen.seq, seq);
                put_time(out, seen.time, time);
                (seq, time) = (seen.seq, seen.time);
            }
        }
    }

    /// Reads what `write` has written.
    pub(crate) fn read(reader: &mut Reader<'_>, key: u64) -> Option<Self> {
        let mut dedup = Self::keyed(key);
        for _ in 0..reader.count()? {
            let sender = reader.agent()?;
            let is_there = reader.byte()? != 0;
            let floor = Some(reader.time(Timestamp::default())?).filter(|_| is_there);
            let mut window = Window::keyed(key);
            window.set_floor(floor);
            let count = reader.count()?;
            window.make_room(count.min(reader.left() / SEEN_BYTES_MIN));
            let (mut seq, mut time) = (0, Timestamp::default());
            for _ in 0..count {
                let (id, check) = (u64::from_be_bytes(reader.array()?), u64::from_be_bytes(reader.array()?));
                (seq, time) = (reader.uint_from(seq)?, reader.time(time)?);
                window.insert(Seen { id, check, seq, time });
            }
            dedup.windows.insert(sender, window);
        }
        Some(dedup)
    }
}

/// Bytes of a remembered message at least.
const SEEN_BYTES_MIN: usize = 18;
