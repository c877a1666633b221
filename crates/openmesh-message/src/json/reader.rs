//! Reads JSON as strictly as [`super::JsonError`] says, in one pass. It takes a text, or does not take it.

use super::JsonLimits;
use super::building::{Builder, Names};
use super::document::{Document, Node, Span};
use crate::limits::JSON_NUMBER_MAX;

/// Nodes that room is made for at first, at most.
const NODES_ABOUT: usize = 256;
/// Bytes of text to a node, about.
const BYTES_A_NODE: usize = 8;
/// Digits of the largest integer.
const DIGITS_MAX: usize = 16;

/// Reads a text; `None` if it is no JSON, or not strict.
pub(super) fn read(text: &str, limits: JsonLimits) -> Option<Document> {
    // Places are numbers of 32 bits, and what is written with escapes is at most as long again.
    u32::try_from(text.len().checked_mul(2)?).ok()?;
    let nodes = (text.len() / BYTES_A_NODE).clamp(1, NODES_ABOUT);
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        builder: Builder::over(text, nodes),
        keys_left: limits.keys,
    };
    reader.value(limits.depth)?;
    (reader.next().is_none()).then(|| reader.builder.finish())
}

struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    builder: Builder,
    keys_left: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte that is no space; it is not passed.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek()?;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Passes a byte that is next.
    fn pass(&mut self, byte: u8) -> Option<()> {
        let is_next = self.next()? == byte;
        self.at += 1;
        is_next.then_some(())
    }

    fn value(&mut self, depth_left: usize) -> Option<()> {
        match self.next()? {
            b'"' => {
                let span = self.string()?;
                self.builder.push(Node::Text(span));
                Some(())
            }
            b'{' => self.object(depth_left.checked_sub(1)?),
            b'[' => self.array(depth_left.checked_sub(1)?),
            b't' => self.word("true", Node::Bool(true)),
            b'f' => self.word("false", Node::Bool(false)),
            b'n' => self.word("null", Node::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, node: Node) -> Option<()> {
        let end = self.at + word.len();
        let is_word = self.bytes.get(self.at..end)? == word.as_bytes();
        self.at = end;
        self.builder.push(node);
        is_word.then_some(())
    }

    fn object(&mut self, depth_left: usize) -> Option<()> {
        self.at += 1;
        let place = self.builder.open();
        let mut names = Names::default();
        if self.next()? == b'}' {
            self.at += 1;
            return self.builder.close_object(place, 0);
        }
        loop {
            if self.next()? != b'"' {
                return None;
            }
            let name = self.string()?;
            self.keys_left = self.keys_left.checked_sub(1)?;
            self.builder.name(place, &mut names, name)?;
            self.pass(b':')?;
            self.value(depth_left)?;
            let next = self.next()?;
            self.at += 1;
            match next {
                b',' => {}
                b'}' => return self.builder.close_object(place, names.count()),
                _ => return None,
            }
        }
    }

    fn array(&mut self, depth_left: usize) -> Option<()> {
        self.at += 1;
        let place = self.builder.open();
        if self.next()? == b']' {
            self.at += 1;
            self.builder.close_array(place, 0);
            return Some(());
        }
        let mut count = 0;
        loop {
            self.value(depth_left)?;
            count += 1;
            let next = self.next()?;
            self.at += 1;
            match next {
                b',' => {}
                b']' => {
                    self.builder.close_array(place, count);
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        let is_negative = self.peek()? == b'-';
        self.at += usize::from(is_negative);
        let first = self.at;
        let mut size: u64 = 0;
        while let Some(digit) = self.digit() {
            size = size.wrapping_mul(10).wrapping_add(u64::from(digit));
        }
        let digits = self.at - first;
        let has_leading_zero = digits > 1 && self.bytes.get(first) == Some(&b'0');
        if digits == 0 || has_leading_zero {
            return None;
        }
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return self.real(start);
        }
        if digits > DIGITS_MAX || size > JSON_NUMBER_MAX {
            return None;
        }
        let size = i64::try_from(size).ok()?;
        self.builder.push(match (is_negative, size) {
            (true, 0) => Node::Real(-0.0),
            (true, _) => Node::Integer(-size),
            (false, _) => Node::Integer(size),
        });
        Some(())
    }

    /// The number that began at `start`, from its fraction or exponent on.
    fn real(&mut self, start: usize) -> Option<()> {
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let real: f64 = self.text.get(start..self.at)?.parse().ok()?;
        let is_in_range = real.abs() <= JSON_NUMBER_MAX as f64;
        self.builder.push(Node::Real(real));
        is_in_range.then_some(())
    }

    fn digit(&mut self) -> Option<u8> {
        let digit = self.peek()?.wrapping_sub(b'0');
        (digit <= 9).then(|| {
            self.at += 1;
            digit
        })
    }

    /// Passes digits, at least one.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.digit().is_some() {}
        (self.at > start).then_some(())
    }

    /// A string, from its quote on.
    fn string(&mut self) -> Option<Span> {
        let start = self.at + 1;
        let end = plain_until(self.bytes, start);
        self.at = end + 1;
        match *self.bytes.get(end)? {
            b'"' => Some(Span { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? }),
            b'\\' => self.escaped(start, end),
            _ => None,
        }
    }

    /// A string whose first escape is at `slash`.
    fn escaped(&mut self, start: usize, slash: usize) -> Option<Span> {
        let written = self.builder.end();
        let (mut start, mut end) = (start, slash);
        loop {
            self.builder.write(self.text.get(start..end)?);
            match *self.bytes.get(end)? {
                b'"' => return Some(self.builder.since(written)),
                b'\\' => {
                    self.at = end + 1;
                    let escape = self.escape()?;
                    self.builder.write(escape.encode_utf8(&mut [0; 4]));
                }
                _ => return None,
            }
            start = self.at;
            end = plain_until(self.bytes, start);
            self.at = end + 1;
        }
    }

    /// What stands after a backslash.
    fn escape(&mut self) -> Option<char> {
        let escape = self.peek()?;
        self.at += 1;
        match escape {
            b'"' | b'\\' | b'/' => Some(char::from(escape)),
            b'b' => Some('\u{8}'),
            b'f' => Some('\u{c}'),
            b'n' => Some('\n'),
            b'r' => Some('\r'),
            b't' => Some('\t'),
            b'u' => self.code_point(),
            _ => None,
        }
    }

    /// A code point in four hexadecimal digits, or two surrogates that make one.
    fn code_point(&mut self) -> Option<char> {
        let first = self.hex()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        let is_pair = self.bytes.get(self.at..self.at + 2)? == br"\u";
        self.at += 2;
        let second = self.hex().filter(|second| is_pair && (0xdc00..0xe000).contains(second))?;
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |sum, digit| Some((sum << 4) | char::from(*digit).to_digit(16)?))
    }
}

/// Where the first byte from `start` on is that ends plain text: a quote, a backslash, a control character, or the end.
fn plain_until(bytes: &[u8], start: usize) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    // The lowest bit set is that of the first byte of a word that is less than a limit (Mycroft, 1987).
    let less = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let mut at = start;
    while let Some((word, _)) = bytes.get(at..).and_then(<[u8]>::split_first_chunk::<8>) {
        let word = u64::from_le_bytes(*word);
        // Quote and space change places with what comes two after them: a quote then follows the control characters.
        let found = (less(word ^ (ONES * 0x02), 0x21) | less(word ^ (ONES * 0x5c), 1)) & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let ends = |byte: &u8| matches!(*byte, b'"' | b'\\' | ..b' ');
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(ends).unwrap_or(rest.len())
}
