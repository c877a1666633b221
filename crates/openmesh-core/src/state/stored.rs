//! The state in snapshots. From version 3 on: the version, the length of the CBOR of what is small, that CBOR, then what
//! there is much of in compact form. Versions 1 and 2 are CBOR alone.

use super::{Logical, STATE_VERSION, State, StoredDefinition};
use crate::conversation::Conversations;
use crate::dedup::{Dedup, StoredDedup};
use crate::directory::topics::{Shelves, Topics};
use crate::directory::{Directory, Tokens};
use crate::inbox::{Inbox, StoredInbox};
use crate::partition::RestoreError;
use crate::state::compact::{Reader, put_uint};
use openmesh_message::{AgentId, Digest, LogName, Position};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

const LENGTH_BYTES: usize = 8;
/// About what each of them takes at most, if it is not unusual.
const ID_BYTES: usize = 24;
const MAIL_BYTES: usize = 16;
const AGENT_BYTES: usize = 128;

/// The state as snapshots of versions 1 and 2 have it.
#[derive(Deserialize)]
struct StoredState {
    head: Option<Position>,
    numbers: BTreeMap<LogName, u64>,
    directory: Arc<Directory>,
    topics: Arc<Topics>,
    #[serde(default)]
    shelves: Arc<Shelves>,
    definitions: Vec<StoredDefinition>,
    policy_version: Digest,
    dedup: StoredDedup,
    conversations: Conversations,
    inboxes: BTreeMap<AgentId, StoredInbox>,
    /// From version 2 on.
    #[serde(default)]
    tokens: Arc<Tokens>,
}

impl State {
    /// The state as a snapshot holds it.
    pub(crate) fn write(&self) -> Result<Vec<u8>, RestoreError> {
        let small =
            minicbor_serde::to_vec(self).map_err(|error| RestoreError::Malformed(error.to_string()))?;
        let mut out = Vec::with_capacity(small.len() + self.large_bytes());
        out.extend(STATE_VERSION.to_be_bytes());
        out.extend((small.len() as u64).to_be_bytes());
        out.extend(small);
        self.directory.write(&mut out);
        put_uint(&mut out, self.inboxes.len() as u64);
        for (agent, inbox) in self.inboxes.iter() {
            out.extend(agent.public_key());
            inbox.write(&mut out);
        }
        self.dedup.write(&mut out);
        Ok(out)
    }

    /// More than what there is much of mostly takes: a list that grows as it is written is copied, and is there twice meanwhile.
    fn large_bytes(&self) -> usize {
        let ids: usize = self.dedup.counts().map(|(_, ids)| ids).sum();
        let mail = usize::try_from(self.inboxes.total().pending).unwrap_or_default();
        let agents = self.directory.count() + self.inboxes.len();
        ids * ID_BYTES + mail * MAIL_BYTES + agents * AGENT_BYTES
    }

    /// Reads a snapshot of this version or an earlier one; `key` is for what remembers ids.
    pub(crate) fn read(snapshot: &[u8], key: u64) -> Result<Self, RestoreError> {
        let short = || RestoreError::Malformed("too short".to_owned());
        let (version, rest) = snapshot.split_first_chunk().ok_or_else(short)?;
        match u16::from_be_bytes(*version) {
            newer if newer > STATE_VERSION => Err(RestoreError::Newer(newer)),
            STATE_VERSION => {
                let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or_else(short)?;
                let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| short())?;
                let (small, large) = rest.split_at_checked(length).ok_or_else(short)?;
                let mut state: Self = minicbor_serde::from_slice(small).map_err(malformed)?;
                state.read_large(&mut Reader::new(large), key).ok_or_else(short)?;
                Ok(state)
            }
            _ => {
                let stored: StoredState = minicbor_serde::from_slice(rest).map_err(malformed)?;
                Ok(stored.into_state(key))
            }
        }
    }

    fn read_large(&mut self, reader: &mut Reader<'_>, key: u64) -> Option<()> {
        self.directory = Arc::new(Directory::read(reader)?);
        let inboxes = (0..reader.count()?).map(|_| Some((reader.agent()?, Inbox::read(reader)?)));
        self.inboxes = inboxes.collect::<Option<_>>()?;
        self.dedup = Dedup::read(reader, key)?;
        (reader.left() == 0).then_some(())
    }
}

impl StoredState {
    fn into_state(self, key: u64) -> State {
        let inboxes = self.inboxes.into_iter().map(|(agent, stored)| (agent, stored.into()));
        let mut state = State {
            version: STATE_VERSION,
            head: self.head,
            numbers: BTreeMap::new(),
            directory: self.directory,
            topics: self.topics,
            shelves: self.shelves,
            definitions: self.definitions,
            policy_version: self.policy_version,
            dedup: self.dedup.keyed(key),
            conversations: self.conversations,
            inboxes: inboxes.collect(),
            tokens: self.tokens,
            upkeep: Arc::default(),
        };
        for (name, number) in self.numbers {
            match Logical::of(name) {
                Logical::Named(name) => _ = state.numbers.insert(name, number),
                Logical::Inbox(agent) => state.inboxes.change(agent, |inbox| inbox.note_put(number)),
                Logical::InboxEvents(agent) => state.inboxes.change(agent, |inbox| inbox.note_event(number)),
            }
        }
        state
    }
}

fn malformed(error: minicbor_serde::error::DecodeError) -> RestoreError {
    RestoreError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use crate::inbox::EntryState;
    use crate::state::State;
    use openmesh_message::TopicPath;

    /// After version 1: an inbox of three messages, one leased, and a pinned topic with one message.
    const VERSION_1: &[u8] = include_bytes!("../../tests/snapshots/version-1.bin");
    /// After version 2: an inbox with a message in every state, one of a single acknowledged message, seven ids remembered
    /// of eight, and a pinned topic.
    const VERSION_2: &[u8] = include_bytes!("../../tests/snapshots/version-2.bin");

    fn is_written_alike(state: &State) {
        let again = State::read(&state.write().unwrap(), 7).unwrap();
        assert!(again == *state);
        assert_eq!(again.write().unwrap(), state.write().unwrap());
    }

    #[test]
    fn a_snapshot_of_version_1_is_still_read() {
        assert_eq!(VERSION_1[..2], [0, 1]);
        let state = State::read(VERSION_1, 3).unwrap();
        let (_, inbox) = state.inboxes().next().unwrap();
        let counts = inbox.counts();
        assert_eq!((counts.accepted, counts.pending, counts.recalled), (3, 3, 0));
        assert!(counts.is_conserved() && inbox.entries().all(|(_, entry)| entry.sender.is_none()));
        assert_eq!(inbox.last_numbers().0, 3);
        let topic: TopicPath = "market/a".parse().unwrap();
        assert!(state.topics.is_pinned(&topic));
        assert!(state.topics.of(&topic).unwrap().1.retention.is_unlimited());
        is_written_alike(&state);
    }

    #[test]
    fn a_snapshot_of_version_2_is_still_read() {
        assert_eq!(VERSION_2[..2], [0, 2]);
        let state = State::read(VERSION_2, 3).unwrap();
        let (_, inbox) = state.inboxes().find(|(_, inbox)| inbox.pending() > 0).unwrap();
        let counts = inbox.counts();
        assert_eq!((counts.accepted, counts.pending, counts.acknowledged, counts.recalled), (8, 6, 1, 1));
        let states: Vec<_> = inbox.entries().map(|(number, entry)| (number, entry.state)).collect();
        let is = |place: usize, number: u64, expected: fn(&EntryState) -> bool| {
            assert!(states[place].0 == number && expected(&states[place].1), "{states:?}");
        };
        is(0, 1, |state| matches!(state, EntryState::Leased(1, _)));
        is(1, 2, |state| matches!(state, EntryState::Delayed(_)));
        is(2, 4, |state| *state == EntryState::Ready);
        is(3, 5, |state| matches!(state, EntryState::Delayed(_)));
        let expiring = inbox.entries().filter(|(_, entry)| entry.expiry.is_some()).count();
        assert_eq!((expiring, inbox.last_numbers(), inbox.last_token()), (2, (8, 4), 1));
        let remembered: Vec<_> = state.remembered_ids().map(|(_, count)| count).collect();
        assert!(remembered == [7, 1] || remembered == [1, 7], "{remembered:?}");
        is_written_alike(&state);
    }

    #[test]
    fn a_snapshot_cut_anywhere_is_refused() {
        let whole = State::read(VERSION_2, 3).unwrap().write().unwrap();
        for length in 0..whole.len() {
            assert!(State::read(&whole[..length], 3).is_err(), "{length} of {}", whole.len());
        }
    }
}
