//! The attributes of a message: CloudEvents context attributes and extensions, as text, in canonical order.
//!
//! Their deterministic CBOR together with the payload's digest is what a sender signs.

mod form;

pub use form::Form;
pub(crate) use form::OWN;

use crate::Digest;
use crate::frame::known_name;
use crate::limits::{ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, excerpt};
use bytes::Bytes;
use form::Alike;
use minicbor::decode::Error as DecodeError;
use minicbor::encode::Write;
use minicbor::{Decode, Decoder, Encode, Encoder};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

const MESSAGE_CONTEXT: &str = "openmesh message v1";
const TRANSIT_NAMES: [&str; 7] =
    ["proof", "hops", "hopsleft", "position", "receivedtime", "traceparent", "tracestate"];

/// The signed attributes of one message, in the order of deterministic CBOR (RFC 8949 §4.2.1).
#[derive(Clone, Default)]
pub struct Attributes {
    entries: Entries,
    /// Of all names and values.
    bytes: usize,
    /// Their encoding, where it is kept.
    encoded: Option<Bytes>,
}

/// Where name and value of each are.
#[derive(Clone)]
enum Entries {
    /// Here.
    Listed(Vec<(Name, Value)>),
    /// In a form that other messages share, but for what is the message's own, which stands in its encoding.
    Alike(Alike),
}

impl Default for Entries {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Attributes {}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A name; those that the wire numbers are not copied.
pub(crate) type Name = Cow<'static, str>;

/// A value; those that repeat on a connection are shared by the messages that bear them.
pub(crate) type Value = Arc<str>;

/// Why an attribute cannot be part of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// The name is empty, too long or has other characters than `a-z 0-9`.
    #[error("`{0}` is not an attribute name: 1 to {ATTRIBUTE_NAME_BYTES_MAX} characters of a-z 0-9")]
    Name(String),
    /// The name belongs to the transit part or to the payload.
    #[error("`{0}` belongs to the transit part or the payload and cannot be signed")]
    Reserved(String),
    /// The value is empty or has control characters, which CloudEvents forbids.
    #[error("the value of `{0}` is empty or has control characters")]
    Value(String),
    /// The attribute stands twice, or attributes are not in canonical order.
    #[error("`{0}` stands twice or out of order")]
    Order(String),
    /// All attributes together are too many or too large.
    #[error("more than {ATTRIBUTES_MAX} attributes or {ATTRIBUTES_BYTES_MAX} bytes of them")]
    TooLarge,
}

impl Attributes {
    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.at(self.find(name).ok()?).map(|(_, value)| value)
    }

    /// Adds an attribute; each may be set once.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), AttributeError> {
        check(name, value)?;
        let Err(index) = self.find(name) else {
            return Err(AttributeError::Order(excerpt(name)));
        };
        self.grow(name, value)?;
        self.change(|entries| entries.insert(index, (Cow::Owned(name.to_owned()), value.into())));
        Ok(())
    }

    /// Name and value of each, in canonical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        (0..self.names().len()).map(|index| self.at(index).unwrap_or_default())
    }

    /// Bytes of all names and values.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The form that it shares with other messages of its connection; `None` where it was not looked for.
    pub const fn form(&self) -> Option<&Arc<Form>> {
        match &self.entries {
            Entries::Listed(_) => None,
            Entries::Alike(alike) => Some(&alike.form),
        }
    }

    /// Attributes of a form with the texts that the message has for itself, in canonical order; `None` if any of it is not such
    /// as may be signed, or there is too much of them.
    pub(crate) fn of_form(form: &Arc<Form>, own: &[&[u8]]) -> Option<Self> {
        let own = own.iter().copied();
        form.takes(own.clone()).then(|| Self::of_known(form, own))
    }

    /// The same where the form is known to take them.
    pub(crate) fn of_known<'a>(form: &Arc<Form>, own: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let (encoded, alike) = form.encode(own.clone());
        let bytes = form.bytes(own.map(<[u8]>::len).sum());
        Self { entries: Entries::Alike(alike), bytes, encoded: Some(encoded.into()) }
    }

    /// The form of these attributes, for those that come later; `None` if id or time is missing.
    pub(crate) fn to_form(&self) -> Option<Form> {
        match &self.entries {
            Entries::Listed(entries) => Form::of(entries.iter().map(|(name, value)| (name, value))),
            Entries::Alike(_) => None,
        }
    }

    /// What the message has for itself, in the order of [`OWN`].
    pub(crate) fn own(&self) -> [Option<&str>; OWN.len()] {
        match &self.entries {
            Entries::Listed(_) => OWN.map(|name| self.get(name)),
            Entries::Alike(alike) => alike.every_own(self.encoded.as_deref().unwrap_or_default()),
        }
    }

    /// Keeps the encoding, for what is digested and then kept.
    pub(crate) fn keep_encoding(&mut self) {
        let heads = |(name, value): (&str, &str)| head_bytes(name.len()) + head_bytes(value.len());
        let heads: usize = self.iter().map(heads).sum();
        // Memory of just the size is handed on without a note of its own. Writing to memory cannot fail.
        let mut bytes = Vec::with_capacity(head_bytes(self.names().len()) + heads + self.bytes);
        let _ = minicbor::encode(&*self, &mut bytes);
        self.encoded = Some(bytes.into());
    }

    /// Bytes of the encoding, where it is kept.
    pub fn encoded_bytes(&self) -> Option<usize> {
        self.encoded.as_ref().map(Bytes::len)
    }

    /// What is signed: deterministic CBOR of `[attributes, SHA-256 of the payload]`.
    pub fn canonical_bytes(&self, payload: &[u8]) -> Vec<u8> {
        // Writing to memory cannot fail.
        minicbor::to_vec((self, Digest::of(payload))).unwrap_or_default()
    }

    /// The message digest: domain-separated SHA-256 of the canonical bytes.
    pub fn digest(&self, payload: &[u8]) -> Digest {
        match &self.encoded {
            Some(encoded) => Self::digest_of_encoded(encoded, payload),
            None => Digest::of_encoded(MESSAGE_CONTEXT, &(self, Digest::of(payload))),
        }
    }

    /// The same from attributes as [`Encode`] has written them.
    pub fn digest_of_encoded(encoded: &[u8], payload: &[u8]) -> Digest {
        const PAIR: u8 = 0x82;
        const BYTES_32: [u8; 2] = [0x58, 0x20];
        Digest::of_parts(MESSAGE_CONTEXT, &[&[PAIR], encoded, &BYTES_32, Digest::of(payload).as_bytes()])
    }

    /// Adds an attribute that must come after all others in canonical order.
    pub(crate) fn push(&mut self, name: Name, value: Value) -> Result<(), AttributeError> {
        check(&name, &value)?;
        self.push_checked(name, value)
    }

    /// The same where name and value are known to be such as may be signed.
    pub(crate) fn push_checked(&mut self, name: Name, value: Value) -> Result<(), AttributeError> {
        if let Some((last, _)) = self.names().last()
            && canonical_order(last, &name) != Ordering::Less
        {
            return Err(AttributeError::Order(excerpt(&name)));
        }
        self.grow(&name, &value)?;
        self.change(|entries| entries.push((name, value)));
        Ok(())
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.names().binary_search_by(|(entry, _)| canonical_order(entry, name))
    }

    /// Every name, with its value where that is no message's own.
    fn names(&self) -> &Vec<(Name, Value)> {
        match &self.entries {
            Entries::Listed(entries) => entries,
            Entries::Alike(alike) => alike.form.entries(),
        }
    }

    fn at(&self, index: usize) -> Option<(&str, &str)> {
        let (name, value) = self.names().get(index)?;
        let own = match &self.entries {
            Entries::Listed(_) => None,
            Entries::Alike(alike) => alike.form.own_at(index).map(|which| (alike, which)),
        };
        let encoded = self.encoded.as_deref().unwrap_or_default();
        Some((name, own.map_or(value, |(alike, which)| alike.own(which, encoded))))
    }

    /// Changes the entries, which are then its own and not encoded.
    fn change(&mut self, change: impl FnOnce(&mut Vec<(Name, Value)>)) {
        if let Entries::Alike(alike) = &self.entries {
            let listed = alike.listed(self.encoded.as_deref().unwrap_or_default());
            self.entries = Entries::Listed(listed);
        }
        self.encoded = None;
        if let Entries::Listed(entries) = &mut self.entries {
            change(entries);
        }
    }

    fn grow(&mut self, name: &str, value: &str) -> Result<(), AttributeError> {
        let bytes = self.bytes + name.len() + value.len();
        if bytes > ATTRIBUTES_BYTES_MAX || self.names().len() == ATTRIBUTES_MAX {
            return Err(AttributeError::TooLarge);
        }
        self.bytes = bytes;
        Ok(())
    }
}

/// Bytes of the head of a text, or of a map, in CBOR.
fn head_bytes(length: usize) -> usize {
    minicbor::len(length as u64)
}

/// Appends a text with the shortest head.
pub(crate) fn put_text(bytes: &mut Vec<u8>, text: &[u8]) {
    const TEXT: u8 = 0x60;
    match u8::try_from(text.len()) {
        Ok(length @ ..24) => bytes.push(TEXT | length),
        Ok(length) => bytes.extend_from_slice(&[TEXT | 24, length]),
        // Of lengths of two bytes: longer texts are in no attributes.
        Err(_) => {
            let [high, low] = u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes();
            bytes.extend_from_slice(&[TEXT | 25, high, low]);
        }
    }
    bytes.extend_from_slice(text);
}

/// Encoded names compare bytewise, and the length stands first in the encoding.
fn canonical_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn check(name: &str, value: &str) -> Result<(), AttributeError> {
    let name_fits = !name.is_empty()
        && name.len() <= ATTRIBUTE_NAME_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !name_fits {
        return Err(AttributeError::Name(excerpt(name)));
    }
    if TRANSIT_NAMES.contains(&name) || name == "data" {
        return Err(AttributeError::Reserved(name.to_owned()));
    }
    if value.is_empty() || has_control_characters(value) {
        return Err(AttributeError::Value(name.to_owned()));
    }
    Ok(())
}

fn has_control_characters(value: &str) -> bool {
    !is_plain(value.as_bytes()) && value.chars().any(char::is_control)
}

/// Most values are plain ASCII, of which no character needs to be decoded, and bytes are looked at many at a time.
fn is_plain(bytes: &[u8]) -> bool {
    !bytes.iter().fold(false, |has_other, byte| has_other | !(b' '..=b'~').contains(byte))
}

impl<C> Encode<C> for Attributes {
    fn encode<W: Write>(
        &self,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        if let Some(encoded) = &self.encoded {
            return encoder.writer_mut().write_all(encoded).map_err(minicbor::encode::Error::write);
        }
        encoder.map(self.names().len() as u64)?;
        for (name, value) in self.iter() {
            encoder.str(name)?.str(value)?;
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Attributes {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let at = decoder.position();
        let count = decoder.map()?.ok_or_else(|| DecodeError::message("indefinite map").at(at))?;
        let mut attributes = Self::default();
        for _ in 0..count {
            let at = decoder.position();
            let (name, value) = (decoder.str()?, decoder.str()?);
            attributes
                .push(known_name(name), value.into())
                .map_err(|error| DecodeError::message(error.to_string()).at(at))?;
        }
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::{AttributeError, Attributes};
    use proptest::prelude::{any, prop, proptest};

    fn of(entries: &[(&str, &str)]) -> Attributes {
        let mut attributes = Attributes::default();
        for (name, value) in entries {
            attributes.set(name, value).unwrap();
        }
        attributes
    }

    #[test]
    fn the_order_of_setting_does_not_matter_and_shorter_names_stand_first() {
        let one = of(&[("type", "x"), ("id", "1"), ("source", "s")]);
        let other = of(&[("source", "s"), ("id", "1"), ("type", "x")]);
        assert_eq!(one.canonical_bytes(b"p"), other.canonical_bytes(b"p"));
        let names: Vec<_> = one.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["id", "type", "source"]);
    }

    #[test]
    fn every_part_changes_the_digest() {
        let base = of(&[("id", "1")]).digest(b"p");
        assert_ne!(of(&[("id", "2")]).digest(b"p"), base);
        assert_ne!(of(&[("id", "1")]).digest(b"q"), base);
        assert_ne!(of(&[("id", "1"), ("a", "1")]).digest(b"p"), base);
    }

    #[test]
    fn what_cannot_be_signed_is_refused() {
        let mut attributes = of(&[("id", "1")]);
        assert_eq!(attributes.set("id", "2"), Err(AttributeError::Order("id".into())));
        assert_eq!(attributes.set("hops", "1"), Err(AttributeError::Reserved("hops".into())));
        assert_eq!(attributes.set("x", ""), Err(AttributeError::Value("x".into())));
        assert_eq!(attributes.set("x", "a\nb"), Err(AttributeError::Value("x".into())));
        assert_eq!(attributes.set("X", "a"), Err(AttributeError::Name("X".into())));
        assert_eq!(attributes.set("x", &"a".repeat(9000)), Err(AttributeError::TooLarge));
    }

    #[test]
    fn bytes_out_of_canonical_order_are_refused() {
        let bytes = minicbor::to_vec(of(&[("id", "1"), ("type", "x")])).unwrap();
        assert!(minicbor::decode::<Attributes>(&bytes).is_ok());
        let swapped = [&[0xa2][..], &bytes[6..], &bytes[1..6]].concat();
        assert!(minicbor::decode::<Attributes>(&swapped).is_err());
    }

    proptest! {
        #[test]
        fn encoding_round_trips(entries in prop::collection::btree_map("[a-z0-9]{1,20}", "[ -~]{1,40}", 0..20), payload in any::<Vec<u8>>()) {
            let mut attributes = Attributes::default();
            for (name, value) in &entries {
                let _ = attributes.set(name, value);
            }
            let bytes = minicbor::to_vec(&attributes).unwrap();
            let back: Attributes = minicbor::decode(&bytes).unwrap();
            assert_eq!(back.digest(&payload), attributes.digest(&payload));
            assert_eq!(back, attributes);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
            let _ = minicbor::decode::<Attributes>(&bytes);
        }
    }
}
