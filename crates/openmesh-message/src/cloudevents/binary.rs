//! Binary mode: attributes as HTTP headers, the payload as the body (CloudEvents HTTP binding 1.0.2 §3.1).

use super::{EventError, fields};
use crate::{Attributes, Envelope, Transit};
use bytes::Bytes;
use std::fmt::Write;

/// Stands before the name of each attribute but `datacontenttype`.
pub const HEADER_PREFIX: &str = "ce-";
const CONTENT_TYPE: &str = "content-type";

/// Reads an event from the headers of a request (names in lower case) and its body; other headers are not looked at.
pub fn from_headers<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    body: Bytes,
) -> Result<Envelope, EventError> {
    let (attributes, transit) = (Attributes::default(), Transit::default());
    let mut envelope = Envelope { attributes, payload: body, proof: None, transit };
    for (header, value) in headers {
        if header == CONTENT_TYPE {
            let text = std::str::from_utf8(value)
                .map_err(|_| EventError::value("datacontenttype", "it is not UTF-8"))?;
            fields::set(&mut envelope, "datacontenttype", text)?;
        } else if let Some(name) = header.strip_prefix(HEADER_PREFIX) {
            if name == "datacontenttype" {
                return Err(EventError::value(name, "in binary mode it is the Content-Type header"));
            }
            fields::set(&mut envelope, name, &decode(name, value)?)?;
        }
    }
    Ok(envelope)
}

/// The headers of a message in binary mode; its body is the payload.
pub fn to_headers(envelope: &Envelope) -> Vec<(String, String)> {
    let header = |(name, value): (String, String)| {
        if name == "datacontenttype" {
            return (CONTENT_TYPE.to_owned(), value);
        }
        (format!("{HEADER_PREFIX}{name}"), encode(&value))
    };
    fields::all(envelope).map(header).collect()
}

/// Percent-encodes space, `"`, `%` and everything outside printable ASCII.
fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            // Writing to memory cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn decode(name: &str, value: &[u8]) -> Result<String, EventError> {
    let unquoted = unquote(name, value)?;
    let mut bytes = Vec::with_capacity(unquoted.len());
    let mut rest = unquoted.iter();
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = (rest.next().and_then(hex_digit), rest.next().and_then(hex_digit));
        let (Some(high), Some(low)) = digits else {
            return Err(EventError::value(name, "a percent sign is followed by two hexadecimal digits"));
        };
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_| EventError::value(name, "it is not UTF-8"))
}

/// Takes a quoted string for what it quotes, as the binding asks of readers.
fn unquote(name: &str, value: &[u8]) -> Result<Vec<u8>, EventError> {
    let Some(inner) = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return Ok(value.to_vec());
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter();
    while let Some(byte) = rest.next() {
        let quoted = if *byte == b'\\' { rest.next() } else { Some(byte) };
        bytes.push(*quoted.ok_or_else(|| EventError::value(name, "its quotes are not closed"))?);
    }
    Ok(bytes)
}

fn hex_digit(byte: &u8) -> Option<u8> {
    char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
