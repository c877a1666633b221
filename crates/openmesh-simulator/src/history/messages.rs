//! G2 and G3: what was accepted is kept, once, where its receipts say; and G4's order of one sender.

use super::event::{MessageName, Place};
use super::lanes::{Attempt, Lanes};
use super::names::Names;
use crate::violation::Violation;
use std::collections::BTreeMap;

const KEPT: &str = "G2 what was accepted is kept where its receipt says";
const SENT: &str = "G2 only what was sent is kept";
const ONCE: &str = "G3 a message has one position";
const TOLD: &str = "G3 a repeat is answered as one";
const FIFO: &str = "G4 what one sender sends to one destination keeps its order";

/// A sender and the id it gave.
type Key = (u32, String);

#[derive(Debug)]
struct Message {
    digest: String,
    attempts: u32,
    under_way: Option<Attempt>,
    told: Option<Place>,
    told_first: bool,
    kept: Option<Place>,
}

/// Every message of a history.
#[derive(Debug, Default)]
pub(super) struct Messages {
    names: Names,
    by_key: BTreeMap<Key, Message>,
    lanes: Lanes,
    /// Accepted and not yet read in the log.
    unread: BTreeMap<Place, Vec<Key>>,
    /// Sent once, and the one attempt was neither confirmed nor refused.
    silent: BTreeMap<Key, Attempt>,
    pub(super) sent: u64,
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    pub(super) refused: u64,
    pub(super) unknown: u64,
    pub(super) missing: u64,
    pub(super) lost: u64,
}

impl Messages {
    pub(super) fn sent(&mut self, connection: u64, message: &MessageName, to: &str) {
        self.sent += 1;
        let key = self.key(&message.sender, &message.id);
        let lane = (key.0, self.names.number(to), connection);
        let attempt = self.lanes.begin(lane);
        if let Some(before) = self.silent.remove(&key) {
            self.lanes.end(before, None);
        }
        let known = self.by_key.entry(key).or_insert_with(|| Message::new(&message.digest));
        if known.digest != message.digest && known.told.is_none() && known.kept.is_none() {
            known.digest.clone_from(&message.digest);
        }
        known.attempts += 1;
        if let Some(before) = known.under_way.replace(attempt) {
            self.lanes.end(before, None);
        }
    }

    pub(super) fn accepted(&mut self, told: &Told<'_>, found: &mut Vec<Violation>) {
        let (place, duplicate) = (told.position, told.duplicate);
        let key = self.key(told.sender, told.id);
        let about = format!("{} of {}", told.id, told.sender);
        let Some(message) = self.by_key.get_mut(&key) else {
            return found.push(Violation::new(SENT, format!("{about} is accepted and was never sent")));
        };
        if let Some(before) = message.told.or(message.kept).filter(|before| *before != place) {
            found.push(Violation::new(ONCE, format!("{about} is at {before} and at {place}")));
        }
        if !duplicate && message.told_first {
            found.push(Violation::new(TOLD, format!("{about} is accepted for the first time twice")));
        }
        if message.told.is_none() {
            self.accepted += 1;
        }
        self.duplicates += u64::from(duplicate);
        message.told_first |= !duplicate;
        message.told.get_or_insert(place);
        if message.kept.is_none() {
            self.unread.entry(place).or_default().push(key.clone());
        }
        let attempt = message.under_way.take();
        let stored = (!duplicate).then_some(place);
        let inverted = attempt.and_then(|attempt| self.lanes.end(attempt, stored));
        report_inversion(inverted, &about, found);
    }

    pub(super) fn refused(&mut self, sender: &str, id: &str) {
        self.refused += 1;
        self.end_silently(sender, id);
    }

    pub(super) fn unknown(&mut self, sender: &str, id: &str) {
        self.unknown += 1;
        let key = self.key(sender, id);
        let Some(message) = self.by_key.get_mut(&key) else { return };
        let Some(attempt) = message.under_way.take() else { return };
        if message.attempts == 1 && message.kept.is_none() {
            self.silent.insert(key, attempt);
        } else {
            self.lanes.end(attempt, None);
        }
    }

    /// Reads a message in the log.
    pub(super) fn kept(&mut self, place: Place, name: &MessageName, found: &mut Vec<Violation>) {
        let key = self.key(&name.sender, &name.id);
        let about = format!("{} of {}", name.id, name.sender);
        let Some(message) = self.by_key.get_mut(&key) else {
            return found.push(Violation::new(SENT, format!("{about} at {place}")));
        };
        if let Some(before) = message.kept.filter(|before| *before != place) {
            found.push(Violation::new(ONCE, format!("{about} stands at {before} and at {place}")));
        }
        if message.digest != name.digest {
            let what = format!("{about} at {place} is {}, sent was {}", name.digest, message.digest);
            found.push(Violation::new(KEPT, what));
        }
        message.kept = Some(place);
        if let Some(told) = message.told.filter(|told| *told != place) {
            found.push(Violation::new(KEPT, format!("{about} was accepted at {told} and stands at {place}")));
        }
        if let Some(attempt) = self.silent.remove(&key) {
            report_inversion(self.lanes.end(attempt, Some(place)), &about, found);
        }
        if let Some(keys) = self.unread.get_mut(&place) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.unread.remove(&place);
            }
        }
    }

    /// Where a message was read.
    pub(super) fn position(&mut self, sender: &str, id: &str) -> Option<Place> {
        let key = self.key(sender, id);
        self.by_key.get(&key).and_then(|message| message.kept)
    }

    /// What the log reported as lost is missing, though not in silence.
    pub(super) fn lose(&mut self, first: u64, last: u64) {
        let lost: Vec<Place> =
            self.unread.keys().filter(|place| (first..=last).contains(&place.1)).copied().collect();
        self.lost += lost.iter().filter_map(|place| self.unread.remove(place)).flatten().count() as u64;
    }

    /// The whole log was read: nothing accepted may be left over.
    pub(super) fn head(&mut self, found: &mut Vec<Violation>) {
        for (place, keys) in std::mem::take(&mut self.unread) {
            for (_, id) in keys {
                self.missing += 1;
                found.push(Violation::new(KEPT, format!("{id} was accepted at {place} and is missing")));
            }
        }
        for (_, attempt) in std::mem::take(&mut self.silent) {
            self.lanes.end(attempt, None);
        }
    }

    fn end_silently(&mut self, sender: &str, id: &str) {
        let key = self.key(sender, id);
        if let Some(attempt) = self.by_key.get_mut(&key).and_then(|message| message.under_way.take()) {
            self.lanes.end(attempt, None);
        }
    }

    fn key(&mut self, sender: &str, id: &str) -> Key {
        (self.names.number(sender), id.to_owned())
    }
}

/// What a receipt says.
pub(super) struct Told<'a> {
    pub(super) sender: &'a str,
    pub(super) id: &'a str,
    pub(super) position: Place,
    pub(super) duplicate: bool,
}

impl Message {
    fn new(digest: &str) -> Self {
        Self {
            digest: digest.to_owned(),
            attempts: 0,
            under_way: None,
            told: None,
            told_first: false,
            kept: None,
        }
    }
}

fn report_inversion(inverted: Option<(Place, Place)>, about: &str, found: &mut Vec<Violation>) {
    if let Some((before, place)) = inverted {
        found.push(Violation::new(FIFO, format!("what was sent after {before} is at {place} ({about})")));
    }
}
