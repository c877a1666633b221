//! The directory in snapshots, compact from version 3 on.

use super::{CustodialKey, Directory};
use crate::state::compact::{Reader, put_time, put_uint};
use openmesh_message::{AgentId, AgentName, Digest, Timestamp};
use std::collections::BTreeMap;

impl Directory {
    /// Appends the directory to a snapshot.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.write_names(out);
        put_uint(out, self.count() as u64);
        for (id, agent) in self.iter() {
            out.extend(id.public_key());
            write_name(&agent.name, out);
            put_time(out, agent.registered_at, Timestamp::default());
            put_uint(out, agent.keys.len() as u64);
            for (key, kept) in &agent.keys {
                out.extend(key.public_key());
                out.extend(kept.nonce.as_bytes());
                put_time(out, kept.since, Timestamp::default());
            }
        }
    }

    /// The names, if they are not just those of the agents: none of our records makes it so.
    fn write_names(&self, out: &mut Vec<u8>) {
        let is_own =
            |(name, id): (&AgentName, &AgentId)| self.agent(id).is_some_and(|agent| agent.name == *name);
        let is_plain = self.names.len() == self.agents.len() && self.names.iter().all(is_own);
        let named = self.names.iter().take(if is_plain { 0 } else { self.names.len() });
        put_uint(out, if is_plain { 0 } else { self.names.len() as u64 });
        for (name, id) in named {
            write_name(name, out);
            out.extend(id.public_key());
        }
    }

    /// Reads what `write` has written.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut directory = Self::default();
        let names = (0..reader.count()?).map(|_| Some((read_name(reader)?, reader.agent()?)));
        let names = names.collect::<Option<Vec<_>>>()?;
        for _ in 0..reader.count()? {
            let (id, name) = (reader.agent()?, read_name(reader)?);
            let registered_at = reader.time(Timestamp::default())?;
            directory.register(id, name, registered_at);
            let keys = (0..reader.count()?).map(|_| {
                let (key, nonce) = (reader.agent()?, Digest::from_bytes(reader.array()?));
                Some((key, CustodialKey { nonce, since: reader.time(Timestamp::default())? }))
            });
            let keys = keys.collect::<Option<BTreeMap<_, _>>>()?;
            if !keys.is_empty()
                && let Some(agent) = directory.agents.get_mut(&id)
            {
                agent.keys = keys;
            }
        }
        if !names.is_empty() {
            directory.names = names.into_iter().collect();
        }
        Some(directory)
    }
}

fn write_name(name: &AgentName, out: &mut Vec<u8>) {
    put_uint(out, name.as_str().len() as u64);
    out.extend(name.as_str().as_bytes());
}

fn read_name(reader: &mut Reader<'_>) -> Option<AgentName> {
    let length = reader.count()?;
    std::str::from_utf8(reader.take(length)?).ok()?.parse().ok()
}
