//! Attributes on a connection that differ from earlier ones in nothing but what each message has for itself: what is alike is
//! compared, or written, as bytes.
//!
//! This changes nothing of what is on the wire: it is the same numbers and references ([`super::interned`]).

use crate::Attributes;
use crate::attributes::{Form, OWN, put_text};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// Forms that are kept of a connection's direction.
const FORMS_MAX: usize = 8;
/// Bytes on the wire of a form that is kept, at most: there may be many connections.
const FORM_BYTES_MAX: usize = 1_024;
/// The head of a CBOR text of up to 23 bytes, to which its length is added.
const TEXT: u8 = 0x60;
/// The head of a CBOR text whose length is in the next byte.
const TEXT_OF_UP_TO_255: u8 = 0x78;

/// The forms of a direction's latest messages that came more than once.
#[derive(Default)]
pub(super) struct WireForms {
    /// The latest used first.
    known: Vec<WireForm>,
    /// Hashes of forms that came once: most acts of conversations are like no other message.
    seen: VecDeque<u64>,
}

/// A form, and its bytes on the wire before, between and behind what each message has for itself.
struct WireForm {
    form: Arc<Form>,
    parts: Box<[Box<[u8]>]>,
}

/// Where each of the texts stands that a message has for itself, as many as its form has.
type Places = [Range<usize>; OWN.len()];

/// Attributes of a known form as they stand in some bytes.
pub(super) struct Own {
    /// The form.
    pub(super) form: Arc<Form>,
    /// Where its own texts stand.
    pub(super) texts: Places,
    /// Where the attributes end.
    pub(super) end: usize,
}

/// Where the values that a message has for itself stand in attributes on the wire, with their heads.
#[derive(Clone, Default)]
pub(super) struct Marks {
    places: Places,
    count: usize,
}

impl Marks {
    /// Notes from where to where the value of an attribute goes: those of a message come in canonical order.
    pub(super) fn note(&mut self, name: &str, from: usize, until: usize) {
        if OWN.contains(&name)
            && let Some(place) = self.places.get_mut(self.count)
        {
            *place = from..until;
            self.count += 1;
        }
    }

    /// What stands before, between and behind them.
    fn split<'a>(&self, bytes: &'a [u8]) -> Option<Vec<&'a [u8]>> {
        let places = self.places.get(..self.count)?;
        let mut from = 0;
        let mut parts = Vec::with_capacity(self.count + 1);
        for Range { start, end } in places {
            parts.push(bytes.get(from..*start)?);
            from = *end;
        }
        parts.push(bytes.get(from..)?);
        Some(parts)
    }
}

impl Own {
    /// The attributes by themselves, from the bytes in which they were found.
    pub(super) fn attributes(&self, bytes: &[u8]) -> Attributes {
        let text = |place: &Range<usize>| bytes.get(place.clone()).unwrap_or_default();
        Attributes::of_known(&self.form, self.texts.iter().take(self.form.own_count()).map(text))
    }
}

impl WireForms {
    /// Reads attributes of a known form that stand in some bytes from a place on; `None` says nothing against them.
    pub(super) fn read(&mut self, bytes: &[u8], from: usize) -> Option<Own> {
        let matched = |(index, known): (usize, &WireForm)| Some((index, known.read(bytes, from)?));
        let (index, read) = self.known.iter().enumerate().find_map(matched)?;
        self.prefer(index);
        Some(read)
    }

    /// Keeps the form of attributes that came as these bytes, for those that follow, and gives them that form; `None` if it comes
    /// for the first time, or cannot be kept.
    pub(super) fn learn(
        &mut self,
        attributes: &Attributes,
        bytes: &[u8],
        marks: Marks,
    ) -> Option<Attributes> {
        if !self.comes_again(&marks.split(bytes)?) {
            return None;
        }
        let form = Arc::new(attributes.to_form()?);
        let own: Vec<_> = attributes.own().into_iter().flatten().map(str::as_bytes).collect();
        let alike = Attributes::of_form(&form, &own)?;
        self.note(&form, bytes, marks).then_some(alike)
    }

    /// Appends attributes of a known form; `false` if theirs is not.
    pub(super) fn write(&mut self, attributes: &Attributes, bytes: &mut Vec<u8>) -> bool {
        let own = attributes.own().into_iter().flatten().map(str::as_bytes);
        attributes.form().is_some_and(|form| self.write_own(form, own, bytes))
    }

    /// Appends attributes of a form with these texts for itself; `false` if the form is not known.
    pub(super) fn write_own<'a>(
        &mut self,
        form: &Arc<Form>,
        own: impl IntoIterator<Item = &'a [u8]>,
        bytes: &mut Vec<u8>,
    ) -> bool {
        let known = self.known.iter().position(|known| Arc::ptr_eq(&known.form, form));
        let Some(index) = known else { return false };
        self.prefer(index);
        if let Some(known) = self.known.first() {
            known.write(own, bytes);
        }
        true
    }

    /// Keeps a form whose attributes stand on the wire as these bytes; whether it is kept.
    pub(super) fn note(&mut self, form: &Arc<Form>, bytes: &[u8], marks: Marks) -> bool {
        let Some(parts) = marks.split(bytes).filter(|_| bytes.len() <= FORM_BYTES_MAX) else {
            return false;
        };
        self.known.truncate(FORMS_MAX - 1);
        let parts = parts.into_iter().map(Box::from).collect();
        self.known.insert(0, WireForm { form: Arc::clone(form), parts });
        true
    }

    /// Whether a form was seen lately; notes it if not. Forms whose hashes agree are only learned early.
    fn comes_again(&mut self, parts: &[&[u8]]) -> bool {
        let mut hasher = DefaultHasher::new();
        parts.iter().for_each(|part| hasher.write(part));
        let hash = hasher.finish();
        let comes_again = self.seen.contains(&hash);
        if !comes_again {
            self.seen.truncate(FORMS_MAX - 1);
            self.seen.push_front(hash);
        }
        comes_again
    }

    fn prefer(&mut self, index: usize) {
        if let Some(until) = self.known.get_mut(..=index).filter(|_| index > 0) {
            until.rotate_right(1);
        }
    }
}

impl WireForm {
    fn read(&self, bytes: &[u8], from: usize) -> Option<Own> {
        let (behind, before) = self.parts.split_last()?;
        let mut rest = bytes.get(from..)?;
        let (mut own, mut texts) = ([b"".as_slice(); OWN.len()], Places::default());
        for ((part, text), place) in before.iter().zip(&mut own).zip(&mut texts) {
            (*text, rest) = short_text(rest.strip_prefix(&**part)?)?;
            let end = bytes.len() - rest.len();
            *place = end - text.len()..end;
        }
        let end = bytes.len() - rest.strip_prefix(&**behind)?.len();
        let is_taken = self.form.takes(own.iter().copied().take(before.len()));
        is_taken.then(|| Own { form: Arc::clone(&self.form), texts, end })
    }

    fn write<'a>(&self, own: impl IntoIterator<Item = &'a [u8]>, bytes: &mut Vec<u8>) {
        let mut parts = self.parts.iter();
        for (text, part) in own.into_iter().zip(&mut parts) {
            bytes.extend_from_slice(part);
            put_text(bytes, text);
        }
        parts.for_each(|part| bytes.extend_from_slice(part));
    }
}

/// A CBOR text of up to 255 bytes, with the shortest head, and what follows it.
fn short_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes {
        [head @ TEXT..TEXT_OF_UP_TO_255, rest @ ..] => (head - TEXT, rest),
        [TEXT_OF_UP_TO_255, length @ 24..=255, rest @ ..] => (*length, rest),
        _ => return None,
    };
    rest.split_at_checked(usize::from(length))
}

#[cfg(test)]
mod tests {
    use super::{FORMS_MAX, WireForms, short_text};
    use crate::frame::{ClientFrame, FrameDecoder, FrameEncoder};
    use crate::{Attributes, Envelope, Transit};
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
    use std::collections::BTreeMap;

    fn message(shared: &BTreeMap<String, String>, id: &str, time: &str, payload: &[u8]) -> Envelope {
        let mut attributes = Attributes::default();
        for (name, value) in shared {
            attributes.set(name, value).unwrap();
        }
        attributes.set("id", id).unwrap();
        attributes.set("time", time).unwrap();
        let payload = payload.to_vec().into();
        Envelope { attributes, payload, proof: None, transit: Transit::default() }
    }

    /// What another connection says of the same message, which has nothing in common with this one's.
    fn alone(envelope: &Envelope) -> Envelope {
        let frame = ClientFrame::Send(vec![(0, envelope.clone())]);
        let mut bytes = Vec::new();
        FrameEncoder::default().encode_client(&frame, &mut bytes).unwrap();
        match FrameDecoder::default().decode_client(&bytes[4..]) {
            Ok(ClientFrame::Send(mut messages)) => messages.remove(0).1,
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn what_is_alike_is_read_and_written_as_what_is_not(
            kinds in prop::collection::vec(
                prop::collection::btree_map("to|type|source|subject|[a-z]{5,9}", "[ -~]{1,30}", 0..6), 1..5),
            messages in prop::collection::vec(
                (any::<prop::sample::Index>(), "[ -~é]{1,70}", "[ -~]{1,30}", prop::option::of("[ -~é]{1,40}"), any::<Vec<u8>>()), 1..40),
        ) {
            let (mut sender, mut node) = (FrameEncoder::default(), FrameDecoder::default());
            let (mut passes_on, mut reader) = (FrameEncoder::default(), FrameDecoder::default());
            let mut alike = 0;
            for (kind, id, time, conversation, payload) in &messages {
                let mut sent = message(kind.get(&kinds), id, time, payload);
                for (name, text) in ["inreplyto", "conversationid"].into_iter().zip(conversation.iter().cycle()) {
                    sent.attributes.set(name, text).unwrap();
                }
                let frame = ClientFrame::Send(vec![(7, sent.clone())]);
                let (mut there, mut on) = (Vec::new(), Vec::new());
                sender.encode_client(&frame, &mut there).unwrap();
                let come = node.decode_client(&there[4..]).unwrap();
                prop_assert_eq!(&come, &frame);
                passes_on.encode_client(&come, &mut on).unwrap();
                prop_assert_eq!(&reader.decode_client(&on[4..]).unwrap(), &frame);
                let ClientFrame::Send(come) = come else { panic!("a send") };
                let come = &come[0].1;
                alike += usize::from(come.attributes.form().is_some());
                prop_assert_eq!(come.digest(), sent.digest());
                prop_assert_eq!(come.attributes.bytes(), sent.attributes.bytes());
                prop_assert_eq!(minicbor::to_vec(come).unwrap(), minicbor::to_vec(alone(&sent)).unwrap());
                for (name, value) in sent.attributes.iter() {
                    prop_assert_eq!(come.attributes.get(name), Some(value));
                }
                let mut changed = (come.attributes.clone(), sent.attributes.clone());
                let added = (changed.0.set("added", "1"), changed.1.set("added", "1"));
                prop_assert_eq!(added.0, added.1);
                prop_assert_eq!(changed.0.digest(payload), changed.1.digest(payload));
            }
            prop_assert!(messages.len() <= 6 * kinds.len() || alike > 0);
        }

        #[test]
        fn short_texts_are_read_as_they_are_written(text in "[ -~é]{0,300}") {
            let mut bytes = minicbor::to_vec(&text).unwrap();
            bytes.push(9);
            let expected = (text.len() < 256).then_some((text.as_bytes(), &[9_u8][..]));
            prop_assert_eq!(short_text(&bytes), expected);
        }
    }

    #[test]
    fn what_may_not_be_signed_is_no_more_let_in_by_its_form() {
        let shared = BTreeMap::from([("to".to_owned(), "there".to_owned())]);
        let sent: Vec<_> =
            ["1", "2", "6", "7", "3"].iter().map(|id| (1, message(&shared, id, "now", b""))).collect();
        let (mut encoder, mut decoder) = (FrameEncoder::default(), FrameDecoder::default());
        let mut bytes = Vec::new();
        encoder.encode_client(&ClientFrame::Send(sent), &mut bytes).unwrap();
        assert!(decoder.decode_client(&bytes[4..]).is_ok());
        let last = bytes.iter().rposition(|byte| *byte == b'3').unwrap();
        for (text, is_refused) in [(b'4', false), (b'\n', true), (0xff, true)] {
            bytes[last] = text;
            let decoded = FrameDecoder::default().decode_client(&bytes[4..]);
            assert_eq!(decoded.is_err(), is_refused, "{text} {decoded:?}");
        }
    }

    #[test]
    fn only_so_many_forms_are_kept_and_the_latest_used_go_last() {
        let (mut encoder, mut decoder) = (FrameEncoder::default(), FrameDecoder::default());
        for kind in (0..40).map(|kind| format!("k{}", kind / 4)) {
            let shared = BTreeMap::from([("subject".to_owned(), kind)]);
            let mut bytes = Vec::new();
            let frame = ClientFrame::Send(vec![(1, message(&shared, "1", "now", b""))]);
            encoder.encode_client(&frame, &mut bytes).unwrap();
            assert_eq!(decoder.decode_client(&bytes[4..]), Ok(frame));
        }
        assert_eq!(decoder.table.forms.known.len(), FORMS_MAX);
        let mut forms = WireForms::default();
        assert!(!forms.write(&Attributes::default(), &mut Vec::new()));
        assert!(forms.read(b"", 0).is_none());
    }
}
