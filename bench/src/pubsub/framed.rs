//! Messages that come with the same bytes before each payload: systems whose head says only topic and size.

use super::seen::{Scan, Seen};
use crate::socket::Socket;
use anyhow::Result;

/// What comes that is no message.
pub(super) trait Aside: Send {
    /// How long the thing at the front is, if all of it is there; fails where the server complains.
    fn aside(&mut self, bytes: &[u8]) -> Result<Option<usize>>;

    /// What is to be said because of it.
    fn answer(&mut self) -> Option<&'static [u8]> {
        None
    }
}

/// Counts messages by their place.
pub(super) struct Framed<A> {
    head: Vec<u8>,
    payload_bytes: usize,
    tail_bytes: usize,
    aside: A,
}

impl<A: Aside> Framed<A> {
    /// Each message is `head`, a payload of so many bytes, and so many bytes behind it.
    pub(super) fn new(head: Vec<u8>, payload_bytes: usize, tail_bytes: usize, aside: A) -> Self {
        Self { head, payload_bytes, tail_bytes, aside }
    }
}

impl<A: Aside> Scan for Framed<A> {
    fn scan(&mut self, bytes: &[u8], seen: &mut Seen) -> Result<usize> {
        let message_bytes = self.head.len() + self.payload_bytes + self.tail_bytes;
        let mut rest = bytes;
        loop {
            if rest.starts_with(&self.head) {
                let Some((message, after)) = rest.split_at_checked(message_bytes) else { break };
                seen.message(message.get(self.head.len()..).unwrap_or_default())?;
                rest = after;
                continue;
            }
            if rest.len() < self.head.len() && self.head.starts_with(rest) {
                break;
            }
            let Some(other) = self.aside.aside(rest)? else { break };
            rest = rest.get(other..).unwrap_or_default();
        }
        Ok(bytes.len() - rest.len())
    }

    fn answer(&mut self) -> Option<&'static [u8]> {
        self.aside.answer()
    }
}

/// Waits until the server has said this; what it said before is of no use.
pub(crate) fn await_bytes(socket: &mut Socket, expected: &[u8]) -> Result<()> {
    loop {
        if let Some(at) = socket.unused().windows(expected.len()).position(|part| part == expected) {
            socket.used(at + expected.len());
            return Ok(());
        }
        socket.fill()?;
    }
}

#[cfg(test)]
mod tests {
    use super::{Aside, Framed};
    use crate::pubsub::seen::{STAMP_BYTES, Scan, Seen};
    use anyhow::{Result, ensure};

    struct Dots;

    impl Aside for Dots {
        fn aside(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
            ensure!(bytes.first().is_none_or(|byte| *byte == b'.'), "not a dot");
            Ok(bytes.first().map(|_| 1))
        }
    }

    fn message(number: u64) -> Vec<u8> {
        [b"M ", [0; 8].as_slice(), &number.to_le_bytes(), b"\r\n"].concat()
    }

    #[test]
    fn whole_messages_are_counted_wherever_the_bytes_are_cut() {
        let all = [message(0), b"..".to_vec(), message(1), message(4)].concat();
        for cut in 0..=all.len() {
            let mut scan = Framed::new(b"M ".to_vec(), STAMP_BYTES, 2, Dots);
            let mut seen = Seen::default();
            let used = scan.scan(&all[..cut], &mut seen).unwrap();
            assert_eq!(scan.scan(&all[used..], &mut seen).unwrap(), all.len() - used, "{cut}");
            assert_eq!((seen.messages(), seen.next()), (3, 5), "{cut}");
        }
    }

    #[test]
    fn a_message_that_comes_twice_ends_the_load_and_so_does_what_is_none() {
        let mut scan = Framed::new(b"M ".to_vec(), STAMP_BYTES, 2, Dots);
        let twice = [message(3), message(3)].concat();
        assert!(scan.scan(&twice, &mut Seen::default()).is_err());
        assert!(scan.scan(b"-ERR", &mut Seen::default()).is_err());
    }
}
