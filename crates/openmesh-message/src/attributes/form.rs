//! What messages that are alike have in common: all their attributes but `id` and `time`, which each has for itself.

use super::{Name, Value, has_control_characters, head_bytes};
use crate::limits::ATTRIBUTES_BYTES_MAX;
use minicbor::Encoder;
use std::ops::Range;
use std::sync::Arc;

/// The attributes that each message has for itself, in canonical order.
const OWN: [&str; 2] = ["id", "time"];

/// The attributes that messages share, which bear the same values in the same order.
#[derive(Debug, PartialEq, Eq)]
pub struct Form {
    /// In canonical order; those of [`OWN`] have no value here.
    entries: Vec<(Name, Value)>,
    /// Where those of [`OWN`] stand among them.
    own: [usize; 2],
    /// The canonical encoding before, between and behind the values of [`OWN`].
    parts: [Vec<u8>; 3],
    /// Of all names, and of all values but those of [`OWN`].
    bytes: usize,
}

/// One message's attributes: those of its form and its own.
#[derive(Clone, Debug)]
pub(super) struct Alike {
    pub(super) form: Arc<Form>,
    /// Where id and time stand in the canonical encoding.
    own: [Range<usize>; 2],
}

impl Form {
    /// The form of some attributes; `None` if id or time is missing.
    pub(crate) fn of<'a>(attributes: impl Iterator<Item = (&'a Name, &'a Value)>) -> Option<Self> {
        let mut entries: Vec<_> = attributes.map(|(name, value)| (name.clone(), Arc::clone(value))).collect();
        let [id, time] = OWN.map(|name| entries.iter().position(|(entry, _)| entry == name));
        let own = [id?, time?];
        for index in own {
            if let Some((_, value)) = entries.get_mut(index) {
                *value = "".into();
            }
        }
        let bytes = entries.iter().map(|(name, value)| name.len() + value.len()).sum();
        let parts = canonical_parts(&entries, own);
        Some(Self { entries, own, parts, bytes })
    }

    /// Whether a message of this form may have this id and time: both such as may be signed, and not too much in all.
    pub(crate) fn takes(&self, id: &str, time: &str) -> bool {
        let is_sound = |text: &str| !text.is_empty() && !has_control_characters(text);
        is_sound(id) && is_sound(time) && self.bytes(id.len(), time.len()) <= ATTRIBUTES_BYTES_MAX
    }

    /// Bytes of names and values of a message whose id and time have so many.
    pub(crate) const fn bytes(&self, id: usize, time: usize) -> usize {
        self.bytes + id + time
    }

    pub(super) const fn entries(&self) -> &Vec<(Name, Value)> {
        &self.entries
    }

    /// Which of the message's own attributes stands at an index.
    pub(super) fn own_at(&self, index: usize) -> Option<usize> {
        self.own.iter().position(|own| *own == index)
    }

    /// The canonical encoding of a message of this form, and where its own values stand in it.
    pub(super) fn encode(self: &Arc<Self>, id: &str, time: &str) -> (Vec<u8>, Alike) {
        let heads = head_bytes(id.len()) + head_bytes(time.len()) + id.len() + time.len();
        let mut bytes = Vec::with_capacity(self.parts.iter().map(Vec::len).sum::<usize>() + heads);
        let [before, between, behind] = &self.parts;
        bytes.extend(before);
        let id = put_text(&mut bytes, id);
        bytes.extend(between);
        let time = put_text(&mut bytes, time);
        bytes.extend(behind);
        (bytes, Alike { form: Arc::clone(self), own: [id, time] })
    }
}

impl Alike {
    /// One of the message's own values, in its canonical encoding.
    pub(super) fn own<'a>(&self, which: usize, encoded: &'a [u8]) -> &'a str {
        let text = self.own.get(which).and_then(|range| encoded.get(range.clone()));
        text.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }

    /// All of the message's attributes, shared with nothing.
    pub(super) fn listed(&self, encoded: &[u8]) -> Vec<(Name, Value)> {
        let mut entries = self.form.entries.clone();
        for (which, index) in self.form.own.into_iter().enumerate() {
            if let Some((_, value)) = entries.get_mut(index) {
                *value = self.own(which, encoded).into();
            }
        }
        entries
    }
}

/// Appends a text; where it stands. Writing to memory cannot fail.
fn put_text(bytes: &mut Vec<u8>, text: &str) -> Range<usize> {
    let _ = Encoder::new(&mut *bytes).str(text);
    bytes.len() - text.len()..bytes.len()
}

fn canonical_parts(entries: &[(Name, Value)], own: [usize; 2]) -> [Vec<u8>; 3] {
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    let mut part = 0;
    let _ = Encoder::new(&mut parts[0]).map(entries.len() as u64);
    for (index, (name, value)) in entries.iter().enumerate() {
        let Some(bytes) = parts.get_mut(part) else { break };
        put_text(bytes, name);
        if own.contains(&index) {
            part += 1;
        } else {
            put_text(bytes, value);
        }
    }
    parts
}
