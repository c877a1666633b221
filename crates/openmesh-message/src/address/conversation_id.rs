//! Conversation ids: a UUID in its text form (RFC 9562).

use crate::text_form::as_text;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// The id of one run of a protocol.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConversationId(Uuid);

impl ConversationId {
    /// Wraps 16 bytes that the caller made unique.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Adds its text form to a text.
    pub fn push_onto(&self, text: &mut String) {
        text.push_str(self.text().as_ref());
    }

    fn text(&self) -> Text {
        let mut text = [0; Hyphenated::LENGTH];
        self.0.hyphenated().encode_lower(&mut text);
        Text(text)
    }
}

/// The text form, in no memory of its own.
struct Text([u8; Hyphenated::LENGTH]);

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Ord for ConversationId {
    /// That of its bytes, compared as one number.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |id: &Self| u128::from_be_bytes(*id.as_bytes());
        number(self).cmp(&number(other))
    }
}

impl PartialOrd for ConversationId {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text().as_ref())
    }
}

impl fmt::Debug for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ConversationId {
    type Err = String;

    /// Takes only the hyphenated lower-case form, so that one id has one text.
    fn from_str(text: &str) -> Result<Self, String> {
        Uuid::try_parse(text)
            .ok()
            .map(Self)
            .filter(|id| id.text().as_ref() == text)
            .ok_or_else(|| format!("`{}` is not a lower-case UUID", crate::limits::excerpt(text)))
    }
}

as_text!(ConversationId, ConversationId::text);

#[cfg(test)]
mod tests {
    use super::ConversationId;

    #[test]
    fn an_id_has_one_text_and_the_order_of_its_bytes() {
        let text = "0190c9a0-00ab-7000-8000-00000000000f";
        let id: ConversationId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        let mut pushed = "in ".to_owned();
        id.push_onto(&mut pushed);
        assert_eq!(pushed, format!("in {text}"));
        let encoded = minicbor::to_vec(id).unwrap();
        assert_eq!(minicbor::decode::<&str>(&encoded).unwrap(), text);
        assert!(text.to_uppercase().parse::<ConversationId>().is_err());
        let of = |place: usize, byte| {
            let mut bytes = [0x40; 16];
            bytes[place] = byte;
            bytes
        };
        let all: Vec<_> =
            (0..16).flat_map(|place| [1, 0x7f, 0x80, 0xff].map(|byte| of(place, byte))).collect();
        for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
            let ids = (ConversationId::from_bytes(*one), ConversationId::from_bytes(*other));
            assert_eq!(ids.0.cmp(&ids.1), one.cmp(other));
        }
    }
}
