//! What messages that are alike have in common: all their attributes but those that each has for itself.

use super::{Name, Value, has_control_characters, head_bytes, is_plain, put_text};
use crate::limits::ATTRIBUTES_BYTES_MAX;
use minicbor::Encoder;
use std::sync::Arc;

/// The attributes that each message has for itself, in canonical order. Every message of a form has the first two.
pub(crate) const OWN: [&str; 7] =
    ["id", "time", "parents", "replyby", "inreplyto", "expirytime", "conversationid"];
/// How many of them every message of a form has.
const ALWAYS: usize = 2;

/// The attributes that messages share, which bear the same values in the same order.
#[derive(Debug, PartialEq, Eq)]
pub struct Form {
    /// In canonical order; those of [`OWN`] have no value here.
    entries: Vec<(Name, Value)>,
    /// Where those of [`OWN`] stand among them, and which they are.
    own: Box<[(usize, usize)]>,
    /// The canonical encoding before, between and behind the values of [`OWN`].
    parts: Box<[Vec<u8>]>,
    /// Of all names, and of all values but those of [`OWN`].
    bytes: usize,
}

/// One message's attributes: those of its form and its own.
#[derive(Clone, Debug)]
pub(super) struct Alike {
    pub(super) form: Arc<Form>,
    /// From where to where its own stand in the canonical encoding, as many as the form has.
    own: [(u16, u16); OWN.len()],
}

impl Form {
    /// The form of some attributes; `None` if id or time is missing.
    pub(crate) fn of<'a>(attributes: impl Iterator<Item = (&'a Name, &'a Value)>) -> Option<Self> {
        let mut entries: Vec<_> = attributes.map(|(name, value)| (name.clone(), Arc::clone(value))).collect();
        let mut own = Vec::with_capacity(OWN.len());
        for (index, (name, value)) in entries.iter_mut().enumerate() {
            if let Some(which) = OWN.iter().position(|own| own == name) {
                *value = "".into();
                own.push((index, which));
            }
        }
        if !own.iter().map(|(_, which)| *which).take(ALWAYS).eq(0..ALWAYS) {
            return None;
        }
        let bytes = entries.iter().map(|(name, value)| name.len() + value.len()).sum();
        let parts = canonical_parts(&entries, &own);
        Some(Self { entries, own: own.into(), parts, bytes })
    }

    /// Whether its messages have nothing for themselves but id and time.
    pub fn is_bare(&self) -> bool {
        self.own.len() == ALWAYS
    }

    /// Whether a message of this form may have these texts for itself: all such as may be signed, and not too much in all.
    pub(crate) fn takes<'a>(&self, own: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
        let bytes = self.bytes(own.clone().map(<[u8]>::len).sum());
        bytes <= ATTRIBUTES_BYTES_MAX && { own }.all(is_sound)
    }

    /// Bytes of names and values of a message whose own take so many.
    pub(crate) const fn bytes(&self, own: usize) -> usize {
        self.bytes + own
    }

    /// How many a message has for itself.
    pub(crate) fn own_count(&self) -> usize {
        self.own.len()
    }

    pub(super) const fn entries(&self) -> &Vec<(Name, Value)> {
        &self.entries
    }

    /// Which of the message's own attributes stands at an index.
    pub(super) fn own_at(&self, index: usize) -> Option<usize> {
        self.own.iter().position(|(own, _)| *own == index)
    }

    /// The canonical encoding of a message of this form, and where its own values stand in it.
    pub(super) fn encode<'a>(
        self: &Arc<Self>,
        own: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> (Vec<u8>, Alike) {
        let own_bytes: usize = own.clone().map(|text| head_bytes(text.len()) + text.len()).sum();
        let mut bytes = Vec::with_capacity(self.parts.iter().map(Vec::len).sum::<usize>() + own_bytes);
        let mut places = [(0, 0); OWN.len()];
        let mut parts = self.parts.iter();
        for ((text, part), place) in own.zip(&mut parts).zip(&mut places) {
            bytes.extend_from_slice(part);
            put_text(&mut bytes, text);
            *place = (narrow(bytes.len() - text.len()), narrow(bytes.len()));
        }
        parts.for_each(|part| bytes.extend_from_slice(part));
        (bytes, Alike { form: Arc::clone(self), own: places })
    }
}

impl Alike {
    /// One of the message's own values, in its canonical encoding.
    pub(super) fn own<'a>(&self, place: usize, encoded: &'a [u8]) -> &'a str {
        let range = self.own.get(place).map(|(start, end)| usize::from(*start)..usize::from(*end));
        let text = range.and_then(|range| encoded.get(range));
        text.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }

    /// All of the message's own values.
    pub(super) fn every_own<'a>(&self, encoded: &'a [u8]) -> [Option<&'a str>; OWN.len()] {
        let mut texts = [None; OWN.len()];
        for (place, (_, which)) in self.form.own.iter().enumerate() {
            if let Some(text) = texts.get_mut(*which) {
                *text = Some(self.own(place, encoded));
            }
        }
        texts
    }

    /// All of the message's attributes, shared with nothing.
    pub(super) fn listed(&self, encoded: &[u8]) -> Vec<(Name, Value)> {
        let mut entries = self.form.entries.clone();
        for (place, (index, _)) in self.form.own.iter().enumerate() {
            if let Some((_, value)) = entries.get_mut(*index) {
                *value = self.own(place, encoded).into();
            }
        }
        entries
    }
}

/// Attributes are far shorter than what this can say ([`ATTRIBUTES_BYTES_MAX`]).
fn narrow(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// Whether bytes are a text such as may be signed.
fn is_sound(bytes: &[u8]) -> bool {
    let is_sound_text = || std::str::from_utf8(bytes).is_ok_and(|text| !has_control_characters(text));
    !bytes.is_empty() && (is_plain(bytes) || is_sound_text())
}

fn canonical_parts(entries: &[(Name, Value)], own: &[(usize, usize)]) -> Box<[Vec<u8>]> {
    let mut parts = Vec::with_capacity(own.len() + 1);
    let mut part = Vec::new();
    let _ = Encoder::new(&mut part).map(entries.len() as u64);
    for (index, (name, value)) in entries.iter().enumerate() {
        put_text(&mut part, name.as_bytes());
        if own.iter().any(|(own, _)| *own == index) {
            parts.push(std::mem::take(&mut part));
        } else {
            put_text(&mut part, value.as_bytes());
        }
    }
    parts.push(part);
    parts.into()
}
