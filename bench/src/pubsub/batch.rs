//! A block of messages as the bytes of one write, made once; what must differ each time is written anew.

use super::seen::STAMP_BYTES;
use anyhow::{Context, Result, ensure};

/// Where in a message of a node stands what must differ, by bytes from its beginning.
pub(super) struct Varying {
    /// Four bytes, big-endian.
    pub(super) tag_at: usize,
    /// Text of [`ID_BYTES`].
    pub(super) id_at: usize,
    /// Text of [`TIME_BYTES`].
    pub(super) time_at: usize,
}

/// Characters of an id: hexadecimal digits of the message's number.
pub(super) const ID_BYTES: usize = 12;
/// Characters of a time with milliseconds.
pub(super) const TIME_BYTES: usize = 24;
/// The lowest tag: with it and those above it, all tags have the same length.
pub(super) const TAG_MIN: u32 = 1 << 16;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The block.
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Before the first message.
    head_bytes: usize,
    message_bytes: usize,
    payload_at: usize,
    varying: Option<Varying>,
}

impl Batch {
    /// `messages` times the same message behind a head; its payload begins at `payload_at`.
    pub(super) fn new(head: &[u8], message: &[u8], payload_at: usize, messages: usize) -> Self {
        let bytes = [head, &message.repeat(messages)].concat();
        Self { bytes, head_bytes: head.len(), message_bytes: message.len(), payload_at, varying: None }
    }

    pub(super) fn with(self, varying: Varying) -> Self {
        Self { varying: Some(varying), ..self }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn messages(&self) -> u64 {
        ((self.bytes.len() - self.head_bytes) / self.message_bytes) as u64
    }

    /// Numbers the messages from `first` on, and says when they are written.
    pub(super) fn renew(&mut self, first: u64, now_ns: u64) -> Result<()> {
        let time = if self.varying.is_some() { crate::generate::now()?.to_string() } else { String::new() };
        let time = time.as_bytes();
        ensure!(self.varying.is_none() || time.len() == TIME_BYTES, "a time of another length");
        let messages = self.bytes.get_mut(self.head_bytes..).unwrap_or_default();
        for (number, message) in (first..).zip(messages.chunks_exact_mut(self.message_bytes)) {
            let mut stamp = [0; STAMP_BYTES];
            let (written, numbered) = stamp.split_at_mut(8);
            written.copy_from_slice(&now_ns.to_le_bytes());
            numbered.copy_from_slice(&number.to_le_bytes());
            put(message, self.payload_at, &stamp)?;
            let Some(varying) = &self.varying else { continue };
            put(message, varying.tag_at, &tag(number).to_be_bytes())?;
            put(message, varying.id_at, &id(number))?;
            put(message, varying.time_at, time)?;
        }
        Ok(())
    }
}

/// Tags begin anew long after their messages were answered.
pub(super) const fn tag(number: u64) -> u32 {
    TAG_MIN + (number % (1 << 20)) as u32
}

fn id(number: u64) -> [u8; ID_BYTES] {
    let mut rest = number;
    let mut id = [b'0'; ID_BYTES];
    for character in id.iter_mut().rev() {
        *character = DIGITS.get((rest % 16) as usize).copied().unwrap_or(b'0');
        rest /= 16;
    }
    id
}

#[inline]
fn put(message: &mut [u8], at: usize, bytes: &[u8]) -> Result<()> {
    let place = message.get_mut(at..at + bytes.len()).context("a message is shorter than what it holds")?;
    place.copy_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Batch, TIME_BYTES, Varying, id, tag};

    #[test]
    fn only_what_must_differ_is_written_anew() {
        let message =
            [b"tttt-iiiiiiiiiiii-", [b'T'; TIME_BYTES].as_slice(), b"-", &[b'p'; 20], b"!"].concat();
        let varying = Varying { tag_at: 0, id_at: 5, time_at: 18 };
        let mut batch = Batch::new(b"head", &message, 43, 3).with(varying);
        batch.renew(0x1f, 7).unwrap();
        assert_eq!(batch.messages(), 3);
        let second = &batch.bytes()[4 + message.len()..][..message.len()];
        assert_eq!(&second[..4], tag(0x20).to_be_bytes());
        assert_eq!(&second[4..18], b"-000000000020-");
        assert_eq!(second[28], b'T');
        assert_eq!(&second[43..51], 7_u64.to_le_bytes());
        assert_eq!(&second[51..59], 0x20_u64.to_le_bytes());
        assert_eq!(&second[59..], b"pppp!");
    }

    #[test]
    fn ids_of_messages_differ() {
        assert_eq!(&id(0xabc_def0), b"00000abcdef0");
        assert_ne!(id(1), id(2));
    }

    #[test]
    fn a_message_too_short_for_its_stamp_is_refused() {
        assert!(Batch::new(b"", b"short", 0, 1).renew(0, 0).is_err());
    }
}
